"""The alert of a low budget: one for each crossing downwards, armed again above."""

from __future__ import annotations

import asyncio

import pytest

from db import ledger
from db.models import CostSource, Notice, Person
from db.sql import now
from tests.db.books import (
    FINISHED,
    adjust,
    alerts,
    budget,
    charge,
    held,
    new_person,
    spent,
    unused_origin,
)

pytestmark = pytest.mark.usefixtures("database")


async def test_an_alert_comes_when_less_than_a_quarter_remains() -> None:
    ada = await new_person(budget_nanos=100)
    await spent(ada, 75)
    assert await alerts(ada) == []  # exactly 25 percent
    await spent(ada, 1)
    assert await alerts(ada) == [(25, 24)]
    notice = await Notice.get()
    assert notice.content == {"remaining_nanos": 24, "budget_nanos": 100, "percent": 25}
    assert (notice.chat_id, notice.occasion, notice.closed_at) == (ada.id, None, None)


async def test_each_threshold_is_announced_once() -> None:
    ada = await new_person(budget_nanos=100)
    for nanos in (76, 4, 9, 1, 1, 9):  # 24, 20, 11, 10, 9 and 0 remain
        await spent(ada, nanos)
    assert await alerts(ada) == [(25, 24), (10, 9)]


async def test_a_leap_over_two_thresholds_makes_one_alert() -> None:
    ada = await new_person(budget_nanos=100)
    await spent(ada, 95)
    assert await alerts(ada) == [(10, 5)]
    await spent(ada, 1)
    assert len(await alerts(ada)) == 1


async def test_one_nano_under_the_threshold_of_an_odd_budget_counts() -> None:
    ada = await new_person(budget_nanos=10**15 + 3)
    quarter = (10**15 + 3) // 4  # rounded down: the first amount that is less than a quarter
    job_id = await held(ada, 10**15 + 3)
    await charge(job_id, 10**15 + 3 - quarter - 1)
    assert await alerts(ada) == []
    await spent(ada, 1)
    assert await alerts(ada) == [(25, quarter)]


async def test_a_new_budget_arms_the_alerts_again() -> None:
    ada = await new_person(budget_nanos=100)
    await spent(ada, 95)
    await budget(ada, 100)
    await spent(ada, 80)
    assert await alerts(ada) == [(10, 5), (25, 20)]


async def test_an_adjustment_above_the_threshold_arms_it_again() -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await spent(ada, 80)
    await adjust(job_id, 60)
    await ada.refresh_from_db()
    assert ada.alerted_percent is None
    await adjust(job_id, 85)
    assert await alerts(ada) == [(25, 20), (25, 15)]


async def test_a_rise_between_the_thresholds_arms_the_lower_one_without_a_word() -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await spent(ada, 95)
    await adjust(job_id, 80)
    assert await alerts(ada) == [(10, 5)]
    await adjust(job_id, 91)
    assert await alerts(ada) == [(10, 5), (10, 9)]


async def test_an_adjustment_of_an_earlier_budget_is_no_crossing() -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await spent(ada, 10)
    await budget(ada, 100)
    await adjust(job_id, 99)
    assert await alerts(ada) == []


async def test_holds_and_releases_are_no_crossing() -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await held(ada, 100)
    await ledger.release(job_id, FINISHED)
    assert await alerts(ada) == []


async def test_a_balance_that_drops_from_outside_is_a_crossing() -> None:
    ada = await new_person()
    await ledger.set_budget(ada.id, 100, actor_id=None, origin=unused_origin(), follows=True)
    await ledger.follow(ada.id, 20, counted_until=now(), alert_percents=(25, 10))
    await ledger.follow(ada.id, 19, counted_until=now(), alert_percents=(25, 10))
    assert await alerts(ada) == [(25, 20)]


async def test_without_a_budget_nobody_is_alerted() -> None:
    ada = await new_person()
    await spent(ada, 10**12)
    assert await alerts(ada) == []


async def test_a_budget_of_zero_is_alerted_only_for_spending() -> None:
    ada = await new_person(budget_nanos=0)
    await charge(await held(ada, 0), 0)
    assert await alerts(ada) == []
    await charge(await held(ada, 0), 1)
    assert await alerts(ada) == [(10, -1)]


async def test_without_thresholds_nobody_is_alerted() -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await held(ada, 100)
    await ledger.charge(job_id, 100, CostSource.UNITS, FINISHED)
    assert await alerts(ada) == []


async def test_jobs_that_end_at_once_cross_a_threshold_once() -> None:
    ada = await new_person(budget_nanos=100)
    job_ids = [await held(ada, 10) for _ in range(10)]
    await asyncio.gather(*(charge(job_id, 10) for job_id in job_ids))
    assert await alerts(ada) == [(25, 20), (10, 0)]


@pytest.mark.parametrize(
    ("chosen", "expected"), [("50", [(50, 49)]), ("60,50", [(50, 49)]), ("", [])]
)
async def test_a_persons_own_thresholds_count_instead(
    chosen: str, expected: list[tuple[int, int]]
) -> None:
    ada = await new_person(budget_nanos=100)
    await Person.filter(id=ada.id).update(alert_percents=chosen)
    await spent(ada, 51)
    assert await alerts(ada) == expected


async def test_a_release_does_not_arm_an_alert_again() -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await held(ada, 1)
    await spent(ada, 80)
    await ledger.release(job_id, FINISHED)
    await spent(ada, 1)
    assert await alerts(ada) == [(25, 20)]
