"""`/setbudget auto`: what remains is fal's balance, measured against the last top-up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.balance import BalanceWatch
from bot.sandbox import Sandbox
from db import ledger
from db.accounts import Movement
from db.audit import verify
from db.models import EntryKind, LedgerEntry, Notice, Person
from tests.bot.accountant import ADMIN_ID, ALERTS, DOLLAR, Accountant, accountant

IMAGE_NANOS = 25_000_000


@pytest.fixture
async def office(sandbox: Sandbox, database_url: str) -> AsyncIterator[Accountant]:
    sandbox.fal.balance_nanos = 10 * DOLLAR
    async with accountant(sandbox, database_url, is_migrated=True) as made:
        yield made
        assert await verify(made.connection) == []


async def follower(office: Accountant, id: int = 1) -> Person:  # noqa: A002
    """Somebody whose budget follows fal's balance."""
    person = await office.person(id=id)
    await office.watch.start_following(person, actor_id=ADMIN_ID, origin=f"test:follow:{id}")
    await person.refresh_from_db()
    return person


async def left(person: Person) -> tuple[int | None, int]:
    """The budget, and what remains of it."""
    await person.refresh_from_db()
    assert person.budget_nanos is not None
    return person.budget_nanos, person.budget_nanos - person.spent_nanos


async def reads(office: Accountant, balance_nanos: int) -> None:
    """The balance is this at the next look."""
    office.fal.balance_nanos = balance_nanos
    await office.watch.check()


async def test_what_remains_is_the_balance(office: Accountant) -> None:
    ada = await follower(office)
    assert await left(ada) == (10 * DOLLAR, 10 * DOLLAR)
    await reads(office, 7 * DOLLAR + 1)
    assert await left(ada) == (10 * DOLLAR, 7 * DOLLAR + 1)
    assert ada.total_spent_nanos == 0  # somebody else's


async def test_a_job_is_not_counted_twice(office: Accountant) -> None:
    ada = await follower(office)
    await office.make(ada)
    assert await left(ada) == (10 * DOLLAR, 10 * DOLLAR - 25_000_000)
    await office.watch.check()
    assert await left(ada) == (10 * DOLLAR, office.fal.balance_nanos)
    assert ada.total_spent_nanos == 25_000_000


async def test_a_job_that_fal_takes_late_off_the_balance_is_off_all_the_same(
    office: Accountant,
) -> None:
    """What remains is never more than there is: a reading can be older than a charge."""
    ada = await follower(office)
    await office.make(ada)
    for balance in (10 * DOLLAR, 10 * DOLLAR, 10 * DOLLAR - IMAGE_NANOS):
        await reads(office, balance)
        assert await left(ada) == (10 * DOLLAR, 10 * DOLLAR - IMAGE_NANOS)
        office.passes(seconds=20)
    office.passes(minutes=2)
    await reads(office, 10 * DOLLAR - IMAGE_NANOS)
    assert await left(ada) == (10 * DOLLAR, 10 * DOLLAR - IMAGE_NANOS)
    assert await LedgerEntry.filter(person=ada, kind=EntryKind.ADJUSTMENT).count() == 0


async def test_a_job_that_is_off_the_balance_before_it_is_charged_counts_twice_for_a_while_only(
    office: Accountant,
) -> None:
    ada = await follower(office)
    await reads(office, 10 * DOLLAR - IMAGE_NANOS)  # fal has ended it, the bot has yet to hear
    office.fal.balance_nanos = 10 * DOLLAR
    await office.make(ada)
    await office.watch.check()
    assert await left(ada) == (10 * DOLLAR, 10 * DOLLAR - 2 * IMAGE_NANOS)
    office.passes(seconds=61)
    await office.watch.check()
    assert await left(ada) == (10 * DOLLAR, 10 * DOLLAR - IMAGE_NANOS)


async def test_who_always_makes_something_is_never_more_than_the_last_minute_behind(
    office: Accountant,
) -> None:
    """Counted twice again and again, what remains would drift away from the balance."""
    ada = await follower(office)
    for number in range(1, 8):
        await reads(office, 10 * DOLLAR - number * IMAGE_NANOS)
        office.fal.balance_nanos = 10 * DOLLAR - (number - 1) * IMAGE_NANOS
        await office.make(ada)
        await office.watch.check()
        _, remaining = await left(ada)
        behind = office.fal.balance_nanos - remaining
        assert 0 < behind <= 3 * IMAGE_NANOS
        office.passes(seconds=30)


async def test_small_differences_are_entries_like_any_other(office: Accountant) -> None:
    ada = await follower(office)
    office.fal.discount = office.fal.discount + 10
    await office.make(ada)
    office.passes(minutes=2)
    await office.watch.check()
    [entry] = await LedgerEntry.filter(person=ada, kind=EntryKind.ADJUSTMENT)
    assert (entry.spent_delta_nanos, entry.total_delta_nanos) == (-2_500_000, 0)
    assert entry.amount_nanos == office.fal.balance_nanos
    await office.watch.check()
    assert await LedgerEntry.filter(person=ada, kind=EntryKind.ADJUSTMENT).count() == 1


async def test_a_bill_and_the_balance_agree_in_the_end(office: Accountant) -> None:
    """The balance has dropped by the bill before the bill is known: it counts once."""
    ada = await follower(office)
    office.fal.discount = office.fal.discount + 10
    office.fal.account.billing_delay_seconds = 60
    await office.make(ada)
    await office.watch.check()
    office.passes(minutes=5)
    await office.reconciler.reconcile()
    await office.watch.check()
    assert await left(ada) == (10 * DOLLAR, office.fal.balance_nanos)
    assert ada.total_spent_nanos == office.fal.bill_total_nanos


async def test_a_top_up_is_what_it_is_measured_against_from_then_on(office: Accountant) -> None:
    ada = await follower(office)
    await reads(office, 4 * DOLLAR)
    await reads(office, 24 * DOLLAR)
    assert await left(ada) == (24 * DOLLAR, 24 * DOLLAR)
    await reads(office, 12 * DOLLAR)
    assert await left(ada) == (24 * DOLLAR, 12 * DOLLAR)
    kinds = [entry.kind for entry in await LedgerEntry.filter(person=ada).order_by("id")]
    assert kinds == [
        EntryKind.BUDGET,
        EntryKind.ADJUSTMENT,
        EntryKind.BUDGET,
        EntryKind.ADJUSTMENT,
    ]


async def test_alerts_come_on_the_way_down_and_are_armed_again_by_a_top_up(
    office: Accountant,
) -> None:
    ada = await follower(office)
    for balance in (3, 2, 2, 1, 0):
        await reads(office, balance * DOLLAR)
    await reads(office, 100 * DOLLAR)
    await reads(office, 24 * DOLLAR)
    alerts = await Notice.filter(person_id=ada.id, kind="alert").order_by("id")
    told = [(notice.content["percent"], notice.content["remaining_nanos"]) for notice in alerts]
    assert told == [(25, 2 * DOLLAR), (10, 0), (25, 24 * DOLLAR)]


@pytest.mark.parametrize("nanos", [3 * DOLLAR, 10 * DOLLAR, None])
async def test_any_other_budget_ends_it(office: Accountant, nanos: int | None) -> None:
    ada = await follower(office)
    await office.budget(ada, nanos)
    for balance in (2 * DOLLAR, 50 * DOLLAR):
        await reads(office, balance)
        await ada.refresh_from_db()
        assert (ada.budget_nanos, ada.spent_nanos) == (nanos, 0)


async def test_a_budget_that_is_set_at_the_moment_of_a_top_up_stands(
    office: Accountant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bea = await follower(office, 1), await follower(office, 2)
    set_budget = ledger.set_budget

    async def at_that_moment(person_id: int, *arguments: Any, **how: Any) -> Movement:
        await set_budget(bea.id, 3 * DOLLAR, actor_id=bea.id, origin="test:her own")
        return await set_budget(person_id, *arguments, **how)

    monkeypatch.setattr(ledger, "set_budget", at_that_moment)
    await reads(office, 20 * DOLLAR)
    assert await left(ada) == (20 * DOLLAR, 20 * DOLLAR)
    assert await left(bea) == (3 * DOLLAR, 3 * DOLLAR)
    assert bea.followed_balance_nanos is None


async def test_several_who_follow_see_the_same_balance(office: Accountant) -> None:
    ada, bea = await follower(office, 1), await follower(office, 2)
    await office.make(ada, "video")
    await office.watch.check()
    assert await left(ada) == await left(bea) == (10 * DOLLAR, 9 * DOLLAR + DOLLAR // 2)
    assert (ada.total_spent_nanos, bea.total_spent_nanos) == (DOLLAR // 2, 0)


async def test_who_follows_is_promised_nothing(office: Accountant) -> None:
    await follower(office)
    await office.person(4 * DOLLAR)
    assert (await office.watch.coverage()).promised_nanos == 4 * DOLLAR


async def test_the_same_command_twice_is_one_command(office: Accountant) -> None:
    ada = await follower(office)
    await reads(office, 4 * DOLLAR)
    await office.watch.start_following(ada, actor_id=ADMIN_ID, origin="test:follow:1")
    assert await left(ada) == (10 * DOLLAR, 4 * DOLLAR)


async def test_a_rise_while_a_command_reads_the_balance_counts_for_all(
    office: Accountant,
) -> None:
    """Whoever reads first, a rise is seen once, by everybody who follows."""
    ada = await follower(office, 1)
    office.fal.balance_nanos = 30 * DOLLAR
    bea = await follower(office, 2)
    assert await left(ada) == await left(bea) == (30 * DOLLAR, 30 * DOLLAR)
    await office.watch.check()
    assert await LedgerEntry.filter(kind=EntryKind.BUDGET).count() == 3


class Dawdling(BalanceWatch):
    """A process that is held up between a reading and what follows from it."""

    read: asyncio.Event
    goes_on: asyncio.Event

    async def _follow(self, *reading: Any) -> None:
        self.read.set()
        await self.goes_on.wait()
        await super()._follow(*reading)


async def test_a_process_that_is_held_up_does_not_take_an_old_reading_for_a_top_up(
    office: Accountant,
) -> None:
    ada = await follower(office)
    held_up = Dawdling(
        office.admin_platform,
        low_nanos=0,
        alert_percents=ALERTS,
        admin_ids=[],
        on_notice=lambda: None,
    )
    held_up.read, held_up.goes_on = asyncio.Event(), asyncio.Event()
    checking = asyncio.create_task(held_up.check())
    await held_up.read.wait()
    await reads(office, 4 * DOLLAR)
    held_up.goes_on.set()
    await checking
    assert await left(ada) == (10 * DOLLAR, 4 * DOLLAR)
    assert await LedgerEntry.filter(kind=EntryKind.BUDGET).count() == 1
