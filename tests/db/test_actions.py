"""What administrators do is recorded with what they did, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from db import actions, entries, ledger
from db.accounts import Settlement
from db.connection import connect, migrate
from db.models import AdminAction, ContentJob, CostSource, JobState, LedgerEntry, Person
from tests.db.books import ADMIN_ID, held, new_person, unused_origin

DOLLAR = 10**9


@pytest.fixture(autouse=True)
async def _database(database_url: str) -> AsyncIterator[None]:
    async with connect(database_url) as connection:
        await migrate(connection)
        yield


async def recorded() -> list[tuple[int, str, int | None, str | None]]:
    """Who did what to whom, about what; the newest first."""
    return [(a.admin_id, a.action, a.person_id, a.detail) for a in await actions.latest(10)]


async def test_a_budget_that_an_admin_sets_for_somebody_is_recorded_once() -> None:
    person = await new_person()
    origin = unused_origin()
    for _ in range(2):
        await ledger.set_budget(person.id, DOLLAR, actor_id=ADMIN_ID, origin=origin)
    assert await recorded() == [(ADMIN_ID, "budget", person.id, None)]


async def test_ones_own_budget_and_one_that_nobody_set_are_no_decision() -> None:
    person = await new_person()
    for actor_id in (person.id, None):
        await ledger.set_budget(person.id, DOLLAR, actor_id=actor_id, origin=unused_origin())
    assert await recorded() == []


@pytest.mark.parametrize("way", ["charge", "release"])
@pytest.mark.parametrize("whose", ["somebody's", "their own"])
async def test_a_lost_job_that_an_admin_ends_is_recorded_once(way: str, whose: str) -> None:
    person = await new_person(person_id=ADMIN_ID if whose == "their own" else None)
    job_id = await held(person, 1)
    ended = Settlement(JobState.FAILED, {"error": "lost"}, actor_id=ADMIN_ID)
    for _ in range(2):
        if way == "charge":
            await ledger.charge(job_id, 1, CostSource.QUOTE, ended)
        else:
            await ledger.release(job_id, ended)
    assert await recorded() == [(ADMIN_ID, way, person.id, str(job_id))]


async def test_without_its_record_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    person = await new_person()
    job_id = await held(person, 1)

    def full(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(entries, "record", full)
    with pytest.raises(OSError, match="full"):
        await ledger.set_budget(person.id, DOLLAR, actor_id=ADMIN_ID, origin=unused_origin())
    ended = Settlement(JobState.FAILED, actor_id=ADMIN_ID)
    with pytest.raises(OSError, match="full"):
        await ledger.release(job_id, ended)
    assert (await Person.get(id=person.id)).budget_nanos is None
    assert (await ContentJob.get(id=job_id)).is_held
    assert await LedgerEntry.filter(kind__in=["budget", "release"]).count() == 0
    assert await AdminAction.all().count() == 0
