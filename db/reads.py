"""What is read for nearly every answer: one statement for many people at once (`db.together`).

Tortoise spends several times as long on putting a query together as SQLite on answering it
(`docs/performance.md`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from itertools import chain
from typing import NamedTuple

from tortoise import fields
from tortoise.connection import get_connection

from db.models import LedgerEntry, Person
from db.sql import Row, fetch, rows_of

_MOMENTS = [
    name
    for name, field in Person._meta.fields_map.items()
    if isinstance(field, fields.DatetimeField)
]


class Known(NamedTuple):
    """The person behind an update, None for one who is not known; whether it was acted on."""

    person: Person | None
    is_done: bool


async def known(updates: Sequence[tuple[int, int]]) -> list[Known]:
    """What is known of updates, each a person's id and its own."""
    rows = await fetch(
        get_connection("default"),
        "WITH wanted (person_id, update_id) AS (VALUES "
        f"{rows_of(len(updates), 2, kind='BIGINT')}) "
        "SELECT wanted.update_id, seen_update.id AS done_id, person.* FROM wanted "
        "LEFT JOIN person ON person.id = wanted.person_id "
        "LEFT JOIN seen_update ON seen_update.id = wanted.update_id AND seen_update.body IS NULL",
        *chain.from_iterable(updates),
    )
    found = {row["update_id"]: Known(_person_of(row), row["done_id"] is not None) for row in rows}
    return [found[update_id] for _, update_id in updates]


def _person_of(row: Row) -> Person | None:
    """The person in a row of the table and more; None where the columns are empty.

    SQLite has moments as text, which Tortoise reads with a library of its own, slowly.
    """
    if row["id"] is None:
        return None
    moments = {
        name: datetime.fromisoformat(value)
        for name in _MOMENTS
        if isinstance(value := row[name], str)
    }
    return Person._init_from_db(**{**row, **moments})


async def spent_since(people: Sequence[tuple[int, datetime]]) -> list[int]:
    """Charges and adjustments in nano-dollars, each of a person since a moment."""
    since = min(moment for _, moment in people)
    ids = [person_id for person_id, _ in people]
    rows = await fetch(
        get_connection("default"),
        "SELECT person_id, SUM(total_delta_nanos) AS spent FROM ledger_entry "
        f"WHERE created_at >= $1 AND person_id IN {rows_of(1, len(ids), first=2)} "
        "GROUP BY person_id",
        since,
        *ids,
    )
    spent = {row["person_id"]: int(row["spent"]) for row in rows}
    return [spent.get(person_id, 0) for person_id in ids]


async def spent_by_day(person_id: int | None, since: datetime) -> list[tuple[date, str, int]]:
    """What was spent since a moment: day (UTC), endpoint, nano-dollars; by all without a person.

    Added up by the database: a year of a busy team has more entries than a loop can wait for.
    """
    connection = get_connection("default")
    day = "to_char(entry.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
    if connection.capabilities.dialect == "sqlite":
        day = "substr(entry.created_at, 1, 10)"  # stored as ISO 8601, in UTC
    moment = LedgerEntry._meta.fields_map["created_at"].to_db_value(since, LedgerEntry)
    whose, values = ("", []) if person_id is None else ("AND entry.person_id = $2 ", [person_id])
    rows = await fetch(
        connection,
        f"SELECT {day} AS day, job.endpoint AS endpoint, SUM(entry.total_delta_nanos) AS spent "
        "FROM ledger_entry entry JOIN content_job job ON job.id = entry.job_id "
        f"WHERE entry.created_at >= $1 AND entry.total_delta_nanos <> 0 {whose}"
        "GROUP BY 1, 2",
        moment,
        *values,
    )
    return [(date.fromisoformat(row["day"]), row["endpoint"], int(row["spent"])) for row in rows]
