"""Texts are complete in every language, escaped, and numbers written as each language does."""

from __future__ import annotations

import ast
import re
import string
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.i18n import LANGUAGES, Html, Texts, load_texts, pick_language

ROOT = Path(__file__).parents[2]
EN, FR = load_texts("en"), load_texts("fr")
# Telegram, Bot API, "HTML style": the tags that our texts may use.
TAGS = {"b", "i", "u", "s", "code", "pre", "a", "blockquote", "tg-spoiler"}

SAMPLE = Texts(
    "en",
    {
        "plain": "Fish &amp; <b>{what}</b>",
        "count": {"one": "{count} job", "other": "{count} jobs"},
        "when": "on {day}",
    },
)


def forms(entry: str | dict[str, str]) -> dict[str, str]:
    return {"": entry} if isinstance(entry, str) else entry


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_every_language_has_the_same_texts_with_the_same_placeholders() -> None:
    assert EN.entries.keys() == FR.entries.keys()
    for key, english in EN.entries.items():
        french = FR.entries[key]
        assert isinstance(english, str) == isinstance(french, str), key
        wanted = set().union(*(placeholders(form) for form in forms(english).values()))
        found = set().union(*(placeholders(form) for form in forms(french).values()))
        assert wanted == found, key


@pytest.mark.parametrize("texts", [EN, FR], ids=LANGUAGES)
def test_every_text_is_markup_that_telegram_accepts(texts: Texts) -> None:
    for key, entry in texts.entries.items():
        for template in forms(entry).values():
            open_tags: list[str] = []
            for close, name in re.findall(r"<(/?)([a-z-]+)[^<>]*>", template):
                assert name in TAGS, key
                if not close:
                    open_tags.append(name)
                else:
                    assert open_tags.pop() == name, key
            assert not open_tags, key
            rest = re.sub(r"</?[a-z-]+[^<>]*>", "", template)
            assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", rest), key


@pytest.mark.parametrize("texts", [EN, FR], ids=LANGUAGES)
def test_every_text_with_plural_forms_has_the_form_for_all_numbers(texts: Texts) -> None:
    for key, entry in texts.entries.items():
        if isinstance(entry, dict):
            assert {"one", "other"} <= entry.keys() <= {"one", "many", "other"}, key
            assert all("{count}" in entry[form] for form in entry.keys() - {"one"}), key


def test_every_key_in_the_code_has_a_text_and_every_text_is_used() -> None:
    whole: set[str] = set()
    begun: set[str] = set()
    endings: set[str] = {""}
    for path in sorted([*ROOT.glob("bot/**/*.py"), *ROOT.glob("handlers/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                whole.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                begun |= {text for text in _literal(node.values[0]) if "." in text}
                endings |= {text for text in _literal(node.values[-1]) if text.startswith("_")}
    for path in ROOT.glob("bot/*.toml"):  # the catalog names texts too
        whole |= set(re.findall(r'"([^"\s]+)"', path.read_text(encoding="utf-8")))
    assert sorted(_used_keys() - EN.entries.keys()) == [], "these keys have no text"
    unused = {
        key
        for key in EN.entries
        if not key.startswith(tuple(begun))
        and not any(key.endswith(end) and key.removesuffix(end) in whole for end in endings)
    }
    assert sorted(unused) == [], "these texts are not used"


def _literal(part: ast.expr) -> list[str]:
    return [str(part.value)] if isinstance(part, ast.Constant) else []


def _used_keys() -> set[str]:
    """The literal keys that texts are called with or that errors carry."""
    used: set[str] = set()
    for path in [*ROOT.glob("bot/**/*.py"), *ROOT.glob("handlers/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            values: list[ast.expr] = []
            if isinstance(node, ast.Call) and node.args and _calls_texts(node.func):
                values = [node.args[0]]
            elif isinstance(node, ast.Assign) and path.name == "errors.py":
                names = [name.id for name in node.targets if isinstance(name, ast.Name)]
                values = [node.value] if names == ["key"] else []
            for value in values:
                branches = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
                used |= {
                    branch.value
                    for branch in branches
                    if isinstance(branch, ast.Constant) and isinstance(branch.value, str)
                }
    return used


def _calls_texts(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute) and function.attr == "plain":
        function = function.value
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name == "texts"


# What shows its first arguments to people.
SHOWN_BY = {
    "answer_text",
    "answer_words",
    "edit",
    "edit_message_caption",
    "edit_message_text",
    "edit_text",
    "reply",
    "send_document",
    "send_message",
    "send_photo",
    "send_text",
    "send_video",
    "BotCommand",
    "ForceReply",
    "InlineKeyboardButton",
    "InputMediaDocument",
    "InputMediaPhoto",
    "InputMediaVideo",
}
# Arguments by name that nobody reads: addresses, data of buttons, file names, an amount to type.
UNREAD = {"callback_data", "url", "filename", "parse_mode", "input_field_placeholder"}


def test_no_text_that_people_read_stands_in_the_code() -> None:
    found = []
    calls = 0
    for path in [
        *ROOT.glob("bot/*.py"),
        *ROOT.glob("bot/screen/*.py"),
        *ROOT.glob("handlers/*.py"),
    ]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ""
            name = function.id if isinstance(function, ast.Name) else name
            if name not in SHOWN_BY:
                continue
            calls += 1
            shown = [*node.args, *(k.value for k in node.keywords if k.arg not in UNREAD)]
            found += [
                f"{path.relative_to(ROOT)}:{node.lineno}: {word}"
                for argument in shown
                for word in _words(argument)
            ]
    assert calls > 40
    assert found == []


def _words(argument: ast.expr) -> list[str]:
    """What stands as words in an argument that is a literal, or is put together of literals."""
    if isinstance(argument, ast.Constant):
        text = argument.value if isinstance(argument.value, str) else ""
        return re.findall(r"[^\W\d_]{2,}", re.sub(r"</?[a-z]+>", "", text))
    if isinstance(argument, ast.JoinedStr):
        return [word for part in argument.values for word in _words(part)]
    if isinstance(argument, ast.BinOp):
        return _words(argument.left) + _words(argument.right)
    if isinstance(argument, ast.IfExp):
        return _words(argument.body) + _words(argument.orelse)
    return []


def test_what_people_wrote_is_escaped_and_ready_markup_is_not() -> None:
    assert SAMPLE("plain", what="<b>&") == "Fish &amp; <b>&lt;b&gt;&amp;</b>"
    assert SAMPLE("plain", what='"quoted"') == 'Fish &amp; <b>"quoted"</b>'
    assert SAMPLE("plain", what=Html("<i>chips</i>")) == "Fish &amp; <b><i>chips</i></b>"


def test_a_text_can_be_put_into_another_text() -> None:
    inner = SAMPLE("plain", what="a<b")
    assert isinstance(inner, Html)
    assert SAMPLE("when", day=inner) == f"on {inner}"


def test_plain_texts_have_no_markup_and_no_escapes() -> None:
    assert SAMPLE.plain("plain", what="<b>&") == "Fish & <b>&"
    assert SAMPLE.plain("plain", what=Html("<i>chips</i> &amp;")) == "Fish & chips &"
    assert not isinstance(SAMPLE.plain("plain", what="x"), Html)


@given(words=st.text(max_size=50))
def test_no_value_can_bring_markup_into_a_text(words: str) -> None:
    inside = SAMPLE("plain", what=words).removeprefix("Fish &amp; <b>").removesuffix("</b>")
    assert "<" not in inside
    assert ">" not in inside
    assert SAMPLE.plain("plain", what=words) == f"Fish & {words}"


@pytest.mark.parametrize(
    ("count", "english", "french"),
    [
        (0, "0 pictures", "0 image"),
        (1, "1 picture", "1 image"),
        (2, "2 pictures", "2 images"),
        (1234, "1,234 pictures", "1\u202f234 images"),
        (1_000_000, "1,000,000 pictures", "1\u202f000\u202f000 images"),
    ],
)
def test_plural_forms_are_those_of_the_language(count: int, english: str, french: str) -> None:
    assert EN("forecast.pictures", count=count) == english
    assert FR("forecast.pictures", count=count) == french


def test_numbers_keep_all_their_digits() -> None:
    assert EN.number(1234567) == "1,234,567"
    assert EN.number(Decimal("1234.50")) == "1,234.5"
    assert EN.number(Decimal("0.123456789")) == "0.123456789"
    assert FR.number(Decimal("-1234.5")) == "-1\u202f234,5"
    assert EN.number(Decimal("1E+3")) == "1,000"


def test_values_are_written_by_their_type() -> None:
    moment = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
    assert SAMPLE("when", day=date(2026, 3, 1)) == "on 1 Mar 2026"
    assert SAMPLE("when", day=moment) == "on 23 Nov 2026, 14:05"
    assert SAMPLE("when", day=Decimal("1000.5")) == "on 1,000.5"
    assert SAMPLE("when", day=1000) == "on 1,000"
    assert SAMPLE("when", day="1000") == "on 1000"


def test_dates_are_in_the_language_and_times_in_utc() -> None:
    moment = datetime(2026, 11, 23, 23, 30, tzinfo=timezone(-timedelta(hours=2)))
    assert FR.date(moment) == "24 nov. 2026, 01:30"
    assert FR.date(moment.replace(tzinfo=None)) == "23 nov. 2026, 23:30"
    assert FR.date(date(2026, 8, 1)) == "1 août 2026"


@pytest.mark.parametrize("value", [1.5, None, True, [], object()])
def test_a_value_of_another_type_is_a_defect(value: object) -> None:
    with pytest.raises(TypeError):
        SAMPLE("when", day=value)


def test_a_missing_text_or_value_is_a_defect() -> None:
    with pytest.raises(KeyError):
        SAMPLE("nothing")
    with pytest.raises(KeyError):
        SAMPLE("when")
    with pytest.raises(KeyError):
        SAMPLE("count")
    with pytest.raises(TypeError, match="whole number"):
        SAMPLE("count", count="1")


def test_texts_are_read_once_and_only_in_known_languages() -> None:
    assert load_texts("en") is EN
    with pytest.raises(KeyError):
        load_texts("de")


@pytest.mark.parametrize(
    ("chosen", "client", "default", "language"),
    [
        ("fr", "en", "en", "fr"),
        (None, "fr", "en", "fr"),
        (None, "fr-CA", "en", "fr"),
        (None, "FR_ca", "en", "fr"),
        (None, "de", "fr", "fr"),
        (None, None, "fr", "fr"),
        ("", "", "", "en"),
        ("xx", "frp", "de", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_clients(
    chosen: str | None, client: str | None, default: str, language: str
) -> None:
    assert pick_language(chosen, client, default) == language
