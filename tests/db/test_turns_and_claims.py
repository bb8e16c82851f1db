"""What several processes must not do twice: work on a job, have a turn, take an update, tell."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from db import actions, leases, occasions, outbox, sql, turns, updates
from db.models import ContentJob, Notice, Occasion, SeenUpdate
from db.outbox import NewNotice
from db.steps import at_once
from tests.db.books import held, new_person

pytestmark = pytest.mark.usefixtures("database")

MINUTE = timedelta(minutes=1)


class Time:
    """What all of these take for the present."""

    def __init__(self) -> None:
        self.present = sql.now()

    def now(self) -> datetime:
        return self.present


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    for room in (leases, occasions, outbox, turns, updates):
        monkeypatch.setattr(room, "now", made.now)
    return made


# ----------------------------------------------------------------------------------- leases


async def test_a_job_is_worked_on_by_one_until_its_lease_ends(time: Time) -> None:
    job_id = await held(await new_person(), 1)
    assert await leases.free_jobs() == [job_id]
    assert await leases.claim(job_id, "first", take_over=False)
    assert not await leases.claim(job_id, "second", take_over=False)
    assert await leases.claim(job_id, "first", take_over=False)
    assert await leases.free_jobs() == []

    time.present += leases.LEASED_FOR + timedelta(milliseconds=1)
    assert await leases.free_jobs() == [job_id]
    assert await leases.free_jobs(but=[job_id]) == []
    assert await leases.claim(job_id, "second", take_over=False)
    assert await leases.renew("first") == set()
    assert await leases.renew("second") == {job_id}


async def test_a_lease_that_is_renewed_does_not_end(time: Time) -> None:
    job_id = await held(await new_person(), 1)
    await leases.claim(job_id, "first", take_over=False)
    for _ in range(5):
        time.present += leases.RENEWED_EVERY
        assert await leases.renew("first") == {job_id}
    assert not await leases.claim(job_id, "second", take_over=False)


async def test_many_leases_are_renewed_some_at_a_time(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEWED_AT_ONCE", 3)
    person = await new_person()
    jobs = [await held(person, 1) for _ in range(10)]
    for job_id in jobs:
        await leases.claim(job_id, "first", take_over=False)
    lost = jobs[4]
    await leases.claim(lost, "second", take_over=True)
    time.present += leases.RENEWED_EVERY
    assert await leases.renew("first") == set(jobs) - {lost}
    time.present += leases.LEASED_FOR - timedelta(seconds=1)
    assert await leases.free_jobs() == [lost]


async def test_a_job_can_be_taken_over_from_a_process_that_lives(time: Time) -> None:
    job_id = await held(await new_person(), 1)
    await leases.claim(job_id, "first", take_over=False)
    assert await leases.claim(job_id, "second", take_over=True)
    assert await leases.renew("first") == set()


async def test_one_of_many_that_claim_at_once_gets_the_job(time: Time) -> None:
    job_id = await held(await new_person(), 1)
    got = await asyncio.gather(
        *(leases.claim(job_id, f"process {number}", take_over=False) for number in range(20))
    )
    assert sum(got) == 1


async def test_what_is_given_back_is_free_at_once(time: Time) -> None:
    person = await new_person()
    mine, other = await held(person, 1), await held(person, 1)
    await leases.claim(mine, "first", take_over=False)
    await leases.claim(other, "second", take_over=False)
    await leases.give_back("first")
    assert await leases.free_jobs() == [mine]
    await leases.give_back(None)
    assert await leases.free_jobs() == [mine, other]


async def test_a_job_whose_outcome_is_shown_is_nobodys_any_more(time: Time) -> None:
    job_id = await held(await new_person(), 1)
    await ContentJob.filter(id=job_id).update(shown_at=time.now())
    assert await leases.free_jobs() == []
    assert not await leases.claim(job_id, "first", take_over=True)


# ----------------------------------------------------------------------------------- notices


async def test_a_notice_is_claimed_by_one_and_again_if_that_one_dies(time: Time) -> None:
    person = await new_person()
    await outbox.write_notices_now([NewNotice(person.id, "alert", {}) for _ in range(6)])
    claimed = await asyncio.gather(*(outbox.claim_due(2) for _ in range(3)))
    ids = [notice_id for batch in claimed for notice_id in batch]
    assert len(set(ids)) == len(ids)
    rest = await outbox.claim_due(100)
    assert len(ids) + len(rest) == 6
    assert await outbox.claim_due(100) == []
    time.present += outbox.CLAIMED_FOR + timedelta(milliseconds=1)
    assert len(await outbox.claim_due(100)) == 6


# ------------------------------------------------------------------------------------- turns


async def test_a_schedule_has_one_turn_in_all_processes(time: Time) -> None:
    got = await asyncio.gather(*(turns.take_turn("bills", MINUTE) for _ in range(10)))
    assert sum(got) == 1
    assert await turns.take_turn("prices", MINUTE)
    time.present += MINUTE * (1 - turns.EARLY) - timedelta(seconds=1)
    assert not await turns.take_turn("bills", MINUTE)
    time.present += timedelta(seconds=1)
    assert await turns.take_turn("bills", MINUTE)


# --------------------------------------------------------------------------------- occasions


async def test_an_occasion_is_told_once_until_it_is_over(time: Time) -> None:
    person = await new_person()
    notices = [NewNotice(person.id, "balance_low", {})]
    begun = await asyncio.gather(*(occasions.begin("low", notices) for _ in range(5)))
    assert sum(begun) == 1
    assert await occasions.holds("low")
    assert await Notice.all().count() == 1

    assert await occasions.end("low")
    assert not await occasions.end("low")
    assert not await occasions.holds("low")
    assert await occasions.begin("low", notices)
    assert await Notice.all().count() == 2


async def test_one_of_all_may_try_now_and_then_although_it_is_so(time: Time) -> None:
    assert not await occasions.may_try("locked", MINUTE)  # there is nothing to try
    await occasions.begin("locked", [])
    assert not await occasions.may_try("locked", MINUTE)
    time.present += MINUTE + timedelta(seconds=1)
    got = await asyncio.gather(*(occasions.may_try("locked", MINUTE) for _ in range(5)))
    assert sum(got) == 1
    assert (await Occasion.get(name="locked")).since == time.now()


# ----------------------------------------------------------------------------------- updates


async def test_an_update_is_taken_once_and_its_words_are_kept_no_longer_than_needed(
    time: Time,
) -> None:
    update: dict[str, object] = {"update_id": 7, "message": {"text": "/image a fox é 🦊"}}
    got = await asyncio.gather(*(updates.take(7, update) for _ in range(5)))
    assert sum(got) == 1
    assert (await SeenUpdate.get(id=7)).body is not None
    await updates.mark_done([7])
    assert not await updates.take(7, update)
    assert (await SeenUpdate.get(id=7)).body is None


async def test_what_a_dead_process_took_is_taken_anew_by_one(time: Time) -> None:
    update: dict[str, object] = {"update_id": 7}
    await updates.take(7, update)
    await updates.take(8, {"update_id": 8})
    await updates.mark_done([8])
    assert await updates.left_behind(time.now() - MINUTE) == []
    time.present += MINUTE
    got = await asyncio.gather(*(updates.left_behind(time.now() - MINUTE) for _ in range(4)))
    assert [found for batch in got for found in batch] == [update]
    assert await updates.left_behind(time.now() - MINUTE) == []


async def test_what_was_taken_anew_is_not_found_again_though_the_clock_was_set_back(
    time: Time,
) -> None:
    update: dict[str, object] = {"update_id": 7}
    await updates.take(7, update)
    before = time.now()
    time.present -= MINUTE
    assert await updates.left_behind(before) == [update]
    assert await updates.left_behind(before) == []


async def test_updates_that_cannot_come_again_are_forgotten(time: Time) -> None:
    await updates.mark_done([7])
    time.present += updates.KEPT
    await updates.mark_done([8])
    assert await updates.forget_old() == 0
    time.present += timedelta(seconds=1)
    assert await updates.forget_old() == 1
    assert [row.id for row in await SeenUpdate.all()] == [8]


# ----------------------------------------------------------------------------------- actions


async def test_actions_of_admins_are_remembered_the_newest_first() -> None:
    for number in range(3):
        await at_once(actions.record(1, "approve", 100 + number, f"detail {number}"))
    latest = await actions.latest(2)
    assert [(action.person_id, action.detail) for action in latest] == [
        (102, "detail 2"),
        (101, "detail 1"),
    ]
