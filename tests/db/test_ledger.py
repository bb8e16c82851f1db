"""Every movement of money: what it changes, what it refuses, and that it happens once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import IntegrityError, OperationalError

from db import ledger
from db.accounts import Movement, NoSuchPerson, NotEnough, Settlement, TooManyActive
from db.audit import verify
from db.models import ContentJob, CostSource, EntryKind, JobState, LedgerEntry, Notice, Person
from db.outbox import NewNotice
from tests.db.books import (
    ADMIN_ID,
    ALERTS,
    FAILED,
    FINISHED,
    broken_notice,
    budget,
    charge,
    entries,
    figures,
    held,
    new_person,
    order,
    spent,
    unused_origin,
)

DOLLAR = 10**9


# ------------------------------------------------------------------------------- set_budget


async def test_a_budget_is_a_snapshot_that_starts_spent_at_zero(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person(budget_nanos=10 * DOLLAR)
    await spent(ada, 3 * DOLLAR)
    await held(ada, DOLLAR)

    movement = await budget(ada, 5 * DOLLAR)

    assert movement.changed
    assert movement.account is not None
    assert movement.account.budget_number == 2
    assert await figures(ada) == (5 * DOLLAR, 0, DOLLAR, 3 * DOLLAR)
    assert ada.budget_set_at is not None
    assert (await entries(ada))[-1] == (EntryKind.BUDGET, 5 * DOLLAR, 0, -3 * DOLLAR, 0)
    assert await verify(database) == []


async def test_a_budget_can_be_removed(database: BaseDBAsyncClient) -> None:
    ada = await new_person(budget_nanos=DOLLAR)
    assert (await budget(ada, None)).changed
    assert await figures(ada) == (None, 0, 0, 0)
    assert await verify(database) == []


async def test_the_entry_of_a_budget_names_who_set_it(database: BaseDBAsyncClient) -> None:
    ada = await new_person()
    await ledger.set_budget(ada.id, 7, actor_id=ADMIN_ID, origin="message:1:2")
    entry = await LedgerEntry.get(person_id=ada.id)
    assert (entry.actor_id, entry.origin, entry.budget_number) == (ADMIN_ID, "message:1:2", 1)


async def test_the_same_command_sets_a_budget_once(database: BaseDBAsyncClient) -> None:
    ada = await new_person()
    first = await ledger.set_budget(ada.id, 10, actor_id=ada.id, origin="message:1:2")
    await spent(ada, 4)
    second = await ledger.set_budget(ada.id, 10, actor_id=ada.id, origin="message:1:2")
    assert (first.changed, second.changed) == (True, False)
    assert await figures(ada) == (10, 4, 0, 4)
    assert len(await LedgerEntry.filter(origin="message:1:2")) == 1


async def test_nobody_has_no_budget(database: BaseDBAsyncClient) -> None:
    with pytest.raises(NoSuchPerson):
        await ledger.set_budget(404, 10, actor_id=ADMIN_ID, origin=unused_origin())
    assert await LedgerEntry.all().count() == 0


# ------------------------------------------------------------------------------------- hold


async def test_exactly_what_is_available_can_be_held_and_one_nano_more_can_not(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person(budget_nanos=10 * DOLLAR)
    await spent(ada, 3 * DOLLAR)
    await held(ada, 2 * DOLLAR)

    with pytest.raises(NotEnough) as refused:
        await ledger.hold(order(ada.id, 5 * DOLLAR + 1), max_active_jobs=10)
    assert refused.value.available_nanos == 5 * DOLLAR
    assert await figures(ada) == (10 * DOLLAR, 3 * DOLLAR, 2 * DOLLAR, 3 * DOLLAR)
    assert await ContentJob.all().count() == 2

    movement = await ledger.hold(order(ada.id, 5 * DOLLAR), max_active_jobs=10)
    assert movement.changed
    assert await figures(ada) == (10 * DOLLAR, 3 * DOLLAR, 7 * DOLLAR, 3 * DOLLAR)
    assert await verify(database) == []


async def test_a_hold_stores_the_job_and_its_entry(database: BaseDBAsyncClient) -> None:
    ada = await new_person(budget_nanos=100)
    movement = await ledger.hold(order(ada.id, 30), max_active_jobs=1)
    assert movement.account is not None
    assert movement.account.held_nanos == 30
    job = await ContentJob.get(id=movement.job_id)
    assert (job.state, job.is_held, job.quote_nanos) == (JobState.HELD, True, 30)
    assert (await entries(ada))[-1] == (EntryKind.HOLD, 30, 30, 0, 0)


@pytest.mark.parametrize(
    ("budget_nanos", "quote_nanos", "allowed"),
    [(0, 0, True), (0, 1, False), (1, 1, True), (1, 2, False), (None, 10**15, True)],
)
async def test_a_budget_of_zero_allows_nothing_that_costs_and_no_budget_everything(
    database: BaseDBAsyncClient, budget_nanos: int | None, quote_nanos: int, allowed: bool
) -> None:
    ada = await new_person(budget_nanos)
    if allowed:
        await held(ada, quote_nanos)
    else:
        with pytest.raises(NotEnough):
            await held(ada, quote_nanos)
    assert await verify(database) == []


async def test_an_overspent_budget_says_so(database: BaseDBAsyncClient) -> None:
    ada = await new_person(budget_nanos=10)
    await charge(await held(ada, 10), 13)
    with pytest.raises(NotEnough) as refused:
        await held(ada, 0)
    assert refused.value.available_nanos == -3


async def test_only_so_many_jobs_are_under_way_at_once(database: BaseDBAsyncClient) -> None:
    ada = await new_person()
    first = await ledger.hold(order(ada.id, 1), max_active_jobs=2)
    await ledger.hold(order(ada.id, 1), max_active_jobs=2)
    with pytest.raises(TooManyActive):
        await ledger.hold(order(ada.id, 1), max_active_jobs=2)
    assert first.job_id is not None
    await charge(first.job_id, 1)
    assert (await ledger.hold(order(ada.id, 1), max_active_jobs=2)).changed
    assert await verify(database) == []


async def test_the_same_command_holds_once(database: BaseDBAsyncClient) -> None:
    ada = await new_person(budget_nanos=100)
    first = await ledger.hold(order(ada.id, 30, "message:1:2"), max_active_jobs=10)
    second = await ledger.hold(order(ada.id, 30, "message:1:2"), max_active_jobs=10)
    assert second == Movement(changed=False, job_id=first.job_id)
    assert await figures(ada) == (100, 0, 30, 0)
    assert await ContentJob.all().count() == 1


async def test_nobody_can_hold_nothing(database: BaseDBAsyncClient) -> None:
    with pytest.raises(NoSuchPerson):
        await ledger.hold(order(404, 1), max_active_jobs=10)
    assert await ContentJob.all().count() == 0


async def test_a_job_that_cannot_be_stored_holds_nothing(database: BaseDBAsyncClient) -> None:
    ada = await new_person(budget_nanos=100)
    await held(ada, 1)
    await database.execute_query("CREATE UNIQUE INDEX one_job_each ON content_job (person_id)")
    with pytest.raises(IntegrityError):
        await held(ada, 30)
    assert await figures(ada) == (100, 0, 1, 0)
    assert await verify(database) == []


# ------------------------------------------------------------------------ charge and release


async def test_a_charge_replaces_the_hold(database: BaseDBAsyncClient) -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await held(ada, 30)
    movement = await ledger.charge(
        job_id, 25, CostSource.UNITS, Settlement(JobState.FINISHED, {"result": {"media": []}})
    )
    assert movement.changed
    assert movement.account is not None
    assert (movement.account.spent_nanos, movement.account.held_nanos) == (25, 0)
    assert await figures(ada) == (100, 25, 0, 25)
    assert (await entries(ada))[-1] == (EntryKind.CHARGE, 25, -30, 25, 25)
    job = await ContentJob.get(id=job_id)
    assert (job.state, job.is_held, job.cost_nanos) == (JobState.FINISHED, False, 25)
    assert (job.cost_source, job.result) == (CostSource.UNITS, {"media": []})
    assert job.settled_at is not None
    assert job.settled_budget_number == 1
    assert await verify(database) == []


async def test_a_release_gives_the_hold_back(database: BaseDBAsyncClient) -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await held(ada, 30)
    movement = await ledger.release(job_id, Settlement(JobState.FAILED, {"error": "policy"}))
    assert movement.changed
    assert await figures(ada) == (100, 0, 0, 0)
    assert (await entries(ada))[-1] == (EntryKind.RELEASE, 0, -30, 0, 0)
    job = await ContentJob.get(id=job_id)
    assert (job.state, job.error, job.cost_nanos) == (JobState.FAILED, "policy", 0)
    assert await verify(database) == []


async def test_a_hold_ends_once(database: BaseDBAsyncClient) -> None:
    ada = await new_person(budget_nanos=100)
    charged, released = await held(ada, 30), await held(ada, 30)
    await charge(charged, 25)
    await ledger.release(released, FAILED)
    before = await entries(ada)

    for job_id in (charged, released):
        again = [
            await charge(job_id, 99),
            await ledger.release(job_id, FAILED),
            await charge(job_id, 99),
        ]
        assert again == [Movement(changed=False, job_id=job_id)] * 3

    assert await figures(ada) == (100, 25, 0, 25)
    assert await entries(ada) == before
    states = [job.state for job in await ContentJob.all().order_by("id")]
    assert states == [JobState.FINISHED, JobState.FAILED]


@pytest.mark.parametrize("cost_nanos", [0, 1, 29, 30, 31, 10**12])
async def test_what_was_billed_is_charged_also_when_it_is_more_than_the_hold(
    database: BaseDBAsyncClient, cost_nanos: int
) -> None:
    ada = await new_person(budget_nanos=100)
    await charge(await held(ada, 30), cost_nanos)
    assert await figures(ada) == (100, cost_nanos, 0, cost_nanos)
    assert await verify(database) == []


async def test_a_charge_counts_against_the_budget_under_which_the_job_ended(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await held(ada, 30)
    await budget(ada, 50)
    await charge(job_id, 30)
    assert await figures(ada) == (50, 30, 0, 30)
    assert (await ContentJob.get(id=job_id)).settled_budget_number == 2
    assert await verify(database) == []


async def test_a_job_that_is_in_another_state_by_now_is_not_ended(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person(budget_nanos=100)
    job_id = await held(ada, 30)
    lost = replace(FAILED, only_from=JobState.UNKNOWN)
    assert await ledger.release(job_id, lost) == Movement(changed=False, job_id=job_id)
    assert await figures(ada) == (100, 0, 30, 0)
    await ContentJob.filter(id=job_id).update(state=JobState.UNKNOWN)
    assert (await ledger.release(job_id, lost)).changed
    assert await figures(ada) == (100, 0, 0, 0)
    assert await verify(database) == []


async def test_a_job_that_never_was_is_not_charged(database: BaseDBAsyncClient) -> None:
    assert await charge(404, 1) == Movement(changed=False, job_id=404)
    assert await ledger.release(404, FAILED) == Movement(changed=False, job_id=404)


async def test_the_notices_of_a_settlement_are_written_with_it_and_once(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person()
    job_id = await held(ada, 1)
    settlement = Settlement(
        JobState.FINISHED, notices=[NewNotice(ada.id, "overrun", {"job": "1"}, "overrun:1")]
    )
    for _ in range(2):
        await ledger.charge(job_id, 2, CostSource.UNITS, settlement)
    notice = await Notice.get()
    assert (notice.kind, notice.content, notice.chat_id) == ("overrun", {"job": "1"}, ada.id)


async def test_no_column_becomes_part_of_a_statement_that_jobs_do_not_have(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person()
    job_id = await held(ada, 1)
    injection = Settlement(JobState.FINISHED, {'error" = NULL; --': 1})
    with pytest.raises(KeyError):
        await ledger.charge(job_id, 1, CostSource.UNITS, injection)
    assert await figures(ada) == (None, 0, 1, 0)


# ------------------------------------------------------------------------------------ edges


async def test_ids_and_amounts_have_64_bits(database: BaseDBAsyncClient) -> None:
    largest = 2**63 - 1
    ada = await new_person(person_id=largest)
    await budget(ada, largest)
    job_id = await held(ada, largest)
    assert await figures(ada) == (largest, 0, largest, 0)
    with pytest.raises(NotEnough):
        await held(ada, 1)
    await charge(job_id, largest)
    assert await figures(ada) == (largest, largest, 0, largest)
    assert await verify(database) == []


async def test_what_no_64_bits_hold_is_refused_and_moves_nothing(
    database: BaseDBAsyncClient,
) -> None:
    ada = await new_person()
    await spent(ada, 2**62)
    job_id = await held(ada, 1)
    for cost_nanos in (2**62, 2**63, 2**63 - 1):
        with pytest.raises((OverflowError, OperationalError)):
            await charge(job_id, cost_nanos)
    assert await figures(ada) == (None, 2**62, 1, 2**62)
    assert await verify(database) == []


@pytest.mark.parametrize("movement", ["charge", "release", "adjust"])
async def test_a_crash_at_the_end_of_a_movement_undoes_all_of_it(
    database: BaseDBAsyncClient, movement: str
) -> None:
    ada = await new_person(budget_nanos=100)
    settled, job_id = await spent(ada, 10), await held(ada, 90)
    before = await figures(ada), await entries(ada)
    broken = [broken_notice(ada.id)]
    crashing = {
        "charge": ledger.charge(
            job_id,
            90,
            CostSource.UNITS,
            Settlement(JobState.FINISHED, {}, broken),
            alert_percents=ALERTS,
        ),
        "release": ledger.release(job_id, Settlement(JobState.FAILED, {}, broken)),
        "adjust": ledger.adjust(settled, 95, alert_percents=ALERTS, notices=broken),
    }
    with pytest.raises(TypeError):
        await crashing.pop(movement)
    for other in crashing.values():
        other.close()
    assert (await figures(ada), await entries(ada)) == before
    assert (await ContentJob.get(id=job_id)).state == JobState.HELD
    assert await Notice.all().count() == 0
    assert (await Person.get(id=ada.id)).alerted_percent is None
    assert await verify(database) == []
    assert (await ledger.charge(job_id, 90, CostSource.UNITS, FINISHED)).changed
