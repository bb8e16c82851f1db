"""All configuration: from the environment, and from `.env` for what the environment leaves out.

A variable that is set to nothing counts as not set, except where nothing is a choice of its own:
`LISTEN` (nowhere) and `ALERT_PERCENTS` (no alerts).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from babel.numbers import is_currency
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bot.money import MAX_BUDGET_NANOS, Currency, nanos_from_decimal

_EMPTY_IS_A_CHOICE = frozenset({"listen", "alert_percents"})
_LARGEST_ID = 2**63 - 1
_LONGEST_INTERVAL_SECONDS = 7 * 24 * 60 * 60


class SettingsError(Exception):
    """The settings are not usable. `lines`: one sentence for each variable that is to blame.

    The sentences name the variable and what is expected, and never repeat a value.
    """

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


class Address(NamedTuple):
    """Where to listen; port 0 is any free one."""

    host: str
    port: int


DEFAULT_LISTEN = Address("127.0.0.1", 8080)


def _listen_address(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    host, colon, port = value.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and re.fullmatch(r"\d{1,5}", port, re.ASCII) and int(port) < 2**16):
        raise ValueError("no host:port")
    return Address(host, int(port))


def _ids(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    ids = frozenset(_whole_number(part) for part in value.strip().strip(",").split(","))
    if not all(0 < user_id <= _LARGEST_ID for user_id in ids):
        raise ValueError("no Telegram user id")
    return ids


def _percents(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    percents = {_whole_number(part) for part in value.split(",") if value.strip()}
    if not all(1 <= percent <= 99 for percent in percents):
        raise ValueError("no percentage that an alert can have")
    return tuple(sorted(percents, reverse=True))


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"\d{1,20}", text.strip(), re.ASCII):
        raise ValueError("no whole number")
    return int(text)


def _dollars(value: Any) -> Any:
    # Decimal() takes underscores and other things that people do not write.
    text = str(value).strip()
    if not re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text, re.ASCII):
        raise ValueError("no amount")
    if nanos_from_decimal(Decimal(text)) > MAX_BUDGET_NANOS:
        raise ValueError("too much")
    return Decimal(text)


def _url(value: Any) -> Any:
    text = str(value).strip().rstrip("/")
    parts = _split(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("no http URL")
    return text


def _https_url(value: Any) -> Any:
    text = str(_url(value))
    if not text.startswith("https://"):
        raise ValueError("not https")
    return text


def _database_url(value: Any) -> Any:
    text = re.sub(r"^postgresql://", "postgres://", str(value).strip())
    if text.startswith("sqlite://"):
        usable = bool(text.removeprefix("sqlite://"))
    else:
        parts = _split(text)
        usable = parts.scheme == "postgres" and len(parts.path) > 1
    if not usable:
        raise ValueError("no database URL")
    return text


def _split(url: str) -> SplitResult:
    """The parts of the URL. Raises `ValueError` for one that no client would take."""
    if re.search(r"[\s\x00-\x1f]", url):
        raise ValueError("white space in a URL")
    parts = urlsplit(url)
    _ = parts.port  # raises when it is no port
    return parts


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _currency_code(value: Any) -> Any:
    code = str(value).strip().upper()
    if not is_currency(code):
        raise ValueError("no currency")
    return code


def _rate(value: Any) -> Any:
    text = str(value).strip()
    if not re.fullmatch(r"\d{1,9}(\.\d{1,12})?", text, re.ASCII) or not Decimal(text):
        raise ValueError("no rate")
    return Decimal(text)


def _secret(shape: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        text = (value.get_secret_value() if isinstance(value, SecretStr) else str(value)).strip()
        if not re.fullmatch(shape, text, re.ASCII):
            raise ValueError("not of the right shape")
        return SecretStr(text)

    return BeforeValidator(check)


BotToken = Annotated[SecretStr, _secret(r"\d+:[A-Za-z0-9_-]+")]
FalKey = Annotated[SecretStr, _secret(r"[!-~]+")]
Dollars = Annotated[Decimal, BeforeValidator(_dollars)]
Seconds = Annotated[float, Field(gt=0, le=_LONGEST_INTERVAL_SECONDS, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Url = Annotated[str, BeforeValidator(_url)]

_SECONDS = "seconds, more than 0 and at most 604800 (a week)"
_URL = "an http:// or https:// URL"


class Settings(BaseSettings):
    """Every setting, checked. The name of a variable is that of its field, in capitals.

    The description of a field says what is expected of it, as people read it when it is wrong.
    """

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, validate_default=True
    )

    telegram_bot_token: BotToken = Field(
        description="the token that @BotFather gives, digits:letters"
    )
    fal_key: FalKey = Field(description="a fal.ai key of API scope")
    fal_admin_key: FalKey | None = Field(None, description="a fal.ai key of ADMIN scope")
    admin_ids: Annotated[frozenset[int], NoDecode, BeforeValidator(_ids)] = Field(
        description="Telegram user ids (numbers), separated by commas"
    )

    database_url: Annotated[str, BeforeValidator(_database_url)] = Field(
        "sqlite://data/bot.sqlite3",
        description="sqlite://path/to/file or postgres://user:password@host/database",
    )
    language: Annotated[Literal["en", "fr"], BeforeValidator(_lower)] = Field(
        "en", description="en or fr"
    )
    currency: Annotated[str, BeforeValidator(_currency_code)] = Field(
        "USD", description="the code of a currency, such as USD or EUR"
    )
    usd_rate: Annotated[Decimal, BeforeValidator(_rate)] = Field(
        Decimal(1),
        description="what one US dollar is worth in CURRENCY, such as 0.92; 1 if that is USD",
    )

    alert_percents: Annotated[tuple[int, ...], NoDecode, BeforeValidator(_percents)] = Field(
        (25, 10), description="whole numbers from 1 to 99, separated by commas, or nothing"
    )
    account_low_balance: Dollars = Field(
        Decimal("5.00"), description="US dollars from 0 to 1000000, such as 5.00"
    )
    budget_self_service: bool = Field(True, description="true or false")
    default_budget: Dollars | None = Field(
        None, description="US dollars from 0 to 1000000, such as 10.00, or nothing"
    )
    max_active_jobs: Count = Field(3, description="a whole number of 1 or more")
    commands_per_minute: Count = Field(600, description="a whole number of 1 or more")
    result_retention_days: Count = Field(7, description="days, a whole number of 1 or more")

    notice_interval: Seconds = Field(30, description=_SECONDS)
    balance_interval: Seconds = Field(60, description=_SECONDS)
    reconcile_interval: Seconds = Field(300, description=_SECONDS)
    live_interval: Seconds = Field(10, description=_SECONDS)

    telegram_api_url: Url = Field("https://api.telegram.org", description=_URL)
    fal_queue_url: Url = Field("https://queue.fal.run", description=_URL)
    fal_platform_url: Url = Field("https://api.fal.ai/v1", description=_URL)
    fal_rest_url: Url = Field("https://rest.fal.ai", description=_URL)
    fal_cdn_url: Url = Field("https://v3.fal.media", description=_URL)
    public_url: Annotated[str, BeforeValidator(_https_url)] | None = Field(
        None, description="the https:// URL under which LISTEN is reached from outside"
    )
    listen: Annotated[Address | None, NoDecode, BeforeValidator(_listen_address)] = Field(
        DEFAULT_LISTEN,
        description="host:port, or nothing (not with PUBLIC_URL, which needs it)",
    )

    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
    ] = Field("INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL")
    log_format: Annotated[Literal["console", "json"], BeforeValidator(_lower)] = Field(
        "console", description="console or json"
    )

    @property
    def account_low_balance_nanos(self) -> int:
        """The balance at fal under which admins are told, in nano-dollars."""
        return nanos_from_decimal(self.account_low_balance)

    @property
    def default_budget_nanos(self) -> int | None:
        """What a person starts with when approved, in nano-dollars; None: no budget."""
        return None if self.default_budget is None else nanos_from_decimal(self.default_budget)

    @property
    def display_currency(self) -> Currency:
        """The currency that people see and type; the books stay in US dollars."""
        return Currency(self.currency, self.usd_rate)

    @property
    def telegram_secret(self) -> str:
        """What Telegram sends with every update: the same on all processes, and no one else's."""
        return self._derived(b"telegram webhook")

    @property
    def callback_secret(self) -> str:
        """What the words in the URLs are made of that fal calls back: likewise."""
        return self._derived(b"fal callback")

    def _derived(self, purpose: bytes) -> str:
        token = self.telegram_bot_token.get_secret_value().encode()
        return hmac.new(token, purpose, hashlib.sha256).hexdigest()

    @property
    def secrets(self) -> frozenset[str]:
        """All that must never be seen: token, secrets of callbacks, keys, and passwords in URLs."""
        texts = {
            field.get_secret_value()
            for field in (self.telegram_bot_token, self.fal_key, self.fal_admin_key)
            if field is not None
        } | {self.telegram_secret, self.callback_secret}
        for name in type(self).model_fields:
            url = getattr(self, name) if name.endswith("_url") else None
            # The path of a SQLite file may hold anything, and never a password.
            if url and not url.startswith("sqlite:") and (password := _split(url).password):
                texts |= {password, unquote(password)}
        return frozenset(texts)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_not_set(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value
            for name, value in values.items()
            if name in _EMPTY_IS_A_CHOICE or not (isinstance(value, str) and not value.strip())
        }

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            hidden = name is not None and name.endswith("_url") and isinstance(value, str)
            yield name, re.sub(r"(?<=://).*@", "**********@", value) if hidden else value


class _GivenSettings(Settings):
    """The same, without a look at the environment of this process."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, dotenv_settings


def load_settings(
    env_file: str | Path | None = ".env", environment: Mapping[str, str] | None = None
) -> Settings:
    """The settings of `environment` (None: of this process), and of `env_file` beneath them.

    Raises `SettingsError` with a line for each variable that is missing or malformed.
    """
    kind = Settings if environment is None else _GivenSettings
    given: dict[str, Any] = {name.lower(): value for name, value in (environment or {}).items()}
    try:
        settings = kind(_env_file=env_file, _env_file_encoding="utf-8", **given)
    except ValidationError as error:
        # Without its cause: pydantic's own text would repeat the values.
        raise SettingsError(_lines(error)) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsError([f"{env_file}: expected a readable text file in UTF-8"]) from None
    return _checked_together(settings)


def _lines(error: ValidationError) -> list[str]:
    lines = {}
    for problem in error.errors(include_input=False, include_context=False, include_url=False):
        name = str(problem["loc"][0])
        state = "not set" if problem["type"] == "missing" else "malformed"
        expected = Settings.model_fields[name].description
        lines[name] = f"{name.upper()} is {state}: expected {expected}"
    return list(lines.values())


def _checked_together(settings: Settings) -> Settings:
    lines = []
    try:
        _ = settings.display_currency
    except ValueError:
        expected = Settings.model_fields["usd_rate"].description
        lines.append(f"USD_RATE is malformed: expected {expected}")
    if settings.public_url and settings.listen is None:
        lines.append("LISTEN is not set: expected host:port, because PUBLIC_URL is set")
    if lines:
        raise SettingsError(lines)
    return settings
