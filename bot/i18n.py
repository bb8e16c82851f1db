"""Texts in the languages people speak, and numbers and dates the way each language writes them.

The texts stand in `locales/*.toml`, one file a language, one section a room. They are written for
Telegram's HTML parse mode; `Texts.plain` gives the same text where no markup is possible.
"""

from __future__ import annotations

import html
import re
import tomllib
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from importlib.resources import files

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

LANGUAGES = ("en", "fr")

_TAG = re.compile(r"</?[a-z][^<>]*>")


class Html(str):
    """Ready markup: it is put into another text as it is, not escaped again."""

    __slots__ = ()


class Texts:
    """All texts of one language; call it with a key to get a text filled with values.

    Values: `str` is escaped (unless `Html`), `int` and `Decimal` are written in the language's
    number format (pass an id as `str`), `date` and `datetime` as `date()` writes them. A text with
    plural forms takes `count`. A missing key or value raises `KeyError`, any other type of value
    (a `float`, `None`) `TypeError`: both are defects of the caller.
    """

    def __init__(self, language: str, entries: dict[str, str | dict[str, str]]) -> None:
        self.language = language
        self.entries = entries
        self._locale = Locale.parse(language)
        self._plain: dict[str, str] = {}

    def __call__(self, key: str, /, **params: object) -> Html:
        """The text in Telegram's HTML; every `str` among the values is escaped."""
        values = {name: self._escaped(value) for name, value in params.items()}
        return Html(self._template(key, params).format_map(values))

    def plain(self, key: str, /, **params: object) -> str:
        """The text without markup, for buttons, callback answers and pictures."""
        template = self._template(key, params)
        if template not in self._plain:
            self._plain[template] = without_markup(template)
        values = {name: self._written(value) for name, value in params.items()}
        return self._plain[template].format_map(values)

    def number(self, value: int | Decimal) -> str:
        """The number with all its digits, grouped: `1,234.5`, in French `1 234,5`."""
        return _number(value, self.language)

    def day(self, moment: date) -> str:
        """The day without the year: `23 Nov`, in French `23 nov.`."""
        return format_date(moment, "d MMM", locale=self._locale)

    def date(self, moment: date) -> str:
        """`23 Nov 2026`; a `datetime` with the time of day, in UTC: `23 Nov 2026, 14:05`."""
        if isinstance(moment, datetime):
            if moment.tzinfo is not None:
                moment = moment.astimezone(UTC)
            return format_datetime(moment, "d MMM y, HH:mm", locale=self._locale)
        return _date(moment, self.language)

    def _template(self, key: str, params: dict[str, object]) -> str:
        entry = self.entries[key]
        if isinstance(entry, str):
            return entry
        count = params["count"]
        if not isinstance(count, int):
            raise TypeError(f"count of {key!r} must be a whole number, not {type(count).__name__}")
        return entry.get(_plural_form(count, self.language), entry["other"])

    def _written(self, value: object) -> str:
        if isinstance(value, Html):
            return without_markup(value)
        if isinstance(value, str):
            return value
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return self.number(value)
        if isinstance(value, date):
            return self.date(value)
        raise TypeError(f"a text cannot be filled with {type(value).__name__}")

    def _escaped(self, value: object) -> str:
        return value if isinstance(value, Html) else html.escape(self._written(value), quote=False)


@cache
def load_texts(language: str) -> Texts:
    """The texts of `language`, read once. Raises `KeyError` for one that is not in `LANGUAGES`."""
    if language not in LANGUAGES:
        raise KeyError(language)
    source = files("bot").joinpath("locales", f"{language}.toml").read_text(encoding="utf-8")
    return Texts(language, dict(_flat("", tomllib.loads(source))))


def pick_language(chosen: str | None, client: str | None, default: str) -> str:
    """What the person chose, else what their client speaks (`fr-CA` is `fr`), else `default`."""
    for tag in (chosen, client, default):
        language = (tag or "").lower().replace("_", "-").split("-")[0]
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]


def shortened(text: str, most: int) -> str:
    """The text in at most so many characters, an ellipsis at its end if it had more."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


@lru_cache(maxsize=1024, typed=True)
def _number(value: int | Decimal, language: str) -> str:
    digits = max(0, -int(value.as_tuple().exponent)) if isinstance(value, Decimal) else 0
    pattern = "#,##0" + ("." + "#" * digits if digits else "")
    return format_decimal(value, pattern, locale=Locale.parse(language))


@lru_cache(maxsize=1024)
def _plural_form(count: int, language: str) -> str:
    form: str = Locale.parse(language).plural_form(count)
    return form


@lru_cache(maxsize=1024)
def _date(day: date, language: str) -> str:
    return format_date(day, "d MMM y", locale=Locale.parse(language))


def _flat(prefix: str, tree: dict[str, object]) -> list[tuple[str, str | dict[str, str]]]:
    """Nested tables as dotted keys; a table with the key `other` is one text with plural forms."""
    entries: list[tuple[str, str | dict[str, str]]] = []
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, str):
            entries.append((key, value))
        elif isinstance(value, dict) and "other" in value:
            entries.append((key, {str(form): str(text) for form, text in value.items()}))
        elif isinstance(value, dict):
            entries.extend(_flat(f"{key}.", value))
        else:
            raise TypeError(f"text {key!r} must be a string or a table")
    return entries


def without_markup(markup: str) -> str:
    """The words of a text in HTML."""
    return html.unescape(_TAG.sub("", markup))
