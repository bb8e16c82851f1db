"""Databases with as many people, jobs and notices as there could be, made quickly."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from db.connection import connect, migrate
from tests.bench.crowd import FIRST_ID

# A year of jobs; the pace of a person is the same all year.
YEAR = timedelta(days=365)
BUDGET_NANOS = 10**13
COST_NANOS = 25_000_000
PICTURE = {
    "media": [
        {"url": "https://v3.fal.media/files/a/b.jpg", "content_type": "image/jpeg"},
    ]
}
ARGUMENTS = {"image_size": "landscape_4_3", "num_images": 1, "prompt": "a red fox", "seed": 7}


async def make_database(path: Path, *, people: int, jobs: int = 0, notices: int = 0) -> None:
    """A database of this version with people who are in and have a budget.

    The jobs are done and paid, spread evenly over them and over the last year; `notices` are due.
    """
    async with connect(f"sqlite://{path}") as connection:
        await migrate(connection)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -400000")
    database.execute("BEGIN")
    insert(database, "person", _people(people, jobs))
    insert(database, "ledger_entry", _budgets(people))
    insert(database, "content_job", (_job(i, people, jobs) for i in range(jobs)))
    insert(database, "ledger_entry", _movements(people, jobs))
    insert(database, "notice", _notices(people, notices))
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def insert(database: sqlite3.Connection, table: str, rows: Iterator[dict[str, Any]]) -> None:
    """Insert rows that all have the columns of the first."""
    first = next(rows, None)
    if first is None:
        return
    columns, marks = ", ".join(first), ", ".join("?" * len(first))
    statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - names of ours
    database.execute(statement, tuple(first.values()))
    database.executemany(statement, (tuple(row.values()) for row in rows))


def stored(moment: datetime) -> str:
    """A moment as Tortoise writes it into SQLite."""
    return moment.isoformat(sep=" ")


def person_row(number: int, **changes: Any) -> dict[str, Any]:
    """A person who is in, with a budget."""
    long_ago = stored(datetime.now(UTC) - YEAR)
    return {
        "id": FIRST_ID + number,
        "name": f"P{number}",
        "username": f"p{number}",
        "client_language": "en",
        "access": "approved",
        "is_admin": 0,
        "created_at": long_ago,
        "seen_at": stored(datetime.now(UTC)),
        "budget_nanos": BUDGET_NANOS,
        "budget_set_at": long_ago,
        "budget_number": 1,
        "spent_nanos": 0,
        "held_nanos": 0,
        "total_spent_nanos": 0,
        "active_jobs": 0,
        "version": 1,
        **changes,
    }


def job_row(number: int, person_id: int, moment: str, **changes: Any) -> dict[str, Any]:
    """A job that is done, paid and shown."""
    return {
        "id": number + 1,
        "person_id": person_id,
        "origin": f"message:{person_id}:{number}",
        "chat_id": person_id,
        "command_message_id": number,
        "status_message_id": number + 1,
        "kind": "image",
        "endpoint": "fal-ai/flux/dev",
        "prompt": "a red fox in the snow, in the style of an old photograph",
        "arguments": json.dumps(ARGUMENTS),
        "seed": 7,
        "state": "delivered",
        "request_id": f"00000000-0000-4000-8000-{number:012d}",
        "result": json.dumps(PICTURE),
        "file_id": f"photo-{number}",
        "unit": "megapixels",
        "unit_price_nanos": COST_NANOS,
        "price_origin": "api",
        "quote_nanos": COST_NANOS,
        "cost_nanos": COST_NANOS,
        "cost_source": "units",
        "is_held": 0,
        "entry_count": 2,
        "settled_budget_number": 1,
        "created_at": moment,
        "submitted_at": moment,
        "finished_at": moment,
        "settled_at": moment,
        "billed_at": moment,
        "bill_missing": 0,
        "shown_at": moment,
        **changes,
    }


def entry_row(person_id: int, moment: str, **changes: Any) -> dict[str, Any]:
    """An entry of the ledger; as it stands, a budget."""
    return {
        "person_id": person_id,
        "job_id": None,
        "number": None,
        "kind": "budget",
        "amount_nanos": BUDGET_NANOS,
        "held_delta_nanos": 0,
        "spent_delta_nanos": 0,
        "total_delta_nanos": 0,
        "budget_number": 1,
        "created_at": moment,
        **changes,
    }


def _people(people: int, jobs: int) -> Iterator[dict[str, Any]]:
    for number in range(people):
        done = jobs // people + (number < jobs % people)
        spent = done * COST_NANOS
        yield person_row(number, spent_nanos=spent, total_spent_nanos=spent, version=1 + 2 * done)


def _budgets(people: int) -> Iterator[dict[str, Any]]:
    long_ago = stored(datetime.now(UTC) - YEAR)
    return (entry_row(FIRST_ID + number, long_ago) for number in range(people))


def _job(number: int, people: int, jobs: int) -> dict[str, Any]:
    return job_row(number, FIRST_ID + number % people, _moment(number, jobs))


def _movements(people: int, jobs: int) -> Iterator[dict[str, Any]]:
    for number in range(jobs):
        common = {"job_id": number + 1, "amount_nanos": COST_NANOS}
        person_id, moment = FIRST_ID + number % people, _moment(number, jobs)
        yield entry_row(
            person_id, moment, **common, number=1, kind="hold", held_delta_nanos=COST_NANOS
        )
        yield entry_row(
            person_id,
            moment,
            **common,
            number=2,
            kind="charge",
            held_delta_nanos=-COST_NANOS,
            spent_delta_nanos=COST_NANOS,
            total_delta_nanos=COST_NANOS,
        )


def _notices(people: int, notices: int) -> Iterator[dict[str, Any]]:
    moment = stored(datetime.now(UTC) - timedelta(minutes=1))
    content = {"remaining_nanos": COST_NANOS, "budget_nanos": BUDGET_NANOS, "percent": 10}
    for number in range(notices):
        person_id = FIRST_ID + number * (people // notices)
        yield {
            "person_id": person_id,
            "chat_id": person_id,
            "kind": "alert",
            "content": json.dumps(content),
            "attempts": 0,
            "due_at": moment,
            "created_at": moment,
        }


def _moment(number: int, jobs: int) -> str:
    return stored(_END - YEAR * ((jobs - number) / jobs))


_END = datetime.now(UTC)
