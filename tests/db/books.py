"""People and jobs to move money for, and looking at what became of it."""

from __future__ import annotations

import itertools

from db import ledger
from db.accounts import Movement, Settlement
from db.models import (
    Access,
    ContentJob,
    CostSource,
    EntryKind,
    JobState,
    LedgerEntry,
    Notice,
    Person,
)
from db.outbox import NewNotice
from db.sql import now

ADMIN_ID = 1
ALERTS = (25, 10)
FINISHED = Settlement(JobState.FINISHED)
FAILED = Settlement(JobState.FAILED)

_numbers = itertools.count(1)


def unused_origin() -> str:
    """A name that no command had before."""
    return f"test:{next(_numbers)}"


async def new_person(budget_nanos: int | None = None, person_id: int | None = None) -> Person:
    """An approved person; without a budget unless one is given."""
    person = await Person.create(
        id=person_id or 7_000_000_000 + next(_numbers), access=Access.APPROVED
    )
    if budget_nanos is not None:
        await budget(person, budget_nanos)
    return person


async def budget(person: Person, nanos: int | None) -> Movement:
    """Set a budget with a command of its own."""
    return await ledger.set_budget(person.id, nanos, actor_id=ADMIN_ID, origin=unused_origin())


def order(person_id: int, quote_nanos: int, origin: str | None = None) -> ContentJob:
    """A job that is not stored yet."""
    return ContentJob(
        person_id=person_id,
        origin=origin or unused_origin(),
        chat_id=person_id,
        kind="image",
        endpoint="fal-ai/flux/dev",
        prompt="a red fox",
        arguments={"prompt": "a red fox"},
        unit="images",
        unit_price_nanos=quote_nanos,
        price_origin="fallback",
        quote_nanos=quote_nanos,
        created_at=now(),
    )


async def held(person: Person, quote_nanos: int) -> int:
    """Hold for a new job; its id."""
    movement = await ledger.hold(order(person.id, quote_nanos), max_active_jobs=1000)
    assert movement.changed
    assert movement.job_id is not None
    return movement.job_id


async def spent(person: Person, nanos: int) -> int:
    """Hold and charge the same amount; the job's id."""
    job_id = await held(person, nanos)
    movement = await charge(job_id, nanos)
    assert movement.changed
    return job_id


async def charge(job_id: int, cost_nanos: int) -> Movement:
    """Charge a job as its billed units say, with alerts at 25 and 10 percent."""
    return await ledger.charge(
        job_id, cost_nanos, CostSource.UNITS, FINISHED, alert_percents=ALERTS
    )


async def adjust(job_id: int, billed_nanos: int) -> Movement:
    """Adjust a job, with alerts at 25 and 10 percent."""
    return await ledger.adjust(job_id, billed_nanos, alert_percents=ALERTS)


async def figures(person: Person) -> tuple[int | None, int, int, int]:
    """Budget, spent, held and total spent as they are stored."""
    await person.refresh_from_db()
    return person.budget_nanos, person.spent_nanos, person.held_nanos, person.total_spent_nanos


async def entries(person: Person) -> list[tuple[EntryKind, int | None, int, int, int]]:
    """Kind, amount and the three deltas of every entry of a person, oldest first."""
    return [
        (e.kind, e.amount_nanos, e.held_delta_nanos, e.spent_delta_nanos, e.total_delta_nanos)
        for e in await LedgerEntry.filter(person_id=person.id).order_by("id")
    ]


async def alerts(person: Person) -> list[tuple[object, object]]:
    """Threshold and remaining amount of every alert that a person is owed, oldest first."""
    notices = await Notice.filter(person_id=person.id, kind="alert").order_by("id")
    return [(notice.content["percent"], notice.content["remaining_nanos"]) for notice in notices]


def broken_notice(person_id: int) -> NewNotice:
    """A notice that cannot be written: what a crash at the end of a transaction amounts to."""
    return NewNotice(person_id, "broken", {"not json": object()})
