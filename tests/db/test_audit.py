"""The proof of the books finds whatever is changed behind the ledger's back."""

from __future__ import annotations

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient

from db import ledger
from db.audit import verify
from tests.db.books import FAILED, adjust, budget, held, new_person, spent

CORRUPTIONS = {
    "UPDATE person SET held_nanos = held_nanos + 1": {"held", "held by jobs"},
    "UPDATE person SET spent_nanos = spent_nanos - 1": {"spent"},
    "UPDATE person SET total_spent_nanos = total_spent_nanos + 1": {"total spent"},
    "UPDATE person SET active_jobs = active_jobs + 1": {"jobs under way"},
    "UPDATE person SET budget_number = budget_number - 1": {"number of budgets"},
    "UPDATE person SET budget_nanos = budget_nanos + 1": {"budget"},
    "UPDATE person SET budget_nanos = NULL": {"budget"},
    "UPDATE ledger_entry SET held_delta_nanos = 0 WHERE kind = 'release'": {"held", "hold"},
    "UPDATE ledger_entry SET spent_delta_nanos = 0 WHERE kind = 'charge'": {"spent"},
    "UPDATE ledger_entry SET total_delta_nanos = 0 WHERE kind = 'adjustment'": {
        "total spent",
        "cost",
    },
    "UPDATE ledger_entry SET amount_nanos = NULL WHERE kind = 'budget'": {"budget"},
    "DELETE FROM ledger_entry WHERE kind = 'release'": {
        "held",
        "hold",
        "number of entries",
        "number of its budget",
    },
    "DELETE FROM ledger_entry WHERE kind = 'budget'": {"spent", "number of budgets", "budget"},
    "UPDATE content_job SET settled_budget_number = 1 WHERE settled_budget_number = 2": {
        "number of its budget"
    },
    "UPDATE content_job SET settled_budget_number = NULL": {"number of its budget"},
    "UPDATE content_job SET quote_nanos = quote_nanos + 1 WHERE is_held": {"held by jobs", "hold"},
    "UPDATE content_job SET is_held = NOT is_held WHERE is_held": {
        "held by jobs",
        "jobs under way",
        "hold",
    },
    "UPDATE content_job SET cost_nanos = cost_nanos + 1": {"cost"},
    "UPDATE content_job SET cost_nanos = NULL": {"cost"},
    "UPDATE content_job SET entry_count = entry_count + 1": {"number of entries"},
}


@pytest.mark.parametrize(("statement", "found"), CORRUPTIONS.items(), ids=CORRUPTIONS)
async def test_every_corruption_is_found(
    database: BaseDBAsyncClient, statement: str, found: set[str]
) -> None:
    ada = await new_person(budget_nanos=1000)
    await spent(ada, 100)
    await budget(ada, 500)
    await adjust(await spent(ada, 40), 60)
    await ledger.release(await held(ada, 30), FAILED)
    await held(ada, 20)
    await new_person()
    assert await verify(database) == []

    await database.execute_query(statement)

    findings = await verify(database)
    assert {finding.what for finding in findings} == found
    for finding in findings:
        assert finding.stored != finding.computed


async def test_a_budget_that_nobody_has_set_is_found(database: BaseDBAsyncClient) -> None:
    ada = await new_person()
    await database.execute_query("UPDATE person SET budget_nanos = 7")
    [finding] = await verify(database)
    assert str(finding) == f"person {ada.id}: budget is 7, its entries say -1"


async def test_a_finding_is_a_sentence(database: BaseDBAsyncClient) -> None:
    ada = await new_person(budget_nanos=1000)
    await spent(ada, 100)
    await database.execute_query("UPDATE person SET spent_nanos = 7")
    [finding] = await verify(database)
    assert str(finding) == f"person {ada.id}: spent is 7, its entries say 100"
