"""Transactions as steps, on both databases."""

from __future__ import annotations

import asyncio

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import IntegrityError, OperationalError

from db import ledger
from db.audit import verify
from db.models import AdminAction, CostSource, Occasion
from db.sql import fetch, in_transaction, now
from db.steps import Steps, ask, at_once, insertion, within
from tests.db.books import ALERTS, FINISHED, budget, figures, new_person, order

pytestmark = pytest.mark.usefixtures("database")


def two_occasions(first: str, second: str) -> Steps[int]:
    """Keep two things that are so; how many there are then."""
    yield ask("INSERT INTO occasion (name, since) VALUES ($1, $2)", first, now())
    yield ask("INSERT INTO occasion (name, since) VALUES ($2, $1)", now(), second)
    rows = yield ask("SELECT COUNT(*) AS number FROM occasion")
    return int(rows[0]["number"])


async def test_steps_are_one_transaction_and_return_what_they_found() -> None:
    assert await at_once(two_occasions("locked", "low")) == 2


async def test_of_steps_that_fail_nothing_stays() -> None:
    with pytest.raises(IntegrityError):
        await at_once(two_occasions("locked", "locked"))
    assert await Occasion.all().count() == 0
    assert await at_once(two_occasions("locked", "low")) == 2


async def test_a_mistake_between_the_steps_takes_all_of_them_back() -> None:
    def unfortunate() -> Steps[None]:
        yield from two_occasions("locked", "low")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await at_once(unfortunate())
    assert await Occasion.all().count() == 0


async def test_a_statement_that_is_none_is_told_as_tortoise_tells_it() -> None:
    def wrong() -> Steps[None]:
        yield ask("SELECT nothing FROM nowhere")

    with pytest.raises(OperationalError):
        await at_once(wrong())
    assert await at_once(two_occasions("locked", "low")) == 2


async def test_steps_belong_to_the_transaction_that_they_are_run_in() -> None:
    async def regret() -> None:
        async with in_transaction() as transaction:
            assert await within(transaction, two_occasions("locked", "low")) == 2
            assert await at_once(two_occasions("unsettled", "covered")) == 4
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await regret()
    assert await Occasion.all().count() == 0


async def test_a_row_is_inserted_with_all_that_it_has() -> None:
    person = await new_person()
    action = AdminAction(
        admin_id=1, action="approve", person_id=person.id, detail=None, created_at=now()
    )

    def keep() -> Steps[int]:
        rows = yield insertion(action)
        return int(rows[0]["id"])

    stored = await AdminAction.get(id=await at_once(keep()))
    assert (stored.admin_id, stored.action, stored.person_id, stored.detail, stored.created_at) == (
        *(1, "approve", person.id, None, action.created_at),
    )


async def test_a_movement_that_is_cancelled_has_happened_whole_or_not_at_all(
    database: BaseDBAsyncClient,
) -> None:
    """And nothing stays locked: SQLite has one connection, PostgreSQL's pool ten."""
    ada = await new_person(budget_nanos=1_000_000)

    async def hold_and_charge() -> None:
        held = await ledger.hold(order(ada.id, 100), max_active_jobs=1000)
        assert held.job_id is not None
        await ledger.charge(held.job_id, 70, CostSource.UNITS, FINISHED, alert_percents=ALERTS)

    for turns in range(60):
        task = asyncio.create_task(hold_and_charge())
        for _ in range(turns % 30):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        async with asyncio.timeout(30):
            await fetch(database, "SELECT 1 AS one")
            await budget(ada, 1_000_000)
    assert await verify(database) == []
    _, spent, held, total = await figures(ada)
    assert spent == 0
    assert (held % 100, total % 70) == (0, 0)
