"""Whatever arrives, nothing escapes, and nobody gets what they have no right to."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tortoise.connection import get_connection

from bot import drafts
from bot.orders import Order
from bot.sandbox import Sandbox
from bot.screen.updates import readable
from db import ledger
from db.models import Access, AdminAction, ContentJob, Draft, LedgerEntry, LiveMessage, Person
from db.sql import now
from tests.faults.strange import Json, messages, mutated, presses, update_kinds, updates
from tests.handlers.bench import Bench, bench
from tests.handlers.house import know_prices
from tests.support.running import ADMIN_ID, let_in

BEA_ID, CARL_ID = 700, 701
STRANGERS = {666: None, 667: Access.STRANGER, 668: Access.PENDING, 669: Access.DENIED}
GROUP_ID = -4_000_001
EXAMPLES = 250

# The other database would see the same updates, at several times the cost; `tests/test_gate.py`
# holds the gate to both.
pytestmark = [pytest.mark.sqlite_only, pytest.mark.slow]


@dataclass(slots=True)
class House:
    """A bot, Bea who has everything, and people who have a right to nothing of it.

    Carl is a member, and has no money; only administrators set budgets here.
    """

    runner: asyncio.Runner
    bench: Bench
    numbers: list[int]
    before: list[Any]
    counts: list[Any]
    log: pytest.LogCaptureFixture
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    read: int = 0

    def is_told(self, update: Json) -> None:
        """Let it act on an update; then nothing has escaped, and nothing is taken or changed."""
        self.log.clear()
        self.runner.run(self._act(json.loads(json.dumps(update))))
        told = [r.getMessage() for r in self.log.records if r.levelno > logging.WARNING]
        assert told == []

    def assert_nothing_changed(self) -> None:
        """What others have is as it was before all of it."""
        assert self.runner.run(_belongings()) == self.before
        assert self.runner.run(_outsiders_who_are_in()) == []

    async def _act(self, update: Json) -> None:
        application = self.bench.application
        parsed = readable({**update, "update_id": next(self.ids)}, application.bot)
        if parsed is not None:
            self.read += 1
            acting = application.process_update(parsed)
            await self.bench.parts.application.update_processor.do_process_update(parsed, acting)
        assert await _counts(self.bench) == self.counts


async def _counts(made: Bench) -> list[Any]:
    """The same in short, for each update: all that is only ever added, and who is in."""
    rows = await get_connection("default").execute_query_dict(
        "SELECT (SELECT COUNT(*) FROM ledger_entry) AS entries,"
        " (SELECT COUNT(*) FROM content_job) AS jobs,"
        " (SELECT COUNT(*) FROM admin_action) AS actions,"
        " (SELECT SUM(version) FROM person) AS versions,"
        " (SELECT COUNT(*) FROM person WHERE access = 'approved' OR is_admin) AS insiders"
    )
    return [rows, list(made.sandbox.fal.calls)]


async def _belongings() -> list[Any]:
    """All that one could take or change: people but for the outsiders, jobs, money, decisions."""
    insiders = Person.filter(id__in=[BEA_ID, CARL_ID, ADMIN_ID]).order_by("id")
    return [
        await insiders.values("id", "access", "is_admin", "budget_nanos", "spent_nanos"),
        await Person.filter(id=BEA_ID).values(),
        await ContentJob.all().order_by("id").values(),
        await LedgerEntry.all().order_by("id").values(),
        await Draft.filter(person_id=BEA_ID).values(),
        await LiveMessage.filter(person_id=BEA_ID).values(),
        await AdminAction.all().count(),
    ]


async def _outsiders_who_are_in() -> list[Person]:
    in_ = Person.filter(access=Access.APPROVED).exclude(id__in=[BEA_ID, CARL_ID, ADMIN_ID])
    return [*await in_, *await Person.filter(is_admin=True).exclude(id=ADMIN_ID)]


async def _furnish(made: Bench) -> list[int]:
    """Bea's job, draft and figures; the ids that a forged button could name."""
    telegram = made.telegram
    people = [telegram.person(id=BEA_ID, name="Bea", username="bea", started=True)]
    people.append(telegram.person(id=CARL_ID, name="Carl", username="carl", started=True))
    telegram.person(id=ADMIN_ID, name="Ada", username="ada", started=True)
    await let_in(people[0], budget_nanos=10**10)
    await let_in(people[1], budget_nanos=0)
    for number, access in STRANGERS.items():
        people.append(telegram.person(id=number, name="Mal", username=f"mal{number}", started=True))
        if access is not None:
            await Person.create(id=number, name="Mal", username=f"mal{number}", access=access)
    telegram.group("Team", people, id=GROUP_ID)
    job = ContentJob(
        person_id=BEA_ID,
        origin=f"message:{BEA_ID}:1",
        chat_id=BEA_ID,
        kind="image",
        endpoint="fal-ai/flux/dev",
        prompt="a secret garden",
        arguments={"prompt": "a secret garden"},
        file_id="a-file",
        unit="megapixels",
        unit_price_nanos=25_000_000,
        price_origin="api",
        quote_nanos=25_000_000,
        created_at=now(),
    )
    movement = await ledger.hold(job, max_active_jobs=3)
    order = Order(kind="image", prompt="another", origin="message:1:2", chat_id=BEA_ID)
    draft_id = await drafts.keep(BEA_ID, order)
    return [movement.job_id or 0, draft_id, BEA_ID, CARL_ID, ADMIN_ID, *STRANGERS]


@pytest.fixture
def house(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[House]:
    monkeypatch.setattr("bot.screen.flood.FIRST_PAUSE_SECONDS", 0)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def opened() -> House:
            sandbox = await stack.enter_async_context(Sandbox())
            made = await stack.enter_async_context(
                bench(sandbox, database_url, commands_per_minute=100_000, budget_self_service=False)
            )
            await know_prices(sandbox.fal)
            numbers = await _furnish(made)
            return House(runner, made, numbers, await _belongings(), await _counts(made), caplog)

        yield runner.run(opened())
        runner.run(stack.aclose())


def cast() -> tuple[list[Json], dict[int, list[Json]]]:
    """Who acts, and where: nobody of them has a right to what is Bea's."""
    people: list[Json] = [
        {"id": number, "is_bot": False, "first_name": "Mal", "username": f"mal{number}"}
        for number in STRANGERS
    ]
    people.append({"id": CARL_ID, "is_bot": False, "first_name": "Carl", "username": "carl"})
    group: Json = {"id": GROUP_ID, "type": "group", "title": "Team"}
    chats: dict[int, list[Json]] = {
        one["id"]: [{"id": one["id"], "type": "private"}, group] for one in people
    }
    return people, chats


PEOPLE, CHATS = cast()
NAMES = ["@bea", "@ada", str(BEA_ID), str(ADMIN_ID)]


def every(strategy: st.SearchStrategy[Json], house: House) -> None:
    """Hold the house to its promise with many examples, and then once more with all of them."""

    # HYPOTHESIS_PROFILE=explore asks for more.
    @settings(max_examples=max(EXAMPLES, settings().max_examples))
    @given(strategy)
    def check(update: Json) -> None:
        house.is_told(update)

    check()
    house.assert_nothing_changed()
    assert house.read > EXAMPLES / 3, "too few of the examples are updates"


def test_updates_of_every_type_do_nothing_without_right(house: House) -> None:
    assert len(update_kinds()) >= 24
    every(updates(PEOPLE, CHATS), house)


def test_messages_in_any_script_and_length_do_nothing_without_right(house: House) -> None:
    every(messages(PEOPLE, CHATS, NAMES), house)


def test_forged_buttons_and_those_of_others_do_nothing_without_right(house: House) -> None:
    every(presses(PEOPLE, CHATS, house.numbers), house)


def test_updates_in_which_something_is_missing_or_wrong_do_nothing_without_right(
    house: House,
) -> None:
    whole = messages(PEOPLE, CHATS, NAMES) | presses(PEOPLE, CHATS, house.numbers)
    every(mutated(whole | updates(PEOPLE, CHATS)), house)
