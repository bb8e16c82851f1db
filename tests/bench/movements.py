"""How many movements of money there are in a second, against the sqlite3 module alone."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from db import ledger
from db.accounts import Settlement
from db.connection import SQLITE_PRAGMAS, connect
from db.models import ContentJob, CostSource, JobState
from tests.bench.crowd import FIRST_ID
from tests.bench.report import Figure, at_least, median, ratio_of_rounds
from tests.bench.seed import ARGUMENTS, COST_NANOS, make_database
from tests.bench.sizes import Sizes

PEOPLE = 50
MEMORY = Path("/dev/shm")


def new_job(number: int, kind: str) -> ContentJob:
    """A job as an order makes it, of one of the people in turn."""
    person_id = FIRST_ID + number % PEOPLE
    return ContentJob(
        person_id=person_id,
        origin=f"{kind}:{person_id}:{number}",
        chat_id=person_id,
        command_message_id=number,
        kind="image",
        endpoint="fal-ai/flux/dev",
        prompt="a red fox in the snow, in the style of an old photograph",
        arguments=ARGUMENTS,
        seed=7,
        unit="megapixels",
        unit_price_nanos=COST_NANOS,
        price_origin="api",
        quote_nanos=COST_NANOS,
        created_at=datetime.now(UTC),
    )


async def our_pairs(first: int, count: int) -> float:
    """Hold and charge so often, one after the other; pairs a second."""
    began = time.perf_counter()
    for number in range(first, first + count):
        held = await ledger.hold(new_job(number, "ours"), max_active_jobs=3)
        assert held.job_id is not None
        settlement = Settlement(JobState.FINISHED, {"finished_at": datetime.now(UTC)})
        await ledger.charge(
            held.job_id, COST_NANOS, CostSource.UNITS, settlement, alert_percents=(25, 10)
        )
    return count / (time.perf_counter() - began)


ENTRY = (
    "INSERT INTO ledger_entry (person_id, job_id, number, kind, amount_nanos, held_delta_nanos, "
    "spent_delta_nanos, total_delta_nanos, budget_number, created_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
JOB = (
    "INSERT INTO content_job (person_id, origin, chat_id, command_message_id, kind, endpoint, "
    "prompt, arguments, seed, state, unit, unit_price_nanos, price_origin, quote_nanos, is_held, "
    "entry_count, bill_missing, created_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'held', ?, ?, ?, ?, 1, 1, 0, ?)"
)
HOLD = (
    "UPDATE person SET held_nanos = held_nanos + ?2, active_jobs = active_jobs + 1, "
    "version = version + 1 WHERE id = ?1 AND active_jobs < 3 "
    "AND (budget_nanos IS NULL OR budget_nanos - spent_nanos - held_nanos >= ?2) "
    "RETURNING budget_number"
)
CHARGE = (
    "UPDATE person SET active_jobs = active_jobs - 1, held_nanos = held_nanos - job.quote_nanos, "
    "version = version + 1, spent_nanos = spent_nanos + ?2, "
    "total_spent_nanos = total_spent_nanos + ?2 FROM content_job AS job "
    "WHERE job.id = ?1 AND job.is_held AND person.id = job.person_id "
    "RETURNING person.id, budget_number"
)
SETTLE = (
    "UPDATE content_job SET state = 'finished', is_held = 0, entry_count = 2, settled_at = ?2, "
    "settled_budget_number = ?3, cost_nanos = ?4, cost_source = 'units', finished_at = ?2 "
    "WHERE id = ?1 AND is_held RETURNING quote_nanos"
)


def bare_pairs(database: sqlite3.Connection, first: int, count: int) -> float:
    """The same rows written by the sqlite3 module alone; pairs a second."""
    began = time.perf_counter()
    for number in range(first, first + count):
        _bare_pair(database, new_job(number, "bare"))
    return count / (time.perf_counter() - began)


def _bare_pair(database: sqlite3.Connection, job: ContentJob) -> None:
    moment = str(job.created_at)
    database.execute("BEGIN IMMEDIATE")
    (budget,) = database.execute(HOLD, (job.person_id, job.quote_nanos)).fetchone()
    job_id = database.execute(
        JOB,
        (
            *(job.person_id, job.origin, job.chat_id, job.command_message_id, job.kind),
            *(job.endpoint, job.prompt, json.dumps(job.arguments), job.seed, job.unit),
            *(job.unit_price_nanos, job.price_origin, job.quote_nanos, moment),
        ),
    ).lastrowid
    nanos = job.quote_nanos
    database.execute(ENTRY, (job.person_id, job_id, 1, "hold", nanos, nanos, 0, 0, budget, moment))
    database.execute("COMMIT")
    database.execute("BEGIN IMMEDIATE")
    person_id, budget = database.execute(CHARGE, (job_id, nanos)).fetchone()
    database.execute(SETTLE, (job_id, moment, budget, nanos)).fetchone()
    database.execute(
        ENTRY, (person_id, job_id, 2, "charge", nanos, -nanos, nanos, nanos, budget, moment)
    )
    database.execute("COMMIT")


async def compare(folder: Path, sizes: Sizes) -> tuple[float, str]:
    """The ratio of pairs a second, and in words."""
    await make_database(folder / "ours.sqlite3", people=PEOPLE)
    await make_database(folder / "bare.sqlite3", people=PEOPLE)
    ours: list[float] = []
    bare: list[float] = []
    with closing(sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)) as database:
        for name, value in SQLITE_PRAGMAS.items():
            database.execute(f"PRAGMA {name} = {value}")
        async with connect(f"sqlite://{folder / 'ours.sqlite3'}"):
            await our_pairs(0, 20)
            bare_pairs(database, 0, 20)
            for turn in range(1, sizes.rounds + 1):
                ours.append(await our_pairs(turn * 1000, sizes.pairs))
                bare.append(bare_pairs(database, turn * 1000, sizes.pairs))
    ratio = ratio_of_rounds(ours, bare)
    return ratio, f"{median(ours):.0f} against {median(bare):.0f} a second"


async def against_bare_sqlite(folder: Path, sizes: Sizes) -> list[Figure]:
    """Hold and charge on SQLite, each pair two transactions."""
    ratio, words = await compare(folder, sizes)
    if MEMORY.is_dir():
        with tempfile.TemporaryDirectory(prefix="bench-", dir=MEMORY) as place:
            without, more = await compare(Path(place), sizes)
        words += f"; where nothing waits for a disk {without:.2f} × ({more})"
    return [at_least("hold + charge pairs per second, against bare sqlite3", 0.5, ratio, words)]
