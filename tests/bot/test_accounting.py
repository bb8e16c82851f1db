"""The books beside fal's bills: what differs is adjusted, whatever became of the job."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from bot.errors import NeedsAdminKey
from bot.fal.errors import FalError
from bot.jobs import Cancelled
from bot.sandbox import Fault, Sandbox
from bot.sandbox.fal import FalWorld
from db.audit import verify
from db.models import ContentJob, CostSource, EntryKind, JobState, LedgerEntry, Person
from tests.bot.accountant import DOLLAR, Accountant, accountant

PICTURE = 25_000_000  # what a picture of the default model costs, in nano-dollars


@pytest.fixture
async def office(sandbox: Sandbox, database_url: str) -> AsyncIterator[Accountant]:
    async with accountant(sandbox, database_url, is_migrated=True) as made:
        yield made
        assert await verify(made.connection) == []


async def spent(person: Person) -> tuple[int, int]:
    """What counts against the budget, and what was spent in all."""
    await person.refresh_from_db()
    assert person.held_nanos == 0
    return person.spent_nanos, person.total_spent_nanos


async def stored() -> list[dict[str, object]]:
    """Everything that has to do with money, as it stands in the database."""
    return [
        row for model in (Person, ContentJob, LedgerEntry) for row in await model.all().values()
    ]


async def test_a_job_that_was_billed_as_charged_is_only_marked_as_billed(
    office: Accountant,
) -> None:
    bea = await office.person(DOLLAR)
    job = await office.make(bea)
    assert (job.cost_source, job.cost_nanos) == (CostSource.UNITS, PICTURE)
    report = await office.reconciler.reconcile()
    await job.refresh_from_db()
    assert (job.cost_source, job.cost_nanos) == (CostSource.BILLED, PICTURE)
    assert (report.jobs_by_source, report.adjustments) == ({"billed": 1}, 0)
    assert await LedgerEntry.filter(job=job).count() == 2


@pytest.mark.parametrize("billed", [0, 1, PICTURE - 1, PICTURE + 1, 3 * DOLLAR])
async def test_a_bill_that_differs_becomes_an_adjustment_of_either_sign(
    office: Accountant, billed: int
) -> None:
    bea = await office.person(DOLLAR)
    office.fal.faults.add(Fault("changed", nanos=billed), "bill")
    job = await office.make(bea)
    if not billed:  # a fault of no nano-dollars means an absurd amount
        change_bill(office.fal, job, 0)
    assert await spent(bea) == (PICTURE, PICTURE)
    report = await office.reconciler.reconcile()
    assert await spent(bea) == (billed, billed)
    assert (report.adjustments, report.adjusted_nanos) == (1, billed - PICTURE)
    [entry] = await LedgerEntry.filter(job=job, kind=EntryKind.ADJUSTMENT)
    assert entry.total_delta_nanos == entry.spent_delta_nanos == billed - PICTURE
    assert (report.charged_nanos, office.fal.bill_total_nanos) == (billed, billed)


@pytest.mark.parametrize("percent", ["10", "7.5", "33.333", "100"])
async def test_a_discount_comes_back_to_the_nano_dollar(office: Accountant, percent: str) -> None:
    office.fal.discount = Decimal(percent)
    bea = await office.person(DOLLAR)
    await office.make(bea)
    await office.make(bea, "video")
    await office.reconciler.reconcile()
    assert await spent(bea) == (office.fal.bill_total_nanos, office.fal.bill_total_nanos)


async def test_without_the_header_of_units_the_bill_corrects_the_quote(office: Accountant) -> None:
    bea = await office.person(DOLLAR)
    office.fal.faults.add("no_units", "result")
    office.fal.faults.add(Fault("changed", nanos=PICTURE - 7), "bill")
    job = await office.make(bea)
    assert (job.cost_source, job.cost_nanos) == (CostSource.QUOTE, job.quote_nanos)
    await office.reconciler.reconcile()
    assert await spent(bea) == (PICTURE - 7, PICTURE - 7)


async def test_a_failed_job_that_fal_bills_is_charged_when_its_bill_is_there(
    office: Accountant,
) -> None:
    bea = await office.person(DOLLAR)
    office.fal.faults.add(Fault("fails", status=422, units="1"), "job")
    office.fal.faults.add("no_units", "result")
    job = await office.make(bea)
    assert (job.state, job.cost_nanos) == (JobState.FAILED, 0)
    report = await office.reconciler.reconcile()
    await job.refresh_from_db()
    assert (job.state, job.cost_nanos, job.cost_source) == (
        JobState.FAILED,
        PICTURE,
        CostSource.BILLED,
    )
    assert await spent(bea) == (PICTURE, PICTURE)
    assert report.adjusted_nanos == PICTURE


async def test_a_cancelled_job_that_fal_bills_is_charged_when_its_bill_is_there(
    office: Accountant,
) -> None:
    fal = office.fal
    fal.pace, fal.cancel_stops_running, fal.bills_cancelled = "manual", True, True
    bea = await office.person(DOLLAR)
    job_id = await office.order(bea)
    [request] = await fal.wait_for_requests()
    fal.start(request)
    fal.faults.add("no_units", "result")
    assert await office.jobs.cancel(job_id, bea.id) is Cancelled.ASKED
    await office.settled()
    job = await ContentJob.get(id=job_id)
    assert (job.state, job.cost_nanos) == (JobState.CANCELLED, 0)
    await office.reconciler.reconcile()
    assert await spent(bea) == (PICTURE, PICTURE)


async def test_a_late_bill_is_found_later(office: Accountant) -> None:
    bea = await office.person(DOLLAR)
    office.fal.discount = office.fal.discount + 10
    office.fal.faults.add(Fault("late", seconds=2 * 3600), "bill")
    await office.make(bea)
    report = await office.reconciler.reconcile()
    assert (report.jobs_by_source, report.adjustments) == ({"units": 1}, 0)
    office.passes(hours=3)
    report = await office.reconciler.reconcile()
    assert (report.jobs_by_source, report.adjustments) == ({"billed": 1}, 1)
    assert await spent(bea) == (PICTURE * 9 // 10, PICTURE * 9 // 10)


async def test_a_bill_that_is_missing_for_a_day_is_marked_and_still_looked_for(
    office: Accountant, caplog: pytest.LogCaptureFixture
) -> None:
    bea = await office.person(DOLLAR)
    office.fal.faults.add(Fault("late", seconds=30 * 3600), "bill")
    await office.make(bea)
    office.passes(hours=23, minutes=59)
    assert (await office.reconciler.reconcile()).missing == 0
    office.passes(minutes=2)
    with caplog.at_level(logging.WARNING, "bot.accounting"):
        assert (await office.reconciler.reconcile()).missing == 1
        assert (await office.reconciler.reconcile()).missing == 1
    assert len(caplog.records) == 1
    office.passes(hours=6)
    report = await office.reconciler.reconcile()
    assert (report.missing, report.jobs_by_source) == (0, {"billed": 1})


async def test_a_bill_that_is_missing_when_the_bot_comes_back_is_marked_too(
    office: Accountant,
) -> None:
    office.fal.faults.add(Fault("late", seconds=30 * 86400), "bill")
    await office.make(await office.person(DOLLAR))
    office.passes(days=12)
    assert (await office.reconciler.reconcile()).missing == 1


async def test_what_cost_nothing_is_never_missing(office: Accountant) -> None:
    bea = await office.person(DOLLAR)
    office.fal.faults.add(Fault("fails", status=500), "job")
    await office.make(bea)
    office.passes(days=2)
    assert (await office.reconciler.reconcile()).missing == 0


async def test_after_seven_days_a_bill_is_looked_for_no_more(office: Accountant) -> None:
    bea = await office.person(DOLLAR)
    office.fal.faults.add(Fault("late", seconds=9 * 86400), "bill")
    office.fal.faults.add(Fault("changed", nanos=1), "bill")
    await office.make(bea)
    office.passes(days=8, hours=22)
    await office.reconciler.reconcile()
    office.passes(hours=4)
    report = await office.reconciler.reconcile()
    assert (report.jobs_by_source, report.adjustments) == ({"units": 1}, 0)


async def test_a_bill_is_dated_by_its_request_which_may_be_old(office: Accountant) -> None:
    """A job that was looked for over days is settled late, its bill is from when it was sent."""
    office.fal.pace = "manual"
    bea = await office.person(DOLLAR)
    job_id = await office.order(bea)
    [request] = await office.fal.wait_for_requests()
    sent_at = office.clock.now()
    office.passes(days=9)
    office.fal.discount = office.fal.discount + 20
    office.fal.complete(request)
    await office.settled()
    bill = office.fal.bill_of(request)
    assert bill is not None
    bill.at = sent_at
    await office.reconciler.reconcile()
    assert (await ContentJob.get(id=job_id)).cost_source == CostSource.BILLED
    assert await spent(bea) == (PICTURE * 8 // 10, PICTURE * 8 // 10)


async def test_an_adjustment_of_an_earlier_budget_changes_only_the_total(
    office: Accountant,
) -> None:
    bea = await office.person(DOLLAR)
    office.fal.faults.add(Fault("changed", nanos=PICTURE + 5), "bill")
    await office.make(bea)
    await office.budget(bea, 2 * DOLLAR)
    await office.make(bea)
    await office.reconciler.reconcile()
    assert await spent(bea) == (PICTURE, 2 * PICTURE + 5)


async def test_a_second_time_changes_nothing(office: Accountant) -> None:
    bea = await office.person(DOLLAR)
    office.fal.discount = office.fal.discount + 10
    await office.make(bea)
    await office.make(bea, "video")
    office.fal.outside_spending(7)
    await office.reconciler.reconcile()
    before = await stored()
    report = await office.reconciler.reconcile()
    assert await stored() == before
    assert (report.adjustments, report.adjusted_nanos, report.outside_nanos) == (0, 0, 7)


async def test_a_bill_that_fal_changes_is_followed(office: Accountant) -> None:
    bea = await office.person(DOLLAR)
    job = await office.make(bea)
    await office.reconciler.reconcile()
    for nanos in (PICTURE - 3, PICTURE + 9, PICTURE + 9, 0):
        change_bill(office.fal, job, nanos)
        office.passes(days=1)
        await office.reconciler.reconcile()
        assert await spent(bea) == (nanos, nanos)
    assert await LedgerEntry.filter(job=job, kind=EntryKind.ADJUSTMENT).count() == 3


async def test_more_bills_than_fit_into_one_question_are_all_found(office: Accountant) -> None:
    bea = await office.person(100 * DOLLAR)
    office.fal.faults.add(Fault("fails", status=422), "job", times=51)
    for _ in range(51):
        await office.order(bea)
    await office.settled()
    await office.reconciler.reconcile()
    asked = [call.url for call in office.fal.calls if call.operation == "billing_events"]
    assert [url.count("%2C") + 1 for url in asked if "request_id" in url] == [50, 1]


async def test_what_was_found_before_fal_fell_silent_is_booked(office: Accountant) -> None:
    bea = await office.person(DOLLAR)
    office.fal.discount = office.fal.discount + 10
    await office.make(bea)
    office.fal.faults.add(Fault("fails", status=422), "job")
    await office.make(bea)
    office.fal.faults.add(Fault("slow", seconds=0), "billing_events")  # the list is told,
    office.fal.faults.add("unavailable", "billing_events")  # the question after it is not
    with pytest.raises(FalError):
        await office.reconciler.reconcile()
    assert await spent(bea) == (PICTURE * 9 // 10, PICTURE * 9 // 10)


async def test_an_excess_is_booked_shown_below_zero_and_told_to_the_admins_once(
    office: Accountant,
) -> None:
    bea = await office.person(PICTURE)
    office.fal.faults.add(Fault("changed", nanos=3 * PICTURE), "bill")
    job = await office.make(bea)
    await office.reconciler.reconcile()
    await office.reconciler.reconcile()
    await bea.refresh_from_db()
    assert bea.budget_nanos is not None
    assert bea.budget_nanos - bea.spent_nanos == -2 * PICTURE
    [notice] = await office.notices("overrun")
    assert notice.content == {
        "job": str(job.id),
        "quote_nanos": PICTURE,
        "cost_nanos": 3 * PICTURE,
    }


async def test_units_beyond_the_quote_are_charged_and_told_to_the_admins(
    office: Accountant,
) -> None:
    bea = await office.person(PICTURE)
    office.fal.faults.add(Fault("units", units="4"), "job")
    await office.make(bea)
    assert await spent(bea) == (4 * PICTURE, 4 * PICTURE)
    await office.reconciler.reconcile()
    assert len(await office.notices("overrun")) == 1


async def test_units_that_no_job_can_have_are_not_charged(
    office: Accountant, caplog: pytest.LogCaptureFixture
) -> None:
    """More than the largest budget for one job: the quote is charged, and corrected by a bill."""
    bea = await office.person(DOLLAR)
    office.fal.faults.add(Fault("units", units="99999999"), "job")
    job = await office.make(bea)
    assert (job.cost_source, job.cost_nanos) == (CostSource.QUOTE, PICTURE)
    assert "99999999 units" in caplog.text
    assert await spent(bea) == (PICTURE, PICTURE)


async def test_a_bill_beyond_what_was_told_before_is_told_too(office: Accountant) -> None:
    bea = await office.person(PICTURE)
    office.fal.faults.add(Fault("units", units="4"), "job")
    office.fal.faults.add(Fault("changed", nanos=7 * PICTURE), "bill")
    await office.make(bea)
    for _ in range(2):
        await office.reconciler.reconcile()
    notices = await office.notices("overrun")
    told = [notice.content["cost_nanos"] for notice in notices]
    assert told == [4 * PICTURE, 7 * PICTURE]


async def test_without_an_admin_key_nobody_pretends_to_know(
    sandbox: Sandbox, database_url: str
) -> None:
    async with accountant(sandbox, database_url, is_migrated=True, has_admin_key=False) as office:
        with pytest.raises(NeedsAdminKey):
            await office.reconciler.reconcile()


async def test_a_key_without_the_scope_is_said_to_be_one(
    office: Accountant, caplog: pytest.LogCaptureFixture
) -> None:
    await office.make(await office.person(DOLLAR))
    office.fal.account.admin_key, office.fal.account.api_key = (
        office.fal.account.api_key,
        office.fal.account.admin_key,
    )
    with pytest.raises(NeedsAdminKey):
        await office.reconciler.reconcile()
    assert "FAL_ADMIN_KEY" in caplog.text


def change_bill(fal: FalWorld, job: ContentJob, nanos: int) -> None:
    """Let fal think again about what a job cost; the balance moves with it."""
    [bill] = [bill for bill in fal.account.bills if bill.request_id == job.request_id]
    fal.balance_nanos -= nanos - bill.total_nanos
    bill.total_nanos = nanos
