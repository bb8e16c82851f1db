"""What others spend from the same account, and the balance explained to the last nano-dollar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bot.accounting import Reconciler, Report
from bot.errors import NeedsAdminKey
from bot.fal.errors import FalError
from bot.fal.platform import Platform
from bot.fal.queue import Media, Result
from bot.sandbox import Fault, Sandbox
from bot.sandbox.fal.jobs import FalRequest
from db import ledger
from db.accounts import Settlement
from db.audit import verify
from db.models import BalanceReading, ContentJob, JobState, OutsideBill
from tests.bot.accountant import DOLLAR, Accountant, accountant


@pytest.fixture
async def office(sandbox: Sandbox, database_url: str) -> AsyncIterator[Accountant]:
    async with accountant(sandbox, database_url, is_migrated=True) as made:
        yield made
        assert await verify(made.connection) == []


async def a_working_day(office: Accountant) -> None:
    """A first picture, and a reading of the balance some time after it."""
    await office.make(await office.person(100 * DOLLAR, id=1))
    office.passes(minutes=2)
    await office.watch.check()


async def look(office: Accountant) -> Report:
    """What an administrator is told by `/reconcile`."""
    await office.watch.check()
    return await office.reconciler.reconcile()


def unexplained(report: Report) -> int:
    """What nobody can say where it went."""
    assert report.balance is not None
    return report.balance.unexplained_nanos


async def test_what_belongs_to_no_job_is_summed_up_and_charged_to_nobody(
    office: Accountant,
) -> None:
    bea = await office.person(DOLLAR)
    await office.make(bea)
    for nanos in (1, 7 * DOLLAR, 123_456_789):
        office.fal.outside_spending(nanos)
    report = await look(office)
    await bea.refresh_from_db()
    assert report.outside_nanos == 7 * DOLLAR + 123_456_790
    assert bea.total_spent_nanos == report.charged_nanos == 25_000_000
    assert report.charged_nanos + report.outside_nanos == office.fal.bill_total_nanos


async def test_what_was_spent_before_the_first_job_is_not_ours_to_explain(
    office: Accountant,
) -> None:
    office.fal.outside_spending(DOLLAR)
    office.passes(minutes=1)
    await office.make(await office.person(DOLLAR))
    assert (await look(office)).outside_nanos == 0


async def test_before_the_first_job_nothing_is_asked(office: Accountant) -> None:
    office.fal.outside_spending(DOLLAR)
    report = await office.reconciler.reconcile()
    assert (report.outside_nanos, report.charged_nanos, report.balance) == (0, 0, None)
    assert not [call for call in office.fal.calls if call.operation == "billing_events"]


async def test_an_outside_bill_that_changes_is_followed(office: Accountant) -> None:
    await a_working_day(office)
    bill = office.fal.outside_spending(DOLLAR)
    assert (await look(office)).outside_nanos == DOLLAR
    bill.total_nanos -= 5
    office.fal.balance_nanos += 5
    assert (await look(office)).outside_nanos == DOLLAR - 5
    assert await OutsideBill.all().count() == 1


async def test_a_lost_request_is_outside_only_until_its_job_is_found(office: Accountant) -> None:
    job = await office.make(await office.person(DOLLAR))
    await ContentJob.filter(id=job.id).update(request_id=None)
    assert (await look(office)).outside_nanos == 25_000_000
    await ContentJob.filter(id=job.id).update(request_id=job.request_id)
    report = await look(office)
    assert (report.outside_nanos, report.jobs_by_source) == (0, {"billed": 1})


async def test_what_was_spent_while_the_bot_was_off_is_caught_up_with(office: Accountant) -> None:
    """Three weeks without a reconciliation: what others spent in the first of them counts too."""
    await a_working_day(office)
    assert unexplained(await look(office)) == 0
    office.passes(days=3)
    office.fal.outside_spending(DOLLAR)
    office.passes(days=18)
    report = await look(office)
    assert (report.outside_nanos, unexplained(report)) == (DOLLAR, 0)
    office.passes(days=10)
    await look(office)
    asked = [call.url for call in office.fal.calls if call.operation == "billing_events"]
    assert f"start={office.clock.now() - timedelta(days=18):%Y-%m-%d}" in asked[-1]
    await look(office)
    asked = [call.url for call in office.fal.calls if call.operation == "billing_events"]
    assert f"start={office.clock.now() - timedelta(days=8):%Y-%m-%d}" in asked[-1]


async def test_a_reconciliation_that_breaks_off_has_not_caught_up(office: Accountant) -> None:
    await a_working_day(office)
    await look(office)
    office.passes(days=3)
    office.fal.outside_spending(DOLLAR)
    office.passes(days=18)
    office.fal.faults.add("html", "billing_events")
    with pytest.raises(FalError):
        await office.reconciler.reconcile()
    assert (await look(office)).outside_nanos == DOLLAR


async def test_an_admin_key_that_comes_late_looks_back_to_the_first_job(
    sandbox: Sandbox, database_url: str
) -> None:
    async with accountant(sandbox, database_url, is_migrated=True, has_admin_key=False) as office:
        bea = await office.person(DOLLAR, id=1)
        office.fal.discount = office.fal.discount + 10
        await office.make(bea)
        office.fal.outside_spending(7)
        office.passes(days=30)
        with pytest.raises(NeedsAdminKey):
            await office.reconciler.reconcile()
        office.admin_platform = Platform(office.fal.account.admin_key, office.platform._url)
        report = await Reconciler(office.admin_platform, office.settler).reconcile()
        await office.admin_platform.aclose()
        assert (report.outside_nanos, report.jobs_by_source) == (7, {"billed": 1})
        assert report.charged_nanos + report.outside_nanos == office.fal.bill_total_nanos


async def test_fal_is_asked_for_no_more_than_it_tells(office: Accountant) -> None:
    """Its list goes back ninety days (OpenAPI, "Date range capped at 90 days")."""
    await a_working_day(office)
    office.passes(days=200)
    office.fal.outside_spending(7)
    assert (await look(office)).outside_nanos == 7


# --------------------------------------------------- balance then − charges − outside = balance now


async def test_without_a_reading_nothing_is_said_to_be_explained(office: Accountant) -> None:
    await office.make(await office.person(DOLLAR))
    assert (await office.reconciler.reconcile()).balance is None


async def test_charges_and_outside_spending_explain_the_balance(
    office: Accountant,
) -> None:
    await a_working_day(office)
    bea = await office.person(100 * DOLLAR)
    office.fal.discount = office.fal.discount + 7
    for kind in ("image", "video"):
        await office.make(bea, kind)
        office.fal.outside_spending(123_456_789)
        report = await look(office)
        assert unexplained(report) == 0
    assert report.outside_nanos == 2 * 123_456_789
    assert report.balance is not None
    assert report.balance.since < office.clock.now()
    assert report.balance.now_nanos == office.fal.balance_nanos
    assert report.balance.outside_nanos == 2 * 123_456_789
    # The first picture had been paid for when the balance was read for the first time.
    assert report.balance.charged_nanos == report.charged_nanos - 25_000_000
    assert report.balance.then_nanos == office.fal.balance_nanos + (
        report.balance.charged_nanos + report.balance.outside_nanos
    )


@pytest.mark.parametrize("nanos", [1, -1, DOLLAR])
async def test_what_no_bill_explains_is_shown_to_the_nano_dollar(
    office: Accountant, nanos: int
) -> None:
    await a_working_day(office)
    await office.make(await office.person(DOLLAR))
    office.fal.balance_nanos -= nanos  # a fee, or a gift
    assert unexplained(await look(office)) == nanos


async def test_a_bill_is_explained_once_it_is_there(office: Accountant) -> None:
    await a_working_day(office)
    office.fal.account.billing_delay_seconds = 3600
    office.fal.outside_spending(DOLLAR)
    assert unexplained(await look(office)) == DOLLAR
    office.passes(hours=1)
    assert unexplained(await look(office)) == 0


async def test_a_top_up_begins_a_new_account_and_what_came_before_it_is_settled(
    office: Accountant,
) -> None:
    """Bills from before a top-up that are seen after it are no part of what came after it."""
    await a_working_day(office)
    bea = await office.person(100 * DOLLAR)
    office.fal.account.billing_delay_seconds = 3600
    office.fal.discount = office.fal.discount + 10
    await office.make(bea, "video")
    office.fal.outside_spending(DOLLAR)
    office.passes(minutes=2)
    office.fal.balance_nanos += 50 * DOLLAR
    await office.watch.check()
    await office.make(bea, "video")
    office.fal.outside_spending(2 * DOLLAR)
    office.passes(hours=2)
    report = await look(office)
    assert unexplained(report) == 0
    assert report.outside_nanos == 3 * DOLLAR


async def test_a_top_up_while_something_is_under_way_counts_from_the_next_quiet_moment(
    office: Accountant,
) -> None:
    """fal has taken the cost from the balance, the bot has not booked it yet."""
    await a_working_day(office)
    bea = await office.person(100 * DOLLAR)
    office.fal.pace = "manual"
    await office.order(bea, "video")
    [_, request] = await office.fal.wait_for_requests(2)
    office.fal.balance_nanos += 50 * DOLLAR - DOLLAR // 2
    await office.watch.check()
    office.fal.balance_nanos += DOLLAR // 2
    office.fal.complete(request)
    await office.settled()
    office.passes(minutes=2)
    assert unexplained(await look(office)) == 0
    office.fal.pace = "instant"
    await office.make(bea, "video")
    assert unexplained(await look(office)) == 0


async def test_what_has_only_just_ended_may_not_be_in_the_balance_yet(office: Accountant) -> None:
    await a_working_day(office)
    office.fal.balance_nanos += DOLLAR // 2  # fal is late with it
    await office.make(await office.person(DOLLAR), "video")
    office.fal.balance_nanos += 50 * DOLLAR
    await office.watch.check()
    office.fal.balance_nanos -= DOLLAR // 2
    office.passes(minutes=2)
    assert unexplained(await look(office)) == 0


async def test_the_account_begins_with_the_first_job(office: Accountant) -> None:
    """Nobody reads bills before it, so nobody could explain what was spent before it."""
    await office.watch.check()
    office.fal.outside_spending(DOLLAR)
    office.passes(minutes=1)
    await a_working_day(office)
    await office.make(await office.person(DOLLAR))
    assert unexplained(await look(office)) == 0


async def test_a_charge_that_its_bill_corrects_later_is_explained_from_then_on(
    office: Accountant,
) -> None:
    await a_working_day(office)
    office.fal.faults.add(Fault("late", seconds=3600), "bill")
    office.fal.faults.add("no_units", "result")
    office.fal.discount = office.fal.discount + 10
    await office.make(await office.person(DOLLAR))
    office.passes(minutes=2)
    assert unexplained(await look(office)) != 0
    office.passes(hours=1)
    assert unexplained(await look(office)) == 0


async def test_a_bill_that_fal_changes_is_explained_from_the_next_quiet_moment_on(
    office: Accountant,
) -> None:
    """On which side of a reading the balance moved for it, nobody can tell."""
    await a_working_day(office)
    await office.reconciler.reconcile()
    [bill] = office.fal.account.bills
    bill.total_nanos -= 5
    office.fal.balance_nanos += 5
    office.fal.outside_spending(DOLLAR)  # so that the refund is not seen as a top-up
    await look(office)
    office.passes(minutes=1)
    assert unexplained(await look(office)) == 0
    office.fal.balance_nanos -= 3
    assert unexplained(await look(office)) == 3


async def test_a_job_that_is_found_after_a_top_up_is_explained_from_the_next_quiet_moment_on(
    office: Accountant,
) -> None:
    """Its hold was released before the top-up, fal took its cost after it."""
    await a_working_day(office)
    bea = await office.person(100 * DOLLAR)
    job = await office.desk.place(bea, await office.offer(bea, "video"), lease_owner="nobody")
    office.fal.pace = "manual"
    endpoint = office.fal.endpoints[job.endpoint]
    complete = endpoint.check(job.arguments)
    request = FalRequest(endpoint, job.arguments, complete, {}, None, office.clock.now())
    office.fal.accept(request)
    await ledger.release(job.id, Settlement(JobState.FAILED, {"error": "lost"}))
    office.passes(minutes=2)
    office.fal.balance_nanos += 50 * DOLLAR
    await office.watch.check()
    office.fal.complete(request)
    await ContentJob.filter(id=job.id).update(
        state=JobState.SUBMITTED, request_id=request.request_id
    )
    found = await ContentJob.get(id=job.id)
    await office.settler.settle(found, Result((Media("https://a/b"),), request.units))
    office.passes(minutes=2)
    report = await look(office)
    assert report.charged_nanos == office.fal.bill_total_nanos
    assert unexplained(report) == 0


async def test_only_two_readings_are_kept(office: Accountant) -> None:
    for _ in range(5):
        await look(office)
        office.fal.balance_nanos += 1
        office.passes(minutes=1)
    assert {reading.name for reading in await BalanceReading.all()} == {"now", "then"}
