"""The gate, in front of every handler that there is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import hypothesis
import pytest
from hypothesis import strategies
from telegram import Update
from telegram.ext import BaseHandler, CallbackQueryHandler, CommandHandler

from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Chat, Content, Message, Query
from bot.sandbox.telegram import Person as Visitor
from bot.screen import flood
from db.models import Access, AdminAction, ContentJob, LedgerEntry, Notice, Person
from handlers.commands import ADMIN_COMMANDS, MEMBER_COMMANDS
from handlers.context import Context
from handlers.gate import OPEN_COMMANDS
from tests.handlers.bench import Bench, bench
from tests.support.running import ADMIN_ID, let_in

OUTSIDERS = ("unknown", "stranger", "pending", "denied")
SENTENCES = {
    "unknown": "This bot is private. Send /start to ask for access.",
    "stranger": "This bot is private. Send /start to ask for access.",
    "pending": "Your request is with the administrators. "
    "You will hear from me as soon as one of them has decided.",
}
OPEN_SENTENCES = {
    ("unknown", "start"): "Hello! This bot is private. I have asked the administrators to let you "
    "in; you will hear from me.",
    ("pending", "start"): SENTENCES["pending"],
    ("unknown", "help"): "I make pictures and videos for a team that shares one fal.ai account. "
    "Send /start to ask for access.",
}
OPEN_SENTENCES |= {
    ("stranger", "start"): OPEN_SENTENCES["unknown", "start"],
    ("stranger", "help"): OPEN_SENTENCES["unknown", "help"],
    ("pending", "help"): OPEN_SENTENCES["unknown", "help"],
}
MEMBER_ID, VISITOR_ID = 700, 666


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that a person does: an update, and what it is about."""

    name: str
    update: dict[str, Any]
    command: str | None = None
    query: Query | None = None


@pytest.fixture
async def house(sandbox: Sandbox, database_url: str) -> AsyncIterator[Bench]:
    """A bot with a member, who has a budget and a job, and a visitor who wants all of it."""
    async with bench(sandbox, database_url, commands_per_minute=10_000) as made:
        member = sandbox.telegram.person(id=MEMBER_ID, name="Bea", username="bea")
        await let_in(member, budget_nanos=10**10)
        await _job_of(MEMBER_ID)
        sandbox.telegram.person(id=ADMIN_ID, name="Ada", username="ada", started=True)
        yield made


async def _job_of(person_id: int) -> ContentJob:
    from db import ledger
    from db.sql import now

    job = ContentJob(
        person_id=person_id,
        origin=f"message:{person_id}:1",
        chat_id=person_id,
        kind="image",
        endpoint="fal-ai/flux/dev",
        prompt="a secret garden",
        arguments={},
        unit="megapixels",
        unit_price_nanos=25_000_000,
        price_origin="api",
        quote_nanos=25_000_000,
        created_at=now(),
    )
    movement = await ledger.hold(job, max_active_jobs=3)
    return await ContentJob.get(id=movement.job_id)


# ------------------------------------------------------------------------- everything there is


def registered(house: Bench) -> list[BaseHandler[Update, Context, None]]:
    """Every handler behind the gate."""
    groups = cast("dict[int, list[Any]]", house.application.handlers)
    return [handler for group, handlers in groups.items() if group >= 0 for handler in handlers]


def command_names(house: Bench) -> list[str]:
    """Every command that a handler takes or a menu shows."""
    names = {"start", *MEMBER_COMMANDS, *ADMIN_COMMANDS}
    for handler in registered(house):
        if isinstance(handler, CommandHandler):
            names |= handler.commands
    return sorted(names)


def button_data(house: Bench, visitor: Visitor) -> list[str]:
    """Callback data that each handler of buttons takes, with numbers that mean something."""
    made = ["made up", "approve:", "cancel:-1"]
    for handler in registered(house):
        if not isinstance(handler, CallbackQueryHandler) or handler.pattern is None:
            continue
        assert isinstance(handler.pattern, re.Pattern), f"no example for {handler.pattern}"
        example = _example(handler.pattern.pattern)
        made.append(example)
        for number in (1, visitor.id, MEMBER_ID, ADMIN_ID):
            made += [re.sub(r"\d+", str(number), example)]
    return list(dict.fromkeys(made))


@cache
def _example(pattern: str) -> str:
    """Some callback data that the pattern takes."""
    found = hypothesis.find(
        strategies.from_regex(pattern, fullmatch=True),
        lambda data: 1 <= len(data.encode()) <= 64,
        settings=hypothesis.settings(
            database=None, derandomize=True, phases=[hypothesis.Phase.generate]
        ),
    )
    return found.strip()


async def attempts(house: Bench, visitor: Visitor, chat: Chat) -> list[Attempt]:
    """One of everything that a person can do to the bot, so that every handler gets some."""
    shown = chat.add(Content("something that the bot has shown"), None)
    made: list[Attempt] = []

    def took(name: str, command: str | None = None, query: Query | None = None) -> None:
        pending = house.telegram.updates.pending
        assert len(pending) <= 1, f"{name} is more than one update"
        if pending:  # in groups the bot does not hear everything
            made.append(Attempt(name, pending.pop(), command, query))

    for command in command_names(house):
        for words in ("", " 5.00 @bea", f" {MEMBER_ID}"):
            await visitor.sends(f"/{command}{words}", chat)
            took(f"/{command}{words}", command)
        await visitor.sends(f"/{command} 5.00", chat, reply_to=shown)
        took(f"/{command} 5.00 as a reply", command)
        await visitor.sends_photo(caption=f"/{command} a red fox", chat=chat)
        took(f"/{command} under a photo", command)
    await visitor.sends("/nosuchcommand", chat)
    took("a command that there is not")
    await visitor.sends("let me in", chat)
    took("a text")
    await visitor.sends_photo(chat=chat)
    took("a photo")
    await visitor.sends_sticker(chat)
    took("a sticker")
    await visitor.sends_document(b"x", caption="/image x", chat=chat)
    took("a document")
    for data in button_data(house, visitor):
        query = await visitor.presses(shown, data, stale=True, wait=False)
        took(f"a button with {data!r}", query=query)
    return made


@contextmanager
def only_noted(house: Bench) -> Iterator[list[Any]]:
    """Handlers, and what the gate opens, are not run but noted."""
    reached: list[Any] = []

    def note(handler: Any) -> Any:
        async def callback(update: Update, context: Context) -> None:
            reached.append(handler)

        return callback

    with pytest.MonkeyPatch.context() as patch:
        for handler in registered(house):
            patch.setattr(handler, "callback", note(handler))
        for command in OPEN_COMMANDS:
            patch.setitem(OPEN_COMMANDS, command, note(command))
        yield reached


async def place(visitor: Visitor, standing: str) -> None:
    """Bring the visitor to where they stand, as if they had just come there."""
    await Notice.all().delete()
    await Person.filter(id=visitor.id).delete()
    if standing != "unknown":
        await Person.create(id=visitor.id, name="Mal", access=Access(standing))


async def belongings() -> list[Any]:
    """Everything that a stranger could take or change."""
    people = await Person.exclude(id=VISITOR_ID).order_by("id").values()
    jobs = await ContentJob.all().order_by("id").values()
    entries = await LedgerEntry.all().order_by("id").values()
    return [people, jobs, entries, await AdminAction.all().count()]


def said(house: Bench) -> list[Message]:
    chats = house.telegram.chats.values()
    return [message for chat in chats for message in chat.messages if message.from_bot]


@asynccontextmanager
async def nothing_happens(house: Bench) -> AsyncIterator[None]:
    """No request to fal, nothing taken or changed, and the visitor is no one yet."""
    before = await belongings()
    yield
    assert house.sandbox.fal.calls == []
    assert await belongings() == before


async def told(house: Bench, attempt: Attempt) -> list[str]:
    """What the bot says to an attempt, after which the visitor is still no one."""
    before = len(said(house))
    await house.is_told(attempt.update)
    visitor = await Person.get_or_none(id=VISITOR_ID)
    assert visitor is None or (visitor.access != Access.APPROVED and not visitor.is_admin)
    assert house.sandbox.fal.calls == [], attempt.name
    return [message.text for message in said(house)[before:]]


# ---------------------------------------------------------------------------------- the promises


async def test_the_attempts_reach_every_handler_there_is(house: Bench) -> None:
    admin = house.telegram.person(id=ADMIN_ID)
    with only_noted(house) as reached:
        for attempt in await attempts(house, admin, admin.chat):
            await house.is_told(attempt.update)
    missed = [handler for handler in registered(house) if handler not in reached]
    assert missed == [], "tests.test_gate has no example of what these take"


@pytest.mark.parametrize("where", ["private", "group"])
@pytest.mark.parametrize("standing", OUTSIDERS)
async def test_outsiders_reach_the_open_commands_and_no_handler(
    house: Bench, standing: str, where: str
) -> None:
    visitor = house.telegram.person(id=VISITOR_ID, name="Mal", started=True)
    chat = house.telegram.group("Team", [visitor]) if where == "group" else visitor.chat
    with only_noted(house) as reached:
        for attempt in await attempts(house, visitor, chat):
            await place(visitor, standing)
            await house.is_told(attempt.update)
            is_open = attempt.command in OPEN_COMMANDS and standing != "denied"
            assert reached == ([attempt.command] if is_open else []), attempt.name
            reached.clear()
    assert set(OPEN_COMMANDS) == {"start", "help"}


@pytest.mark.parametrize("standing", OUTSIDERS)
async def test_an_outsider_reaches_nothing_and_sees_one_sentence(
    house: Bench, standing: str
) -> None:
    visitor = house.telegram.person(id=VISITOR_ID, name="Mal", started=True)
    async with nothing_happens(house):
        for attempt in await attempts(house, visitor, visitor.chat):
            await place(visitor, standing)
            words = await told(house, attempt)
            if attempt.query is not None:
                assert words == [], attempt.name
                assert attempt.query.text == "This is not for you.", attempt.name
                continue
            sentence = SENTENCES.get(standing)
            if attempt.command in OPEN_COMMANDS:
                sentence = OPEN_SENTENCES.get((standing, attempt.command))
            assert words == ([sentence] if sentence else []), attempt.name


@pytest.mark.parametrize("standing", OUTSIDERS)
async def test_an_outsider_in_a_group_is_not_even_answered(house: Bench, standing: str) -> None:
    visitor = house.telegram.person(id=VISITOR_ID, name="Mal", started=True)
    group = house.telegram.group("Team", [visitor])
    async with nothing_happens(house):
        for attempt in await attempts(house, visitor, group):
            if attempt.command not in OPEN_COMMANDS:
                await place(visitor, standing)
                assert await told(house, attempt) == [], attempt.name


async def test_the_gate_stays_shut_when_its_answer_fails(
    house: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """python-telegram-bot goes on to the next handlers after an error in the first."""
    visitor = house.telegram.person(id=VISITOR_ID, name="Mal", started=True)
    tried = [
        await visitor.sends("/image a red fox"),
        await visitor.sends_photo(caption="/video a red fox"),
    ]
    await visitor.presses(tried[0], f"approve:{VISITOR_ID}", stale=True, wait=False)
    updates, house.telegram.updates.pending = house.telegram.updates.pending, []
    monkeypatch.setattr(flood, "FIRST_PAUSE_SECONDS", 0)
    with only_noted(house) as reached:
        for kind in ("server_error", "flood", "refused", "blocked", "reset"):
            house.telegram.faults.clear()
            house.telegram.faults.add(Fault(kind, retry_after=0), times=None)
            for standing in OUTSIDERS:
                for update in updates:
                    await place(visitor, standing)
                    await house.is_told(update)
                    assert reached == [], (kind, standing, update)


async def test_a_button_too_old_to_be_answered_does_not_open_the_gate(house: Bench) -> None:
    visitor = house.telegram.person(id=VISITOR_ID, name="Mal", started=True)
    house.telegram.query_seconds = -1
    with only_noted(house) as reached:
        for attempt in await attempts(house, visitor, visitor.chat):
            if attempt.query is not None:
                await place(visitor, "pending")
                await house.is_told(attempt.update)
    assert reached == []


async def test_updates_of_other_kinds_open_nothing(house: Bench) -> None:
    visitor = house.telegram.person(id=VISITOR_ID, name="Mal", started=True)
    message = (await visitor.sends("/image a cat")).json()
    house.telegram.updates.drop()
    await let_in(visitor)
    with only_noted(house) as reached:
        for number, kind in enumerate(("edited_message", "channel_post", "edited_channel_post")):
            await house.is_told({"update_id": number, kind: message})
        robot = message | {"from": {"id": 3, "is_bot": True, "first_name": "Other"}}
        await house.is_told({"update_id": 9, "message": robot})
        del robot["from"]
        await house.is_told({"update_id": 10, "message": robot})
    assert reached == []
