"""Telegram's limits, with the longest that people, models and amounts can be.

The sandbox refuses what Telegram would refuse, and counts in UTF-16, which is never the laxer way.
"""

from __future__ import annotations

import logging
import string
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.added import LONGEST_KEY, LONGEST_NAME, MOST_ADDED
from bot.catalog import load_catalog
from bot.i18n import LANGUAGES, Texts, load_texts
from bot.money import MAX_BUDGET_NANOS, Currency
from bot.sandbox import Sandbox
from bot.sandbox.telegram import Content
from bot.sandbox.telegram import Person as Visitor
from bot.schema import vars_of
from bot.screen.jobwords import JobWords
from bot.voice import Voice
from db.actions import record
from db.models import Access, AddedModel, ContentJob, CostSource, JobState, Person, Price
from db.sql import now
from db.steps import at_once
from tests.handlers.bench import Bench, bench
from tests.support.running import ADMIN_ID, let_in

# Telegram's own limits (Bot API, "User"; BotFather): 64 each for first and last name, 32 for @name.
NAME = f"{'Wilhelmina ' * 6}"[:64] + " " + f"{'Montgomery-' * 6}"[:64]
USERNAME = "w" * 32
PERSON_ID = 10**15 + 1
AMOUNT = "-$1,000,000.123456789"
PROMPT = "🦊" * 4000
LONGEST: dict[str, object] = {
    "accepted": "USD / EUR",
    "all": "99999",
    "amount": AMOUNT,
    "arguments": "a" * 300,
    "available": AMOUNT,
    "balance": AMOUNT,
    "bar": "▰" * 10,
    "budget": AMOUNT,
    "by": NAME,
    "category": "c" * 96,
    "charged": AMOUNT,
    "code": "EUR",
    "command": "/" + "c" * 32,
    "cost": AMOUNT,
    "count": 10**9,
    "date": datetime(2026, 9, 30, 23, 59, tzinfo=UTC),
    "done": "99999",
    "emoji": "🟢",
    "example": "flux-schnell-turbo-extra",
    "expected": AMOUNT,
    "failed": 10**9,
    "first": "1,000,000,000 pictures",
    "good_for": "g" * 120,
    "id": str(PERSON_ID),
    "job": str(2**63),
    "key": "k" * 32,
    "largest": 1_000_000,
    "least": "1",
    "length": 10**6,
    "line": "🔴 " + AMOUNT * 2,
    "mark": "✅",
    "model": "Luma Dream Machine Ray 2 Flash",
    "models": ", ".join(["flux-schnell-turbo-extra"] * 12),
    "most": 10**6,
    "name": NAME,
    "number": str(2**63),
    "option": "--" + "o" * 40,
    "outside": AMOUNT,
    "percent": "-1000000",
    "person_id": str(PERSON_ID),
    "promised": AMOUNT,
    "prompt": "🦊" * 400,
    "quote": AMOUNT,
    "rate": Decimal("1234567.123456"),
    "ratios": ", ".join(["21:9"] * 12),
    "remaining": AMOUNT,
    "role": "administrateur",
    "second": "1,000,000,000 videos",
    "spent": AMOUNT,
    "status": "🔴 " + AMOUNT * 2,
    "then": AMOUNT,
    "time": "100:59",
    "total": AMOUNT,
    "unit": "compute seconds of a GPU",
    "url": "https://v3.fal.media/files/" + "u" * 200,
    "username": f"@{USERNAME}",
    "value": "v" * 60,
    "what": "w" * 60,
    "whom": NAME,
}
# What is shown in the answer to a press, and cut at 200 if it is longer.
ANSWERS = (
    "access.not_for_you",
    "cancel.asked",
    "cancel.done",
    "cancel.too_late",
    "decision.approved",
    "decision.approved_before",
    "decision.denied",
    "decision.denied_before",
    "error.account_locked",
    "error.admins_only",
    "error.cannot_deny_admin",
    "error.request.model_gone",
    "error.request.option_seed_unused",
    "error.request.result_gone",
    "error.stale_button",
    "error.too_dear",
    "error.too_many_jobs",
    "error.unexpected",
    "history.gone",
    "models.chosen",
    "resolved.before",
    "resolved.charge",
    "resolved.release",
    "result.only_one",
    "result.some_ready",
    "result.started",
)


def units(text: str) -> int:
    """The length as JavaScript and Telegram's clients count it."""
    return len(text.encode("utf-16-le")) // 2


def filled(texts: Texts, key: str, entry: str | dict[str, str]) -> str:
    """The text with the longest values there are, free of markup."""
    forms = [entry] if isinstance(entry, str) else list(entry.values())
    names = {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name}
    if not isinstance(entry, str):
        names.add("count")
    return texts.plain(key, **{name: LONGEST[name] for name in names})


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_fits_where_it_is_shown(language: str) -> None:
    texts = load_texts(language)
    for key, entry in texts.entries.items():
        length = units(filled(texts, key, entry))
        room, _, name = key.partition(".")
        if room == "button":
            assert 1 <= length <= 40, key  # more is cut on a phone
        elif room == "command":
            assert 1 <= length <= 256, name  # Bot API, `BotCommand.description`
        elif key == "result.album":
            assert 1 <= length <= 1024  # a caption
        else:
            assert 1 <= length <= 4096, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_answer_to_a_press_is_not_cut(language: str) -> None:
    texts = load_texts(language)
    usual = {"name": "Maximilian Mustermann", "by": "Maximilian Mustermann"}
    for key in ANSWERS:
        entry = texts.entries[key]
        forms = [entry] if isinstance(entry, str) else list(entry.values())
        named = {name for form in forms for _, name, _, _ in string.Formatter().parse(form)}
        values = {n: usual.get(n, LONGEST[n]) for n in {*named, "count"} if n in LONGEST}
        assert len(texts.plain(key, **values)) <= 200, key


# ------------------------------------------------------------------------ what is said of a job


def job_of(**values: object) -> ContentJob:
    """A job with the longest of everything."""
    return ContentJob(
        id=2**62,
        person_id=PERSON_ID,
        chat_id=PERSON_ID,
        prompt=PROMPT,
        endpoint="fal-ai/luma-dream-machine/ray-2-flash/image-to-video",
        quote_nanos=MAX_BUDGET_NANOS + 123_456_789,
        cost_nanos=MAX_BUDGET_NANOS + 123_456_789,
        created_at=now() - timedelta(hours=20),
        seed=2**31,
        **{"kind": "image", "price_origin": "fallback", "state": JobState.DELIVERED} | values,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_said_of_a_job_fits_a_caption_or_a_message(language: str) -> None:
    voice = Voice(load_texts(language), Currency("EUR", Decimal("0.123456789")))
    person = Person(
        id=PERSON_ID,
        budget_nanos=MAX_BUDGET_NANOS + 987_654_321,
        spent_nanos=2 * MAX_BUDGET_NANOS + 123_456_789,
    )
    model = max((model.name for model in load_catalog().models), key=len)
    for kind in ("image", "video"):
        flagged = {"media": [{"url": "https://v3.fal.media/x", "flagged": True}]}
        for result in (None, flagged):
            words = JobWords(voice, job_of(kind=kind, result=result), person, model)
            assert units(plain(words.caption())) <= 1024, (kind, result)
            assert units(plain(words.link(str(LONGEST["url"])))) <= 4096
            assert units(plain(words.waiting())) <= 4096
            for button in [
                *sum(words.result_buttons(in_album=True).inline_keyboard, ()),
                *keyboard_of(words.cancel_button()),
            ]:
                assert len(str(button.callback_data).encode()) <= 64
        for key in load_texts(language).entries:
            if key.startswith("failed."):
                failed = job_of(kind=kind, state=JobState.FAILED, error=key.removeprefix("failed."))
                assert units(plain(JobWords(voice, failed, person, model).ended())) <= 4096


def keyboard_of(markup: InlineKeyboardMarkup | None) -> Sequence[InlineKeyboardButton]:
    assert markup is not None
    return markup.inline_keyboard[0]


def plain(markup: str) -> str:
    """A text as Telegram counts it: without its markup, which people's own words are not."""
    from bot.sandbox.telegram.formatting import read_text

    return read_text(markup, "HTML", None)[0]


# ---------------------------------------------------------------------------- with a full house


@pytest.fixture
async def crowded(database_url: str) -> AsyncIterator[Bench]:
    """A bot that has sixty people, all with the longest names, budgets and prompts."""
    async with (
        Sandbox() as sandbox,
        bench(sandbox, database_url, commands_per_minute=1000) as made,
    ):
        for number in range(60):
            await Person.create(
                id=PERSON_ID + number,
                name=NAME,
                username=f"{USERNAME[:-2]}{number:02}",
                access=[Access.APPROVED, Access.PENDING, Access.DENIED][number % 3],
                budget_nanos=MAX_BUDGET_NANOS - number - 1,
                spent_nanos=2 * MAX_BUDGET_NANOS + number,
                total_spent_nanos=3 * MAX_BUDGET_NANOS + number,
            )
            await at_once(record(ADMIN_ID, "approved", PERSON_ID + number))
        await offer_all_that_fit()
        yield made


async def offer_all_that_fit() -> None:
    """As many added models as there may be, all with the longest names."""
    for number in range(MOST_ADDED):
        endpoint = replace(
            load_catalog().endpoint("fal-ai/luma-dream-machine/ray-2-flash"),
            id=f"acme/{'v' * 180}{number:02}",
            fallback_unit_price=Decimal("999.123456789"),
        )
        await AddedModel.create(
            endpoint=endpoint.id,
            key=f"{'k' * (LONGEST_KEY - 2)}{number:02}",
            name="N" * LONGEST_NAME,
            takes_image=False,
            definition=vars_of(endpoint),
            added_by=ADMIN_ID,
            created_at=now(),
        )


async def admin_of(made: Bench, language: str) -> Visitor:
    ada = made.telegram.person(id=ADMIN_ID, name=NAME[:64], last_name=NAME[65:], language=language)
    await let_in(ada, is_admin=True, budget_nanos=MAX_BUDGET_NANOS - 1)
    ada.username = USERNAME
    for number in range(20):
        await ContentJob.create(
            person_id=ada.id,
            origin=f"test:{number}",
            chat_id=ada.id,
            kind="video" if number % 2 else "image",
            endpoint="fal-ai/luma-dream-machine/ray-2-flash/image-to-video",
            prompt=PROMPT,
            arguments={},
            state=JobState.SUBMITTED if number < 3 else JobState.DELIVERED,
            is_held=number < 3,
            unit="videos",
            unit_price_nanos=1,
            price_origin="api",
            quote_nanos=MAX_BUDGET_NANOS + 123_456_789,
            cost_nanos=MAX_BUDGET_NANOS + 123_456_789,
            cost_source=CostSource.UNITS,
            file_id="x" * 80,
            created_at=now(),
        )
    return ada


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_answer_of_a_full_house_fits(
    crowded: Bench, language: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    ada = await admin_of(crowded, language)
    unexpected = load_texts(language).plain("error.unexpected")
    for text in (
        "/start",
        "/help",
        "/budget",
        "/setbudget 1000000",
        f"/setbudget 999999.123456789 @{USERNAME[:-2]}00",
        "/dashboard",
        "/history",
        "/models",
        f"/models add acme/{'v' * 180}",
        f"/models remove {'k' * 30}00",
        "/settings",
        "/cancel",
        "/forget",
        "/pending",
        "/users",
        "/stats",
        f"/deny {PERSON_ID}",
        f"/approve {PERSON_ID}",
        "/balance",
        "/reconcile",
    ):
        said = await crowded.hears_of(ada, text)
        assert said, text
        assert unexpected not in [message.text for message in said], text
        # Whatever the person pressed next fits too.
        for button in {button.get("callback_data") for m in said for button in m.buttons[:6]}:
            if button:
                assert len(button.encode()) <= 64
    [page] = await crowded.hears_of(ada, "/history")
    query = await crowded.feels(ada, page, "history:1")
    assert query.answers
    assert "▶️" in page.button_texts
    assert [r.message for r in caplog.records if r.levelno >= logging.ERROR] == []
    assert [text for text in crowded.telegram.complaints if "long" in text] == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_whatever_is_typed_is_answered_however_long(crowded: Bench, language: str) -> None:
    ada = await admin_of(crowded, language)
    for text in (
        f"/approve {'x' * 4000}",
        f"/deny @{'x' * 4000}",
        f"/setbudget 5 @{'x' * 4000}",
        f"/setbudget {'9' * 4000}",
        f"/image --{'x' * 4000}",
        f"/image --model {'x' * 4000} a fox",
        f"/{'x' * 32} {'x' * 4000}",
        "/" + "🦊" * 2000,
        "x" * 4096,
        f"/approve {'&' * 4000}",
    ):
        assert await crowded.hears_of(ada, text), text[:40]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_an_answer_too_long_for_a_press_becomes_a_message(
    crowded: Bench, language: str
) -> None:
    ada = await admin_of(crowded, language)
    await Price.create(
        endpoint="fal-ai/luma-dream-machine/ray-2-flash/image-to-video",
        unit="thousand compute seconds on the largest machine",
        unit_price_nanos=1,
        fetched_at=now(),
    )
    job = await ContentJob.filter(person_id=ada.id).last()
    assert job is not None
    shown = ada.chat.add(Content("a result"), None)
    query = await crowded.feels(ada, shown, f"redo:{job.id}")
    assert query.answers
    assert query.text is None
    said = ada.chat.last.text
    assert len(said) > 200
    assert said.endswith("/models.")
