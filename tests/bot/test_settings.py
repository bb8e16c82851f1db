from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from bot.money import Currency
from bot.settings import Address, Settings, SettingsError, load_settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"

TOKEN = "123456789:AAF-abcdefghijklmnopqrstuvwxyz_12345"
REQUIRED = {"TELEGRAM_BOT_TOKEN": TOKEN, "FAL_KEY": "fal-id:fal-secret", "ADMIN_IDS": "42"}

# As the plan of the house has them; the two that are not in it are the last.
DEFAULTS: dict[str, Any] = {
    "fal_admin_key": None,
    "database_url": "sqlite://data/bot.sqlite3",
    "language": "en",
    "currency": "USD",
    "usd_rate": Decimal(1),
    "alert_percents": (25, 10),
    "account_low_balance": Decimal("5.00"),
    "budget_self_service": True,
    "default_budget": None,
    "max_active_jobs": 3,
    "notice_interval": 30,
    "balance_interval": 60,
    "reconcile_interval": 300,
    "live_interval": 10,
    "telegram_api_url": "https://api.telegram.org",
    "fal_queue_url": "https://queue.fal.run",
    "fal_platform_url": "https://api.fal.ai/v1",
    "fal_rest_url": "https://rest.fal.ai",
    "fal_cdn_url": "https://v3.fal.media",
    "public_url": None,
    "listen": Address("127.0.0.1", 8080),
    "log_level": "INFO",
    "log_format": "console",
    "commands_per_minute": 600,
    "result_retention_days": 7,
}


def settings_with(**environment: str) -> Settings:
    return load_settings(None, REQUIRED | environment)


def complaints_about(**environment: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        settings_with(**environment)
    return refused.value.lines


def test_the_defaults_are_those_of_the_plan() -> None:
    settings = settings_with()
    required = {name.lower() for name in REQUIRED}
    assert settings.model_dump(exclude=required) == DEFAULTS


def test_the_example_lists_every_setting_with_its_default_and_no_secret() -> None:
    example = dotenv_values(EXAMPLE)
    assert {name.lower() for name in example} == set(Settings.model_fields)
    for name in ("TELEGRAM_BOT_TOKEN", "FAL_KEY", "FAL_ADMIN_KEY", "ADMIN_IDS"):
        assert example[name] == ""
    assert load_settings(EXAMPLE, REQUIRED) == load_settings(None, REQUIRED)


def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text(
        f"TELEGRAM_BOT_TOKEN={TOKEN}\nFAL_KEY=a\nADMIN_IDS=42\nLANGUAGE=fr\nMAX_ACTIVE_JOBS=5\n"
        "SOMETHING_ELSE=1\n"
    )
    monkeypatch.setenv("MAX_ACTIVE_JOBS", "7")
    monkeypatch.setenv("fal_key", "b")
    settings = load_settings(file)
    assert settings.language == "fr"
    assert settings.max_active_jobs == 7
    assert settings.fal_key.get_secret_value() == "b"


def test_a_given_environment_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "fr")
    assert settings_with().language == "en"
    assert "LANGUAGE" in os.environ


def test_what_is_missing_is_named_one_line_each() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(None, {"FAL_KEY": "  "})
    assert refused.value.lines == (
        "TELEGRAM_BOT_TOKEN is not set: expected the token that @BotFather gives, digits:letters",
        "FAL_KEY is not set: expected a fal.ai key of API scope",
        "ADMIN_IDS is not set: expected Telegram user ids (numbers), separated by commas",
    )
    assert str(refused.value) == "\n".join(refused.value.lines)


def test_missing_and_malformed_are_told_together() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(None, {"TELEGRAM_BOT_TOKEN": TOKEN, "FAL_KEY": "a", "LOG_LEVEL": "LOUD"})
    assert [line.split(" is ")[0] for line in refused.value.lines] == ["ADMIN_IDS", "LOG_LEVEL"]


MALFORMED = [
    ("TELEGRAM_BOT_TOKEN", ["hello", "123456", ":abc", "12a:abc", "123:a b", "123:ab/../c"]),
    ("FAL_KEY", ["two words", "clé", "line\nbreak"]),
    ("FAL_ADMIN_KEY", ["two words"]),
    ("ADMIN_IDS", ["me", "-1", "0", "1,,2", "1;2", "1.5", "9223372036854775808", "1_0", "[1]"]),
    (
        "DATABASE_URL",
        [
            *("bot.sqlite3", "sqlite://", "mysql://h/db", "postgres://host", "postgres://host/"),
            *("postgres://u:p@host:port/db", "postgres://h/d b", "postgres://u:[@h/db"),
        ],
    ),
    ("LANGUAGE", ["de", "english"]),
    ("CURRENCY", ["dollars", "€", "ZZZ"]),
    ("USD_RATE", ["0", "-1", "NaN", "inf", "ten", "0,92", "1e3", "0.000000000001", "0.92"]),
    ("ALERT_PERCENTS", ["0", "100", "25%", "25;10", "ten", "25,,10", "12.5"]),
    ("ACCOUNT_LOW_BALANCE", ["-1", "5,00", "NaN", "inf", "$5", "1e2", "0.0000000001", "1000001"]),
    ("DEFAULT_BUDGET", ["-1", "none", "NaN", "1e999", "1_000", "1000000.000000001"]),
    ("BUDGET_SELF_SERVICE", ["maybe", "2"]),
    ("MAX_ACTIVE_JOBS", ["0", "-1", "3.5", "many", "1000000000000"]),
    ("COMMANDS_PER_MINUTE", ["0", "1/s"]),
    ("RESULT_RETENTION_DAYS", ["0", "a week"]),
    ("NOTICE_INTERVAL", ["0", "-1", "NaN", "inf", "30s", "1e300"]),
    ("BALANCE_INTERVAL", ["0"]),
    ("RECONCILE_INTERVAL", ["0"]),
    ("LIVE_INTERVAL", ["0"]),
    (
        "TELEGRAM_API_URL",
        ["api.telegram.org", "ftp://host", "https://", "https://h?a=b", "http://h:x"],
    ),
    ("FAL_QUEUE_URL", ["queue.fal.run", "https://a b"]),
    ("FAL_PLATFORM_URL", ["/v1"]),
    ("FAL_REST_URL", ["https://h#x"]),
    ("FAL_CDN_URL", ["file:///etc"]),
    ("PUBLIC_URL", ["http://bot.example.com", "bot.example.com", "https://"]),
    ("LISTEN", ["8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "h:http"]),
    ("LOG_LEVEL", ["LOUD", "10"]),
    ("LOG_FORMAT", ["xml"]),
]


def test_every_setting_has_bad_values_to_be_tried() -> None:
    assert {name.lower() for name, _ in MALFORMED} == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in MALFORMED for value in values]
)
def test_a_malformed_value_is_one_line_that_names_the_variable(name: str, value: str) -> None:
    (line,) = complaints_about(**{name: value})
    expected = Settings.model_fields[name.lower()].description
    assert line == f"{name} is malformed: expected {expected}"


@given(st.sampled_from(sorted(Settings.model_fields)), st.text(min_size=1, max_size=40))
def test_whatever_is_set_the_bot_starts_or_says_what_is_wrong(name: str, value: str) -> None:
    try:
        settings = settings_with(**{name.upper(): value})
    except SettingsError as refused:
        assert all(len(line.splitlines()) == 1 for line in refused.lines)  # noqa: PT017
    else:
        assert settings.secrets


def test_no_secret_is_in_a_complaint_or_its_traceback() -> None:
    secrets = {
        "TELEGRAM_BOT_TOKEN": "1234:not/a/token",
        "FAL_KEY": "my secret",
        "DATABASE_URL": "postgres://me:hunter2@host:port/db",
    }
    with pytest.raises(SettingsError) as refused:
        load_settings(None, {"ADMIN_IDS": "42"} | secrets)
    assert len(refused.value.lines) == 3
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    for secret in ("not/a/token", "my secret", "hunter2"):
        assert secret not in str(refused.value)


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"FAL_KEY=\xff\xfe")
    with pytest.raises(SettingsError) as refused:
        load_settings(file, REQUIRED)
    assert refused.value.lines == (f"{file}: expected a readable text file in UTF-8",)


def test_a_file_that_is_not_there_is_no_matter(tmp_path: Path) -> None:
    assert load_settings(tmp_path / ".env", REQUIRED) == settings_with()


def test_nothing_means_the_default_except_where_it_is_a_choice() -> None:
    names = [name.upper() for name in Settings.model_fields if name.upper() not in REQUIRED]
    settings = settings_with(**dict.fromkeys(names, ""))
    assert settings.listen is None
    assert settings.alert_percents == ()
    chosen = {"listen", "alert_percents"}
    assert settings.model_dump(exclude=chosen) == settings_with().model_dump(exclude=chosen)


def test_values_are_taken_as_people_write_them() -> None:
    settings = settings_with(
        TELEGRAM_BOT_TOKEN=f" {TOKEN} ",
        ADMIN_IDS=" 1, 9223372036854775807,1,",
        DATABASE_URL="postgresql://u:p@host/db",
        LANGUAGE="FR",
        CURRENCY="eur",
        USD_RATE="0.92",
        ALERT_PERCENTS="10, 50,10",
        NOTICE_INTERVAL="0.2",
        TELEGRAM_API_URL="http://127.0.0.1:8081/telegram/",
        PUBLIC_URL="https://bot.example.com/a/",
        LISTEN="[::1]:0",
        LOG_LEVEL="debug",
        LOG_FORMAT="JSON",
        BUDGET_SELF_SERVICE="no",
    )
    assert settings.telegram_bot_token.get_secret_value() == TOKEN
    assert settings.admin_ids == {1, 2**63 - 1}
    assert settings.database_url == "postgres://u:p@host/db"
    assert settings.language == "fr"
    assert settings.display_currency == Currency("EUR", Decimal("0.92"))
    assert settings.alert_percents == (50, 10)
    assert settings.notice_interval == 0.2
    assert settings.telegram_api_url == "http://127.0.0.1:8081/telegram"
    assert settings.public_url == "https://bot.example.com/a"
    assert settings.listen == Address("::1", 0)
    assert (settings.log_level, settings.log_format) == ("DEBUG", "json")
    assert settings.budget_self_service is False


def test_amounts_are_exact_to_the_nano_dollar() -> None:
    settings = settings_with(ACCOUNT_LOW_BALANCE="0.000000001", DEFAULT_BUDGET="1000000")
    assert settings.account_low_balance_nanos == 1
    assert settings.default_budget_nanos == 10**15
    assert settings_with(DEFAULT_BUDGET="0").default_budget_nanos == 0
    assert settings_with().default_budget_nanos is None
    assert settings_with().account_low_balance_nanos == 5 * 10**9


def test_callbacks_need_a_place_to_arrive_at() -> None:
    assert complaints_about(PUBLIC_URL="https://bot.example.com", LISTEN="") == (
        "LISTEN is not set: expected host:port, because PUBLIC_URL is set",
    )


def test_settings_show_no_secrets_and_know_them_all() -> None:
    settings = settings_with(
        FAL_ADMIN_KEY="admin-key",
        DATABASE_URL="postgres://me:hun%40ter2@host/db",
        FAL_QUEUE_URL="http://proxy-user:proxy-pass@127.0.0.1:3128",
    )
    passwords = {"hun@ter2", "hun%40ter2", "proxy-pass"}
    keys = {"fal-id:fal-secret", "admin-key"}
    derived = {settings.telegram_secret, settings.callback_secret}
    assert len(derived) == 2
    assert settings.secrets == {TOKEN, *derived, *keys, *passwords}
    for secret in settings.secrets:
        assert secret not in repr(settings)
        assert secret not in str(settings)
    assert "@host/db" in repr(settings)


def test_a_path_with_spaces_is_a_database() -> None:
    settings = settings_with(DATABASE_URL="sqlite:///srv/my bot/a:b@c.sqlite3")
    assert settings.database_url == "sqlite:///srv/my bot/a:b@c.sqlite3"
    derived = {settings.telegram_secret, settings.callback_secret}
    assert settings.secrets == {TOKEN, *derived, "fal-id:fal-secret"}
