"""Whoever is cancelled in the middle of the database leaves it usable for all others."""

from __future__ import annotations

import asyncio

import pytest

from db import connection as room
from db import ledger
from db.audit import verify
from db.connection import connect, migrate
from db.models import Person
from tests.db.books import FAILED, charge, figures, held, new_person, unused_origin

MOMENTS = 40


async def _cancelled_after(moments: int, work: asyncio.Task[object]) -> None:
    for _ in range(moments):
        # A few turns of the loop each: a thread and a server answer when they like.
        await asyncio.sleep(0)
    work.cancel()
    await asyncio.wait([work])


async def test_a_movement_cancelled_at_any_moment_happens_whole_or_not_at_all(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With one connection one leak is enough to stop everything.
    monkeypatch.setitem(room.POSTGRES_CREDENTIALS, "maxsize", 1)
    async with connect(database_url) as connection:
        await migrate(connection)
        ada = await new_person(budget_nanos=10**9)
        for moments in range(MOMENTS):
            job_id = await held(ada, 10)
            movements = (
                charge(job_id, 10),
                ledger.set_budget(ada.id, 10**9, actor_id=None, origin=unused_origin()),
                Person.get_or_create(id=moments),
            )
            for movement in movements:
                work: asyncio.Task[object] = asyncio.ensure_future(movement)
                await _cancelled_after(moments, work)
            async with asyncio.timeout(10):
                await ledger.release(job_id, FAILED)
                assert (await figures(ada))[2] == 0
        assert await verify(connection) == []


async def test_many_cancelled_at_once_leave_the_database_usable(database_url: str) -> None:
    async with connect(database_url) as connection:
        await migrate(connection)
        ada = await new_person(budget_nanos=10**9)
        job_ids = [await held(ada, 10) for _ in range(60)]
        tasks = [asyncio.ensure_future(charge(job_id, 10)) for job_id in job_ids]
        await _cancelled_after(5, tasks[0])
        for number, task in enumerate(tasks):
            if number % 2:
                task.cancel()
        async with asyncio.timeout(20):
            await asyncio.wait(tasks)
            for job_id in job_ids:
                await charge(job_id, 10)
            assert (await figures(ada))[1:3] == (600, 0)
            assert await verify(connection) == []
