"""A month of a busy team: in the end the books are fal's bill, to the nano-dollar.

Everything comes in that the documentation of fal allows for: discounts, prices that change,
results without the header of the units, failed and cancelled jobs that are billed or not, bills
that come late or are changed, answers that cannot be read, top-ups, others who use the account.
Every tenth job goes the whole way over HTTP; the others are settled as its result would be, for
their number. Bills and balance are always read over HTTP.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from bot.catalog import Kind
from bot.errors import AccountLocked, TooDear
from bot.fal.errors import FalError, Refused
from bot.fal.queue import Media, Result
from bot.sandbox import Fault, Sandbox
from bot.sandbox.fal.jobs import FalRequest
from bot.sandbox.fal.schemas import Price
from db import ledger
from db.accounts import Settlement
from db.audit import verify
from db.connection import is_sqlite
from db.models import ContentJob, JobState, OutsideBill, Person
from tests.bot.accountant import ADMIN_ID, DOLLAR, Accountant, accountant

ROUNDS_A_DAY, JOBS_A_ROUND = 3, 24
PEOPLE = 8
MODELS: dict[Kind, list[str]] = {"image": ["flux-dev", "flux-schnell"], "video": ["luma"]}
DISCOUNTS = ["0", "0", "10", "7.5", "33.333", "12.345678"]
SILENCES = ["html", "garbage", "reset", "cut", "server_error", "bad_gateway", "rate_limited"]


@pytest.fixture
async def office(sandbox: Sandbox, database_url: str) -> AsyncIterator[Accountant]:
    sandbox.fal.balance_nanos = 80 * DOLLAR
    async with accountant(sandbox, database_url) as made:
        if is_sqlite(database_url):
            # Nothing outlives the test, so nothing needs to reach the disk.
            await made.connection.execute_query("PRAGMA synchronous = OFF")
        yield made


@dataclass
class Month:
    """What happens, decided by dice that fall the same way each time."""

    office: Accountant
    dice: random.Random
    days: int
    people: list[Person] = field(default_factory=list)
    topped_up_nanos: int = 0
    refused: int = 0
    silent: int = 0

    async def live(self) -> None:
        """From the first morning until the last bill has come."""
        for number in range(PEOPLE):
            self.people.append(await self.office.person(9 * DOLLAR if number else None))
        ada = self.people[-1]
        await self.office.watch.start_following(ada, actor_id=ADMIN_ID, origin="test:auto")
        for day in range(self.days):
            await self._begin(day)
            for _ in range(ROUNDS_A_DAY):
                self.office.passes(hours=7)
                await self._work(JOBS_A_ROUND)
                await self._look()
            self.office.passes(hours=2)
        for _ in range(4):
            self.office.passes(days=1)
            await self._look()

    async def _begin(self, day: int) -> None:
        """What is different on this day: prices, discounts, budgets, the balance."""
        fal, dice = self.office.fal, self.dice
        fal.discount = Decimal(dice.choice(DISCOUNTS))
        fal.account.billing_delay_seconds = dice.choice([0, 0, 30, 3600, 10 * 3600])
        fal.bills_cancelled = dice.random() < 0.5
        if day % 5 == 3:
            amount = Decimal(dice.randrange(20_000_001, 30_000_000)).scaleb(-9)
            fal.prices["fal-ai/flux/dev"] = Price("megapixels", amount)
        if day % 2:
            await self.office.prices.refresh()
        if fal.balance_nanos < 50 * DOLLAR:
            self._top_up(dice.randrange(20, 60) * DOLLAR + dice.randrange(DOLLAR))
            await self._look()
        if day % 2:
            person = dice.choice(self.people[1:-1])
            await self.office.budget(person, dice.randrange(3, 12) * DOLLAR)

    def _top_up(self, nanos: int) -> None:
        self.office.fal.balance_nanos += nanos
        self.topped_up_nanos += nanos

    async def _work(self, jobs: int) -> None:
        """Some hours of everybody's work, and of somebody's who does not use the bot."""
        fal, dice = self.office.fal, self.dice
        for _ in range(jobs):
            person = dice.choice(self.people)
            kind: Kind = "video" if dice.random() < 0.1 else "image"
            model = dice.choice(MODELS[kind])
            if getattr(person, f"{kind}_model") != model:
                await person.update_from_dict({f"{kind}_model": model}).save(
                    update_fields=[f"{kind}_model"]
                )
            self._spoil_bill()
            with suppress(AccountLocked):
                try:
                    if dice.random() < 0.1:
                        await self._make_over_http(person, kind)
                    else:
                        await self._make(person, kind)
                except TooDear:
                    self.refused += 1
            fal.faults.orders.clear()
            if dice.random() < 0.05:
                fal.outside_spending(dice.randrange(DOLLAR))

    def _spoil_bill(self) -> None:
        """Let some bills come late, and some be other than they should."""
        faults, dice = self.office.fal.faults, self.dice
        if dice.random() < 0.05:
            faults.add(Fault("late", seconds=dice.randrange(3 * 86400)), "bill")
        elif dice.random() < 0.05:
            faults.add(Fault("changed", nanos=dice.randrange(1, 100_000_000)), "bill")

    async def _make_over_http(self, person: Person, kind: Kind) -> None:
        faults, luck = self.office.fal.faults, self.dice.random()
        if luck < 0.2:
            faults.add(Fault("fails", status=422, units="1" if luck < 0.1 else ""), "job")
        if self.dice.random() < 0.3:
            faults.add("no_units", "result")
        await self.office.make(person, kind)

    async def _make(self, person: Person, kind: Kind) -> None:
        """A job that is submitted and settled as it would be, without the way to fal and back."""
        fal, dice = self.office.fal, self.dice
        offer = await self.office.offer(person, kind)
        job = await self.office.desk.place(person, offer, lease_owner="nobody")
        endpoint = fal.endpoints[job.endpoint]
        complete = endpoint.check(job.arguments)
        request = FalRequest(endpoint, job.arguments, complete, {}, None, fal.clock.now())
        fal.pace = "manual"
        fal.accept(request)
        job.state, job.request_id = JobState.SUBMITTED, request.request_id
        job.submitted_at = fal.clock.now()
        await job.save(update_fields=["state", "request_id", "submitted_at"])
        luck = dice.random()
        if luck < 0.03:
            fal.cancel(request)
            await ledger.release(job.id, Settlement(JobState.CANCELLED))
        else:
            self._end(request, luck)
            await self._settle(job, request)
        fal.pace = "instant"

    def _end(self, request: FalRequest, luck: float) -> None:
        fal, dice = self.office.fal, self.dice
        if luck < 0.06:
            fal.start(request)
            fal.cancel_stops_running = True
            fal.cancel(request)
        elif luck < 0.1:
            billed = Decimal(1) if dice.random() < 0.5 else None
            fal.fail(request, 422, "content_policy_violation", billed_units=billed)
        elif luck < 0.12:
            fal.fail(request, 503, "runner_disconnected")
        else:
            fal.complete(request)

    async def _settle(self, job: ContentJob, request: FalRequest) -> None:
        # Now and then the header that tells the units is not there.
        units = request.units if self.dice.random() < 0.9 else None
        if request.ok:
            await self.office.settler.settle(job, Result((Media("https://a/b"),), units))
        else:
            status = request.status_code or 500
            await self.office.settler.settle_failure(job, Refused(status, units=units))

    async def _look(self) -> None:
        """Some time later the balance is read, and the bills, if fal can be understood."""
        fal, dice = self.office.fal, self.dice
        self.office.passes(minutes=10)
        if dice.random() < 0.1:
            self._change_a_bill()
        if dice.random() < 0.2:
            operation = dice.choice(["billing", "billing_events"])
            fal.faults.add(Fault(dice.choice(SILENCES), retry_after=0), operation)
        await self.office.watch.check()
        try:
            await self.office.reconciler.reconcile()
        except FalError:
            self.silent += 1
        fal.faults.orders.clear()

    def _change_a_bill(self) -> None:
        """fal thinks again about a bill of the last days; the balance moves with it."""
        fal = self.office.fal
        recent = [bill for bill in fal.account.bills if (fal.clock.now() - bill.at).days < 3]
        if recent:
            bill = self.dice.choice(recent)
            nanos = self.dice.randrange(bill.total_nanos + 1)
            fal.balance_nanos += bill.total_nanos - nanos
            bill.total_nanos = nanos


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_after_a_month_the_books_are_fals_bill_to_the_nano_dollar(
    office: Accountant, database_url: str
) -> None:
    # The state machine of the ledger runs on both databases; here a week will do for the second.
    month = Month(office, random.Random(20261123), days=30 if is_sqlite(database_url) else 7)
    before = office.fal.balance_nanos
    await month.live()
    fal = office.fal
    jobs = {str(job.request_id): job for job in await ContentJob.filter(request_id__isnull=False)}
    of_person: dict[int, int] = defaultdict(int)
    of_budget: dict[tuple[int, int], int] = defaultdict(int)
    outside = 0
    for bill in fal.account.bills:
        job = jobs.get(bill.request_id)
        if job is None:
            outside += bill.total_nanos
        else:
            of_person[job.person_id] += bill.total_nanos
            of_budget[job.person_id, job.settled_budget_number or 0] += bill.total_nanos
            assert job.cost_nanos == bill.total_nanos

    for person in await Person.all():
        assert person.total_spent_nanos == of_person[person.id]
        if person.followed_balance_nanos is None:
            assert person.spent_nanos == of_budget[person.id, person.budget_number]
        else:
            assert person.budget_nanos is not None
            assert person.budget_nanos - person.spent_nanos == fal.balance_nanos
    report = await office.reconciler.reconcile()
    assert report.charged_nanos + report.outside_nanos == fal.bill_total_nanos
    assert report.outside_nanos == outside
    assert (report.missing, report.adjustments) == (0, 0)
    assert report.balance is not None
    assert report.balance.unexplained_nanos == 0
    assert before + month.topped_up_nanos - fal.bill_total_nanos == fal.balance_nanos
    assert await verify(office.connection) == []
    # And it was not a quiet month.
    assert len(jobs) > 60 * month.days
    assert await OutsideBill.all().count() > 2 * month.days
    if month.days == 30:
        assert min(month.refused, month.silent) > 5
        assert month.topped_up_nanos > 100 * DOLLAR
