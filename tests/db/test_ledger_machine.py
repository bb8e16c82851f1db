"""Random movements against a reference model of a few lines: books, entries and model agree."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tortoise.backends.base.client import BaseDBAsyncClient

from db import ledger
from db.accounts import NotEnough, Settlement
from db.audit import verify
from db.connection import connect, migrate
from db.models import CostSource, JobState, Person
from db.sql import now
from tests.db.books import (
    ALERTS,
    FAILED,
    alerts,
    broken_notice,
    budget,
    charge,
    entries,
    figures,
    new_person,
    order,
    unused_origin,
)

T = TypeVar("T")

# Parts of a hundred, so that boundaries are met often; any small ones; some with many digits.
AMOUNTS = (
    st.sampled_from((0, 1, 10, 25, 75, 90, 100)) | st.integers(0, 120) | st.integers(0, 10**15)
)
BESIDE = st.integers(-1, 1)


@dataclass
class Model:
    """What the ledger promises, without a database."""

    budget: int | None = None
    spent: int = 0
    held: int = 0
    total: int = 0
    number: int = 0
    announced: int = 100
    alerts: list[tuple[int, int]] = field(default_factory=list)

    def set_budget(self, nanos: int | None) -> None:
        self.budget, self.spent, self.number, self.announced = nanos, 0, self.number + 1, 100

    @property
    def available(self) -> int:
        return 10**18 if self.budget is None else self.budget - self.spent - self.held

    def spend(self, nanos: int, *, counts: bool = True, in_total: bool = True) -> None:
        self.total += nanos if in_total else 0
        if counts:
            self.spent += nanos
            self._look()

    def _look(self) -> None:
        if self.budget is None:
            return
        remaining = self.budget - self.spent
        lowest = min((p for p in ALERTS if remaining * 100 < p * self.budget), default=100)
        if lowest < self.announced:
            self.alerts.append((lowest, remaining))
        self.announced = lowest


@dataclass
class Job:
    """One job of the model: under way while `number` is None."""

    id: int
    quote: int
    cost: int = 0
    number: int | None = None
    bill: int = 0


class Books:
    """A database that outlives the examples; each example gets a person of its own."""

    def __init__(self, runner: asyncio.Runner, connection: BaseDBAsyncClient) -> None:
        self.runner = runner
        self.connection = connection

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)


class Machine(RuleBasedStateMachine):
    """Random movements of one person's money."""

    jobs: Bundle[Job] = Bundle("jobs")

    def __init__(self, books: Books) -> None:
        super().__init__()
        self.run = books.run
        self.connection = books.connection
        self.model = Model()
        self.known: list[Job] = []
        self.person: Person = self.run(new_person())

    @rule(nanos=st.none() | AMOUNTS)
    def set_budget(self, nanos: int | None) -> None:
        assert self.run(budget(self.person, nanos)).changed
        self.model.set_budget(nanos)

    @rule(nanos=AMOUNTS)
    def set_budget_twice(self, nanos: int) -> None:
        origin = unused_origin()
        for first in (True, False):
            movement = self.run(
                ledger.set_budget(self.person.id, nanos, actor_id=None, origin=origin)
            )
            assert movement.changed is first
        self.model.set_budget(nanos)

    @rule(balance=AMOUNTS, later=AMOUNTS)
    def follow(self, balance: int, later: int) -> None:
        origin = unused_origin()
        self.run(
            ledger.set_budget(self.person.id, balance, actor_id=None, origin=origin, follows=True)
        )
        self.model.set_budget(balance)
        movement = self.run(
            ledger.follow(self.person.id, later, alert_percents=ALERTS, counted_until=now())
        )
        assert movement.changed is (balance != later)
        self.model.spend(balance - later, in_total=False)

    @rule(target=jobs, quote=AMOUNTS)
    def hold(self, quote: int) -> Any:
        return self._hold(quote)

    @precondition(lambda self: self.model.budget is not None)
    @rule(target=jobs, beside=BESIDE)
    def hold_all_there_is(self, beside: int) -> Any:
        return self._hold(max(self.model.available + beside, 0))

    def _hold(self, quote: int) -> Any:
        job = order(self.person.id, quote)
        if quote > self.model.available:
            with pytest.raises(NotEnough):
                self.run(ledger.hold(job, max_active_jobs=1000))
            return multiple()
        movement = self.run(ledger.hold(job, max_active_jobs=1000))
        assert movement.changed
        assert movement.job_id is not None
        again = order(self.person.id, quote, job.origin)
        assert not self.run(ledger.hold(again, max_active_jobs=1000)).changed
        self.model.held += quote
        self.known.append(Job(movement.job_id, quote))
        return self.known[-1]

    @rule(job=jobs, cost=st.none() | AMOUNTS, bill=st.none() | AMOUNTS)
    def charge(self, job: Job, cost: int | None, bill: int | None) -> None:
        self._charge(job, job.quote if cost is None else cost, bill)

    @precondition(lambda self: self.model.budget is not None and self.model.available >= 0)
    @rule(percent=st.sampled_from(ALERTS), beside=BESIDE)
    def spend_down_to_a_threshold(self, percent: int, beside: int) -> None:
        budget_nanos = self.model.budget or 0
        left = budget_nanos * percent // 100 + beside
        self._charge(self._hold(0), max(budget_nanos - self.model.spent - left, 0), None)

    def _charge(self, job: Job, cost: int, bill: int | None) -> None:
        self._ended(job, self.run(charge(job.id, cost)).changed, cost, bill)

    @rule(job=jobs, bill=st.none() | AMOUNTS)
    def release(self, job: Job, bill: int | None) -> None:
        self._ended(job, self.run(ledger.release(job.id, FAILED)).changed, 0, bill)

    @precondition(lambda self: self.model.budget is None or self.model.available >= 0)
    @rule()
    def fail_at_once(self) -> None:
        """Frequent in life, and of no consequence: nothing moved in between."""
        job = self._hold(0)
        self._ended(job, self.run(ledger.release(job.id, FAILED)).changed, 0, None)

    def _ended(self, job: Job, changed: bool, cost: int, bill: int | None) -> None:
        assert changed is (job.number is None)
        if changed:
            job.cost, job.number = cost, self.model.number
            job.bill = cost if bill is None else bill
            self.model.held -= job.quote
            self.model.spend(cost)

    @rule(job=jobs, bill=AMOUNTS)
    def adjust(self, job: Job, bill: int) -> None:
        movement = self.run(ledger.adjust(job.id, bill, alert_percents=ALERTS))
        assert movement.changed is (job.number is not None and bill != job.cost)
        self._adjusted(job, bill)

    @rule()
    def reconcile(self) -> None:
        """All bills, twice: the second time changes nothing."""
        settled = [job for job in self.known if job.number is not None]
        for job in settled:
            self.run(ledger.adjust(job.id, job.bill, alert_percents=ALERTS))
            self._adjusted(job, job.bill)
        for job in settled:
            assert not self.run(ledger.adjust(job.id, job.bill)).changed

    def _adjusted(self, job: Job, bill: int) -> None:
        if job.number is not None and bill != job.cost:
            self.model.spend(bill - job.cost, counts=job.number == self.model.number)
            job.cost = bill

    @rule(job=jobs, cost=AMOUNTS)
    def crash(self, job: Job, cost: int) -> None:
        """The process ends at the last line of a movement: all of it is undone."""
        broken = [broken_notice(self.person.id)]
        settlement = Settlement(JobState.FINISHED, {}, broken)
        if job.number is None:
            with pytest.raises(TypeError):
                self.run(ledger.charge(job.id, cost, CostSource.UNITS, settlement))
        elif cost != job.cost:
            with pytest.raises(TypeError):
                self.run(ledger.adjust(job.id, cost, notices=broken))

    @invariant()
    def everything_agrees(self) -> None:
        model = self.model
        assert self.run(figures(self.person)) == (
            model.budget,
            model.spent,
            model.held,
            model.total,
        )
        announced = self.person.alerted_percent
        assert model.announced == (100 if announced is None else announced)
        rows = self.run(entries(self.person))
        assert sum(row[2] for row in rows) == model.held == self._quotes_under_way()
        assert sum(row[3] for row in rows) == model.spent
        assert sum(row[4] for row in rows) == model.total == sum(job.cost for job in self.known)
        assert self.run(alerts(self.person)) == model.alerts
        assert self.run(verify(self.connection)) == []

    def _quotes_under_way(self) -> int:
        return sum(job.quote for job in self.known if job.number is None)


@pytest.fixture
def books(database_url: str) -> Iterator[Books]:
    """A migrated database on a loop of its own, for tests that are not coroutines."""

    async def open_books() -> BaseDBAsyncClient:
        connection = await stack.enter_async_context(connect(database_url))
        await migrate(connection)
        return connection

    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        yield Books(runner, runner.run(open_books()))
        runner.run(stack.aclose())


def test_books_and_model_agree_after_every_movement(books: Books) -> None:
    class BookedMachine(Machine):
        def __init__(self) -> None:
            super().__init__(books)

    run_state_machine_as_test(
        BookedMachine, settings=settings(max_examples=40, stateful_step_count=20)
    )
