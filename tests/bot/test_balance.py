"""fal's balance: watched, told once per occasion, followed; and what happens while it is empty."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.balance import BalanceWatch
from bot.errors import AccountLocked, NeedsAdminKey
from bot.fal.errors import FalError
from bot.fal.platform import Platform
from bot.sandbox import Fault, Sandbox
from db.audit import verify
from db.models import Access, BalanceReading, ContentJob, JobState, Person
from tests.bot.accountant import ADMIN_ID, ALERTS, DOLLAR, LOW_NANOS, Accountant, accountant


@pytest.fixture
async def office(sandbox: Sandbox, database_url: str) -> AsyncIterator[Accountant]:
    async with accountant(sandbox, database_url, is_migrated=True) as made:
        yield made
        assert await verify(made.connection) == []


async def told(office: Accountant, kind: str) -> int:
    """How often the admin was told of a thing."""
    return len(await office.notices(kind))


# ------------------------------------------------------------------------ what people may spend


async def test_the_balance_stands_beside_what_people_may_still_spend(office: Accountant) -> None:
    office.fal.balance_nanos = 12 * DOLLAR + 1
    await office.person(7 * DOLLAR)
    bea = await office.person(5 * DOLLAR)
    await office.make(bea)
    await office.person()  # without a budget nothing is promised
    out = await office.person(DOLLAR)
    await Person.filter(id=out.id).update(access=Access.DENIED)
    coverage = await office.watch.coverage()
    assert coverage.balance_nanos == office.fal.balance_nanos
    assert coverage.promised_nanos == 12 * DOLLAR - 25_000_000
    assert coverage.is_covered


async def test_who_has_spent_too_much_takes_nothing_from_the_others(office: Accountant) -> None:
    office.fal.faults.add(Fault("units", units="80"), "job")
    await office.make(await office.person(DOLLAR))
    await office.person(3 * DOLLAR)
    assert (await office.watch.coverage()).promised_nanos == 3 * DOLLAR


@pytest.mark.parametrize("missing", [0, 1])
async def test_what_is_promised_is_covered_to_the_nano_dollar(
    office: Accountant, missing: int
) -> None:
    await office.person(10 * DOLLAR)
    office.fal.balance_nanos = 10 * DOLLAR - missing
    assert (await office.watch.coverage()).is_covered is not bool(missing)


async def test_a_job_under_way_is_no_reason_to_worry(office: Accountant) -> None:
    """fal has taken its cost already, the budget has not: both are right."""
    office.fal.pace = "manual"
    office.fal.balance_nanos = 10 * DOLLAR
    bea = await office.person(10 * DOLLAR)
    await office.order(bea)
    [request] = await office.fal.wait_for_requests()
    office.fal.balance_nanos -= 25_000_000
    await office.watch.check()
    assert await told(office, "balance_promised") == 0
    office.fal.balance_nanos += 25_000_000
    office.fal.complete(request)
    await office.settled()
    await office.watch.check()
    assert await told(office, "balance_promised") == 0


# --------------------------------------------------------------------------- notices to the admins


async def test_a_low_balance_is_told_once_and_again_when_it_is_low_again(
    office: Accountant,
) -> None:
    for balance, times in (
        (LOW_NANOS, 0),
        (LOW_NANOS - 1, 1),
        (LOW_NANOS - 2, 1),
        (0, 1),
        (LOW_NANOS, 1),
        (LOW_NANOS - 1, 2),
    ):
        office.fal.balance_nanos = balance
        await office.watch.check()
        assert await told(office, "balance_low") == times
    notice = (await office.notices("balance_low"))[0]
    assert notice.content["balance_nanos"] == LOW_NANOS - 1


async def test_promises_beyond_the_balance_are_told_once_and_again_on_a_new_occasion(
    office: Accountant,
) -> None:
    bea = await office.person(20 * DOLLAR)
    for balance, times in ((20, 0), (19, 1), (18, 1), (20, 1), (19, 2)):
        office.fal.balance_nanos = balance * DOLLAR
        await office.watch.check()
        assert await told(office, "balance_promised") == times
    await office.budget(bea, 19 * DOLLAR)
    await office.watch.check()
    await office.budget(bea, 21 * DOLLAR)
    await office.watch.check()
    [_, _, notice] = await office.notices("balance_promised")
    assert notice.content["promised_nanos"] == 21 * DOLLAR
    assert notice.content["balance_nanos"] == 19 * DOLLAR


@pytest.mark.parametrize("fault", ["html", "garbage", "reset", "rate_limited", "unauthorized"])
async def test_a_balance_that_cannot_be_read_changes_nothing_and_is_logged(
    office: Accountant, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    office.fal.balance_nanos = 0
    office.fal.faults.add(Fault(fault, retry_after=0), "billing")
    await office.watch.check()
    assert caplog.records
    assert await told(office, "balance_low") == 0
    assert not await BalanceReading.exists()
    await office.watch.check()
    assert await told(office, "balance_low") == 1


async def test_without_an_admin_key_the_balance_is_not_asked_for(
    sandbox: Sandbox, database_url: str
) -> None:
    async with accountant(sandbox, database_url, is_migrated=True, has_admin_key=False) as office:
        bea = await office.person(DOLLAR)
        await office.watch.check()
        for ask in (
            office.watch.coverage(),
            office.watch.start_following(bea, actor_id=ADMIN_ID, origin="test"),
        ):
            with pytest.raises(NeedsAdminKey):
                await ask
        await bea.refresh_from_db()
        assert bea.budget_nanos == DOLLAR
        assert not office.fal.calls


async def test_a_key_without_the_scope_is_told_apart_from_silence(office: Accountant) -> None:
    office.fal.account.admin_key = "another"
    with pytest.raises(NeedsAdminKey):
        await office.watch.coverage()
    await office.watch.check()  # and nothing breaks


# ------------------------------------------------------------------------ while it is locked


async def lock(office: Accountant, person: Person) -> ContentJob:
    """The job by which the bot learns that the account is locked."""
    office.fal.balance_nanos = 0
    return await office.make(person)


async def test_a_locked_account_gives_the_hold_back_and_is_told_once(office: Accountant) -> None:
    bea = await office.person(DOLLAR)
    first = await lock(office, bea)
    assert (first.state, first.error, first.cost_nanos) == (JobState.FAILED, "account_locked", 0)
    submits = len([call for call in office.fal.calls if call.operation == "submit"])
    for _ in range(3):
        with pytest.raises(AccountLocked):
            await office.order(bea)
    await bea.refresh_from_db()
    assert (bea.held_nanos, bea.spent_nanos, bea.active_jobs) == (0, 0, 0)
    assert await ContentJob.all().count() == 1
    assert len([call for call in office.fal.calls if call.operation == "submit"]) == submits
    assert await told(office, "account_locked") == 1


async def test_jobs_that_were_sent_together_lock_the_account_once(office: Accountant) -> None:
    bea = await office.person(DOLLAR)
    offers = [await office.offer(bea) for _ in range(5)]
    office.fal.balance_nanos = 0
    for offer in offers:
        await office.jobs.place(bea, offer)
    await office.settled()
    assert await ContentJob.filter(error="account_locked").count() == 5
    await bea.refresh_from_db()
    assert (bea.held_nanos, bea.active_jobs) == (0, 0)
    assert await told(office, "account_locked") == 1


async def test_a_top_up_opens_the_account_at_once(office: Accountant) -> None:
    bea = await office.person(DOLLAR)
    await lock(office, bea)
    await office.watch.check()
    with pytest.raises(AccountLocked):
        await office.order(bea)
    office.fal.balance_nanos = 10 * DOLLAR
    await office.watch.check()
    assert (await office.make(bea)).state == JobState.DELIVERED


async def test_without_an_admin_key_a_try_now_and_then_opens_the_account(
    sandbox: Sandbox, database_url: str
) -> None:
    async with accountant(sandbox, database_url, is_migrated=True, has_admin_key=False) as office:
        bea = await office.person(DOLLAR)
        await lock(office, bea)
        office.passes(minutes=6)
        assert (await office.make(bea)).error == "account_locked"  # one try, in vain
        with pytest.raises(AccountLocked):
            await office.order(bea)
        assert await told(office, "account_locked") == 1
        office.fal.balance_nanos = 10 * DOLLAR
        with pytest.raises(AccountLocked):
            await office.order(bea)
        office.passes(minutes=6)
        for _ in range(3):
            assert (await office.make(bea)).state == JobState.DELIVERED


async def test_to_ask_for_a_price_is_no_try(sandbox: Sandbox, database_url: str) -> None:
    """Who is asked first whether a thing is worth its price tries only when they say yes."""
    async with accountant(sandbox, database_url, is_migrated=True, has_admin_key=False) as office:
        bea = await office.person(DOLLAR)
        await lock(office, bea)
        office.fal.balance_nanos = 10 * DOLLAR
        office.passes(minutes=6)
        await office.offer(bea)
        first, second = await office.offer(bea), await office.offer(bea)
        await office.jobs.place(bea, first)
        with pytest.raises(AccountLocked):
            await office.jobs.place(bea, second)
        await office.settled()
        assert (await office.make(bea)).state == JobState.DELIVERED


async def test_a_new_lock_is_a_new_occasion(office: Accountant) -> None:
    bea = await office.person(DOLLAR)
    for times in (1, 2):
        await lock(office, bea)
        await office.watch.check()
        assert await told(office, "account_locked") == times
        office.fal.balance_nanos = 10 * DOLLAR
        await office.watch.check()


async def test_what_was_sent_before_the_lock_does_not_open_the_account(
    office: Accountant,
) -> None:
    """Of two that are sent together fal takes one and refuses the other; its yes comes later."""
    bea = await office.person(DOLLAR)
    first = await office.make(bea)
    office.passes(minutes=1)
    await lock(office, bea)
    await office.settler.accepted(first.id)
    with pytest.raises(AccountLocked):
        await office.order(bea)
    assert await told(office, "account_locked") == 1


@pytest.mark.parametrize("reason", ["Admin lock", "TOP_UP", "Exhausted balance. Top up."])
async def test_every_reason_that_fal_gives_is_a_lock(office: Accountant, reason: str) -> None:
    office.fal.account.locked = reason
    job = await office.make(await office.person(DOLLAR))
    assert job.error == "account_locked"
    assert await told(office, "account_locked") == 1


# ---------------------------------------------------------- two who look at the same time


class Late(Platform):
    """An answer that was right when fal gave it, and arrives when `arrives` is set."""

    def __init__(self, key: str, url: str) -> None:
        super().__init__(key, url)
        self.given = asyncio.Event()
        self.arrives = asyncio.Event()

    async def balance(self) -> int:
        nanos = await super().balance()
        self.given.set()
        await self.arrives.wait()
        return nanos


@asynccontextmanager
async def another_process(office: Accountant) -> AsyncIterator[tuple[Late, BalanceWatch]]:
    """One whose answers come late, and what it does with them."""
    assert office.admin_platform is not None
    late = Late(office.fal.account.admin_key, office.admin_platform._url)
    watch = BalanceWatch(
        late,
        low_nanos=LOW_NANOS,
        alert_percents=ALERTS,
        admin_ids=[ADMIN_ID],
        on_notice=lambda: None,
    )
    try:
        yield late, watch
    finally:
        await late.aclose()


async def test_an_old_reading_that_comes_late_is_no_top_up(office: Accountant) -> None:
    office.fal.balance_nanos = 10 * DOLLAR
    await office.watch.check()
    await office.watch.start_following(
        await office.person(), actor_id=ADMIN_ID, origin="test:follow"
    )
    async with another_process(office) as (late, watch):
        checking = asyncio.create_task(watch.check())
        await late.given.wait()
        office.fal.balance_nanos = 4 * DOLLAR
        await office.watch.check()
        late.arrives.set()
        await checking
    person = await Person.get(followed_balance_nanos__isnull=False)
    assert (person.budget_nanos, person.spent_nanos) == (10 * DOLLAR, 6 * DOLLAR)
    assert (await BalanceReading.get(name="now")).balance_nanos == 4 * DOLLAR
    assert (await BalanceReading.get(name="then")).balance_nanos == 10 * DOLLAR


async def test_an_old_reading_that_comes_late_is_told_to_nobody(office: Accountant) -> None:
    """The account was low when it was asked; it has been topped up when the answer comes."""
    async with another_process(office) as (late, watch):
        office.fal.balance_nanos = LOW_NANOS - 1
        await office.person(LOW_NANOS)
        checking = asyncio.create_task(watch.check())
        await late.given.wait()
        office.fal.balance_nanos = 10 * DOLLAR
        await office.watch.check()
        late.arrives.set()
        await checking
    assert await told(office, "balance_low") == 0
    assert await told(office, "balance_promised") == 0


async def test_a_clock_that_was_set_back_does_not_stop_the_reading(office: Accountant) -> None:
    office.passes(days=1)
    await office.watch.check()
    office.passes(days=-1)
    office.fal.balance_nanos = DOLLAR
    await office.watch.check()
    assert (await BalanceReading.get(name="now")).balance_nanos == DOLLAR


async def test_fal_that_hangs_is_given_up(
    office: Accountant, caplog: pytest.LogCaptureFixture
) -> None:
    assert office.admin_platform is not None
    office.admin_platform._http.timeout = 0.05
    office.fal.faults.add("hang", "billing", times=2)
    with pytest.raises(FalError):
        await office.watch.coverage()
    await office.watch.check()
    assert "Timeout" in caplog.text
