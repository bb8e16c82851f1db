"""Corrections of what was charged: fal's bills, and fal's balance."""

from __future__ import annotations

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient

from db import ledger
from db.accounts import Movement
from db.audit import verify
from db.models import ContentJob, CostSource, EntryKind, JobState, LedgerEntry, Notice
from db.outbox import NewNotice
from db.sql import now
from tests.db.books import (
    FAILED,
    adjust,
    budget,
    charge,
    entries,
    figures,
    held,
    new_person,
    spent,
    unused_origin,
)


@pytest.mark.parametrize("billed_nanos", [0, 24, 26, 500])
async def test_an_adjustment_makes_the_cost_what_fal_billed(
    database: BaseDBAsyncClient, billed_nanos: int
) -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await held(ada, 30)
    await charge(job_id, 25)
    movement = await adjust(job_id, billed_nanos)
    assert movement.changed
    assert await figures(ada) == (100, billed_nanos, 0, billed_nanos)
    delta = billed_nanos - 25
    assert (await entries(ada))[-1] == (EntryKind.ADJUSTMENT, billed_nanos, 0, delta, delta)
    job = await ContentJob.get(id=job_id)
    assert (job.cost_nanos, job.cost_source) == (billed_nanos, CostSource.BILLED)
    assert job.billed_at is not None
    assert await verify(database) == []


async def test_a_bill_that_says_the_same_is_noted_and_moves_nothing(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await spent(ada, 25)
    before = await entries(ada)
    movement = await adjust(job_id, 25)
    assert not movement.changed
    assert await entries(ada) == before
    job = await ContentJob.get(id=job_id)
    assert (job.cost_source, job.billed_at is None) == (CostSource.BILLED, False)


async def test_the_same_bill_is_booked_once_and_a_later_one_again(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await spent(ada, 25)
    changes = [(await adjust(job_id, nanos)).changed for nanos in (40, 40, 20, 20)]
    assert changes == [True, False, True, False]
    assert await figures(ada) == (100, 20, 0, 20)
    numbers = [entry.number for entry in await LedgerEntry.filter(job_id=job_id).order_by("id")]
    assert numbers == [1, 2, 3, 4]
    assert await verify(database) == []


async def test_a_failed_job_that_was_billed_after_all_is_adjusted(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await held(ada, 30)
    await ledger.release(job_id, FAILED)
    assert (await adjust(job_id, 12)).changed
    assert await figures(ada) == (100, 12, 0, 12)
    assert (await ContentJob.get(id=job_id)).state == JobState.FAILED
    assert await verify(database) == []


async def test_a_job_of_an_earlier_budget_changes_only_the_total(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await spent(ada, 25)
    await budget(ada, 50)
    assert (await adjust(job_id, 49)).changed
    assert await figures(ada) == (50, 0, 0, 49)
    assert (await entries(ada))[-1] == (EntryKind.ADJUSTMENT, 49, 0, 0, 24)
    assert await verify(database) == []


async def test_a_job_that_was_settled_before_any_budget_changes_only_the_total(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person()
    job_id = await spent(ada, 25)
    await budget(ada, 100)
    await adjust(job_id, 30)
    assert await figures(ada) == (100, 0, 0, 30)


async def test_without_a_budget_an_adjustment_counts_as_spent(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person()
    job_id = await spent(ada, 25)
    await adjust(job_id, 30)
    assert await figures(ada) == (None, 30, 0, 30)


async def test_a_job_under_way_and_one_that_never_was_are_not_adjusted(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person()
    job_id = await held(ada, 30)
    assert await adjust(job_id, 12) == Movement(changed=False, job_id=job_id)
    assert await adjust(404, 12) == Movement(changed=False, job_id=404)
    assert await figures(ada) == (None, 0, 30, 0)


async def test_the_notices_of_an_adjustment_are_written_only_with_it(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person()
    job_id = await spent(ada, 25)
    notices = [NewNotice(ada.id, "overrun", {})]
    await ledger.adjust(job_id, 25, notices=notices)
    assert await Notice.all().count() == 0
    await ledger.adjust(job_id, 26, notices=notices)
    await ledger.adjust(job_id, 26, notices=notices)
    assert await Notice.all().count() == 1


# ----------------------------------------------------------------------------------- follow


async def test_a_budget_that_follows_the_balance_has_exactly_that_left(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person()
    await ledger.set_budget(ada.id, 100, actor_id=ada.id, origin=unused_origin(), follows=True)
    await spent(ada, 30)
    for balance_nanos, spent_nanos in ((68, 32), (75, 25), (-5, 105)):
        movement = await ledger.follow(ada.id, balance_nanos, counted_until=now())
        assert movement.changed
        assert await figures(ada) == (100, spent_nanos, 0, 30)
        assert ada.followed_balance_nanos == balance_nanos
        assert await verify(database) == []
    kind, amount, held_delta, spent_delta, total_delta = (await entries(ada))[-1]
    assert (kind, amount, held_delta, spent_delta, total_delta) == (
        EntryKind.ADJUSTMENT, -5, 0, 80, 0,
    )  # fmt: skip


async def test_what_was_charged_lately_is_given_back_by_no_balance(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person()
    await ledger.set_budget(ada.id, 100, actor_id=None, origin=unused_origin(), follows=True)
    before = now()
    await spent(ada, 30)
    await spent(await new_person(budget_nanos=100), 20)  # which is another matter
    # Read before the charge, in the middle, after it, and once the charge is surely in it.
    for balance, counted, left in (
        (100, before, 70),
        (80, before, 70),
        (65, before, 65),
        (90, before, 65),
        (100, before, 70),
        (100, now(), 100),
    ):
        await ledger.follow(ada.id, balance, counted_until=counted)
        budget_nanos, spent_nanos, _, total_nanos = await figures(ada)
        assert (budget_nanos or 0) - spent_nanos == left
        assert (total_nanos, ada.followed_balance_nanos) == (30, balance)
        assert await verify(database) == []


async def test_a_balance_that_is_as_expected_moves_nothing(database: BaseDBAsyncClient) -> None:
    ada = await new_person()
    await ledger.set_budget(ada.id, 100, actor_id=None, origin=unused_origin(), follows=True)
    await spent(ada, 30)
    before = await entries(ada)
    movement = await ledger.follow(ada.id, 70, counted_until=now())
    assert not movement.changed
    assert movement.account is not None
    assert await entries(ada) == before
    await ada.refresh_from_db()
    assert ada.followed_balance_nanos == 70


async def test_a_budget_that_a_person_typed_follows_nothing(database: BaseDBAsyncClient) -> None:
    ada = await new_person()
    await ledger.set_budget(ada.id, 100, actor_id=None, origin=unused_origin(), follows=True)
    await budget(ada, 50)
    assert await ledger.follow(ada.id, 70, counted_until=now()) == Movement(changed=False)
    await budget(ada, None)
    assert await ledger.follow(ada.id, 70, counted_until=now()) == Movement(changed=False)
    assert await figures(ada) == (None, 0, 0, 0)


async def test_figures_that_stay_as_they_are_are_no_change_to_be_shown(
    database: BaseDBAsyncClient,
) -> None:
    """Every minute a balance is read, and every job is billed as it was charged."""
    ada = await new_person()
    await ledger.set_budget(ada.id, 100, actor_id=None, origin=unused_origin(), follows=True)
    job_id = await spent(ada, 25)
    await ledger.follow(ada.id, 75, counted_until=now())
    await ada.refresh_from_db()
    version = ada.version
    await ledger.follow(ada.id, 75, counted_until=now())
    await adjust(job_id, 25)
    await ada.refresh_from_db()
    assert ada.version == version
    await ledger.follow(ada.id, 74, counted_until=now())
    await adjust(job_id, 26)
    await ada.refresh_from_db()
    assert ada.version == version + 2
