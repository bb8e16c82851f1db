"""Many at once, in one process and in several: no budget is passed, nothing happens twice."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import asyncpg
import pytest
from tortoise.backends.base.client import BaseDBAsyncClient

from db import ledger
from db.accounts import Movement, NotEnough, TooManyActive
from db.audit import verify
from db.models import ContentJob, CostSource, LedgerEntry, Person
from db.sql import Row, fetch
from tests.db.books import (
    FAILED,
    FINISHED,
    adjust,
    alerts,
    budget,
    charge,
    figures,
    held,
    new_person,
    order,
    spent,
)
from tests.support.waiting import eventually

T = TypeVar("T")


async def _tried(movement: Awaitable[Movement]) -> bool:
    try:
        return (await movement).changed
    except (NotEnough, TooManyActive):
        return False


async def test_holds_at_once_never_pass_the_budget(database: BaseDBAsyncClient) -> None:
    ada = await new_person(budget_nanos=37 * 25)
    got = await asyncio.gather(
        *(_tried(ledger.hold(order(ada.id, 25), max_active_jobs=1000)) for _ in range(120))
    )
    assert sum(got) == 37
    assert await figures(ada) == (37 * 25, 0, 37 * 25, 0)
    assert await ContentJob.all().count() == 37
    assert await verify(database) == []


async def test_holds_at_once_never_pass_the_number_of_jobs(database: BaseDBAsyncClient) -> None:
    ada = await new_person()
    got = await asyncio.gather(
        *(_tried(ledger.hold(order(ada.id, 25), max_active_jobs=3)) for _ in range(40))
    )
    assert sum(got) == 3
    assert await verify(database) == []


async def test_one_command_that_comes_many_times_at_once_holds_once(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person(budget_nanos=100)
    movements = await asyncio.gather(
        *(ledger.hold(order(ada.id, 25, "message:1:2"), max_active_jobs=10) for _ in range(20))
    )
    assert sum(movement.changed for movement in movements) == 1
    assert len({movement.job_id for movement in movements}) == 1
    assert await figures(ada) == (100, 0, 25, 0)


async def test_charges_releases_and_adjustments_at_once_happen_once_each(
    database: BaseDBAsyncClient,
) -> None:
    people = [await new_person(budget_nanos=1000) for _ in range(3)]
    job_ids = [await held(person, 10) for person in people for _ in range(5)]
    ends = [
        end
        for job_id in job_ids
        for end in (charge(job_id, 10), ledger.release(job_id, FAILED), charge(job_id, 10))
    ]
    movements = await asyncio.gather(*ends)
    assert sum(movement.changed for movement in movements) == len(job_ids)
    adjusted = await asyncio.gather(*(adjust(job_id, 7) for job_id in job_ids for _ in range(3)))
    assert sum(movement.changed for movement in adjusted) == len(job_ids)
    total = sum([(await figures(person))[3] for person in people])
    assert total == 7 * len(job_ids)
    assert await verify(database) == []


async def test_budgets_holds_and_charges_of_one_person_at_once_never_deadlock(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person(budget_nanos=1000)
    job_ids = [await held(ada, 10) for _ in range(10)]
    await asyncio.gather(
        *(charge(job_id, 12) for job_id in job_ids),
        *(budget(ada, 500 + number) for number in range(10)),
        *(_tried(ledger.hold(order(ada.id, 10), max_active_jobs=1000)) for _ in range(10)),
    )
    assert (await figures(ada))[2:] == (100, 120)
    assert await verify(database) == []


# ------------------------------------------------------- several processes, on PostgreSQL alone


@pytest.mark.postgres_only
async def test_processes_that_hold_at_once_never_pass_the_budget(
    database: BaseDBAsyncClient, database_url: str
) -> None:
    ada = await new_person(budget_nanos=37 * 25 + 24)
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.db.holder", database_url, str(ada.id), "25", "40"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert sum(int(answer) for answer, _ in answers) == 37
    assert await figures(ada) == (37 * 25 + 24, 0, 37 * 25, 0)
    assert await verify(database) == []


@asynccontextmanager
async def _all_waiting(
    url: str, person: Person, database: BaseDBAsyncClient
) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Keep the person's row locked; yields what lets go once so many movements wait for it.

    So the movements have all read what they read before they change anything.
    """
    other = await asyncpg.connect(url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT 1 FROM person WHERE id = $1 FOR UPDATE", person.id)

    async def let_go(count: int) -> None:
        async def waiting() -> bool:
            rows = await database.execute_query_dict("SELECT 1 FROM pg_locks WHERE NOT granted")
            return len(rows) >= count

        await eventually(waiting, what=f"{count} movements that wait")
        await transaction.rollback()

    try:
        yield let_go
    finally:
        await other.close()


async def _two_at_once(
    url: str, person: Person, database: BaseDBAsyncClient, make: Callable[[], Awaitable[T]]
) -> list[T]:
    """Run the same movement twice, each at the point where it has read and not written."""
    async with _all_waiting(url, person, database) as let_go:
        tasks = [asyncio.ensure_future(make()) for _ in range(2)]
        await let_go(2)
        return list(await asyncio.gather(*tasks))


@pytest.mark.postgres_only
async def test_the_same_command_on_two_processes_sets_a_budget_once(
    database: BaseDBAsyncClient, database_url: str
) -> None:
    ada = await new_person()

    def make() -> Awaitable[Movement]:
        return ledger.set_budget(ada.id, 50, actor_id=ada.id, origin="message:1:2")

    movements = await _two_at_once(database_url, ada, database, make)
    assert sorted(movement.changed for movement in movements) == [False, True]
    assert await LedgerEntry.all().count() == 1
    await ada.refresh_from_db()
    assert (ada.budget_nanos, ada.budget_number) == (50, 1)
    assert await verify(database) == []


@pytest.mark.postgres_only
async def test_the_same_command_on_two_processes_makes_one_job(
    database: BaseDBAsyncClient, database_url: str
) -> None:
    ada = await new_person(budget_nanos=100)

    def make() -> Awaitable[Movement]:
        return ledger.hold(order(ada.id, 25, "message:1:2"), max_active_jobs=10)

    movements = await _two_at_once(database_url, ada, database, make)
    assert sorted(movement.changed for movement in movements) == [False, True]
    assert movements[0].job_id == movements[1].job_id
    assert await figures(ada) == (100, 0, 25, 0)
    assert await verify(database) == []


@pytest.mark.postgres_only
async def test_two_processes_that_settle_the_same_job_charge_it_once(
    database: BaseDBAsyncClient, database_url: str
) -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await held(ada, 90)

    def make() -> Awaitable[Movement]:
        return charge(job_id, 90)

    movements = await _two_at_once(database_url, ada, database, make)
    assert sorted(movement.changed for movement in movements) == [False, True]
    assert await figures(ada) == (100, 90, 0, 90)
    assert await alerts(ada) == [(25, 10)]
    assert await verify(database) == []


@pytest.mark.postgres_only
async def test_two_processes_that_read_the_same_bill_adjust_once(
    database: BaseDBAsyncClient, database_url: str
) -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await spent(ada, 30)

    def make() -> Awaitable[Movement]:
        return adjust(job_id, 35)

    movements = await _two_at_once(database_url, ada, database, make)
    assert sorted(movement.changed for movement in movements) == [False, True]
    assert await figures(ada) == (100, 35, 0, 35)
    assert await verify(database) == []


@pytest.mark.postgres_only
async def test_an_adjustment_waits_for_a_budget_and_counts_by_what_it_finds_then(
    database: BaseDBAsyncClient, database_url: str
) -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await spent(ada, 30)
    async with _all_waiting(database_url, ada, database) as let_go:
        first = asyncio.ensure_future(budget(ada, 70))
        second = asyncio.ensure_future(adjust(job_id, 35))
        await let_go(2)
        await asyncio.gather(first, second)
    spent_nanos = (await figures(ada))[1]
    assert (ada.budget_nanos, ada.total_spent_nanos) == (70, 35)
    assert spent_nanos == 0
    assert await verify(database) == []


@pytest.mark.postgres_only
async def test_a_refused_hold_says_what_is_available_after_a_race(
    database: BaseDBAsyncClient, database_url: str
) -> None:
    ada = await new_person(budget_nanos=100)
    await ledger.charge(await held(ada, 60), 60, CostSource.QUOTE, FINISHED)
    async with _all_waiting(database_url, ada, database) as let_go:
        tasks = [
            asyncio.ensure_future(ledger.hold(order(ada.id, 30), max_active_jobs=10))
            for _ in range(2)
        ]
        await let_go(2)
        results = await asyncio.gather(*tasks, return_exceptions=True)
    [refusal] = [result for result in results if isinstance(result, NotEnough)]
    assert refusal.available_nanos == 10


@pytest.mark.postgres_only
@pytest.mark.parametrize("budget_nanos", [None, 30])
async def test_a_hold_that_is_refused_while_money_arrives_is_tried_again(
    database: BaseDBAsyncClient, monkeypatch: pytest.MonkeyPatch, budget_nanos: int | None
) -> None:
    ada = await new_person(budget_nanos=29)

    async def fetch_late(connection: BaseDBAsyncClient, sql: str, *values: object) -> list[Row]:
        if "AS available_nanos" in sql:
            await asyncio.create_task(budget(ada, budget_nanos), context=outside)
        return await fetch(connection, sql, *values)

    outside = contextvars.copy_context()
    monkeypatch.setattr("db.steps.fetch", fetch_late)
    assert (await ledger.hold(order(ada.id, 30), max_active_jobs=10)).changed
    assert await figures(ada) == (budget_nanos, 0, 30, 0)
    assert await verify(database) == []
