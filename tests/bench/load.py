"""Thousands of jobs under way in one process: what each takes, and whether people wait for it."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

from bot.calls import STREAMS
from bot.sandbox import Sandbox
from bot.sandbox.fal.jobs import FalRequest
from bot.sandbox.telegram.messages import Content
from tests.bench.crowd import FIRST_ID, Crowd
from tests.bench.delivery import ENDPOINT, free_port
from tests.bench.process import BOT, CALLED_BOT, Process, running, settings
from tests.bench.report import Figure, at_most, percentile
from tests.bench.seed import (
    ARGUMENTS,
    COST_NANOS,
    entry_row,
    insert,
    job_row,
    make_database,
    person_row,
    stored,
)
from tests.bench.sizes import Sizes

ASKING = 200
ANSWERS_PER_SECOND = 20.0
TAKEN_UP_WITHIN_SECONDS = 300.0
SETTLES_SECONDS = 5.0
# What a job has only when it is done.
NOT_YET = (
    *("result", "file_id", "cost_nanos", "cost_source", "settled_budget_number"),
    *("finished_at", "settled_at", "billed_at", "shown_at"),
)


async def under_way(folder: Path, sizes: Sizes) -> list[Figure]:
    """Memory of each job and the slowest answers, watched by streams and waiting for callbacks."""
    figures = []
    for callbacks, name in ((False, "stream"), (True, "callback")):
        async with at_work(folder, 0, callbacks=callbacks) as (crowd, process):
            idle = await answers(crowd, sizes)
            before = process.own_bytes
        count = sizes.jobs_under_way
        async with at_work(folder, count, callbacks=callbacks) as (crowd, process):
            loaded = await answers(crowd, sizes)
            each = (process.own_bytes - before) / count / 1024
            began = process.cpu_seconds
            await asyncio.sleep(SETTLES_SECONDS)
            busy = (process.cpu_seconds - began) / SETTLES_SECONDS
        slow, slow_idle = percentile(loaded, 0.99), percentile(idle, 0.99)
        middle, middle_idle = percentile(loaded, 0.5), percentile(idle, 0.5)
        figures += [
            at_most(
                f"{count:,} jobs under way, {name} mode: memory per job",
                20,
                each,
                f"{busy:.0%} of a core while nobody asks",
                unit="KiB",
                digits=1,
            ),
            at_most(
                f"{count:,} jobs under way, {name} mode: `/budget` p99 against idle",
                2,
                slow / slow_idle,
                f"{slow * 1000:.0f} ms against {slow_idle * 1000:.0f} ms "
                f"(median {middle * 1000:.0f} and {middle_idle * 1000:.0f}), "
                f"{ANSWERS_PER_SECOND:.0f} a second",
            ),
        ]
    return figures


async def answers(crowd: Crowd, sizes: Sizes) -> list[float]:
    """The seconds of each answer at a steady pace."""
    await crowd.hears_evenly("/budget", int(ANSWERS_PER_SECOND) * 3, ANSWERS_PER_SECOND)
    return await crowd.hears_evenly("/budget", sizes.steady_answers, ANSWERS_PER_SECOND)


@asynccontextmanager
async def at_work(
    folder: Path, jobs: int, *, callbacks: bool
) -> AsyncIterator[tuple[Crowd, Process]]:
    """A bot that has taken up so many jobs, none of which ends."""
    database = folder / f"{jobs}-{callbacks}.sqlite3"
    await make_database(database, people=ASKING)
    async with Sandbox(pace="manual") as sandbox:
        crowd = Crowd(sandbox, ASKING)
        store_jobs(sandbox, database, jobs)
        listen = {"listen": f"127.0.0.1:{free_port()}"} if callbacks else {}
        environment = settings(sandbox, database, **listen)
        program = CALLED_BOT if callbacks else BOT
        # What the stand-in holds is not to be looked through while it answers.
        gc.collect()
        gc.freeze()
        async with running(sandbox, program, folder, environment) as process:
            await taken_up(sandbox, database, 0 if callbacks else min(jobs, STREAMS), jobs)
            await asyncio.sleep(SETTLES_SECONDS)
            yield crowd, process
    gc.unfreeze()


def store_jobs(sandbox: Sandbox, database: Path, jobs: int) -> None:
    """People with a job each that fal has accepted, in the database and at the stand-ins."""
    moment = stored(datetime.now(UTC))
    people, rows, entries = [], [], []
    for number in range(jobs):
        person = sandbox.telegram.person(id=FIRST_ID + ASKING + number, name=f"J{number}")
        person.started = True
        message = person.chat.add(Content("under way"), None)
        endpoint = sandbox.fal.endpoints[ENDPOINT]
        now = sandbox.fal.clock.now()
        request = FalRequest(endpoint, dict(ARGUMENTS), dict(ARGUMENTS), {}, None, now)
        sandbox.fal.accept(request)
        if number < sandbox.fal.concurrency:
            sandbox.fal.start(request)
        url = sandbox.fal.request_url(request)
        people.append(person_row(ASKING + number, held_nanos=COST_NANOS, active_jobs=1))
        changes = {
            "status_message_id": message.id,
            "state": "submitted",
            "request_id": request.request_id,
            "status_url": f"{url}/status",
            "response_url": url,
            "cancel_url": f"{url}/cancel",
            "is_held": 1,
            "entry_count": 1,
        }
        rows.append(job_row(number, person.id, moment, **changes, **dict.fromkeys(NOT_YET)))
        hold = {"kind": "hold", "amount_nanos": COST_NANOS, "held_delta_nanos": COST_NANOS}
        entries.append(entry_row(person.id, moment))
        entries.append(entry_row(person.id, moment, **hold, job_id=number + 1, number=1))
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        insert(connection, "person", iter(people))
        insert(connection, "content_job", iter(rows))
        insert(connection, "ledger_entry", iter(entries))
        connection.execute("COMMIT")


async def taken_up(sandbox: Sandbox, database: Path, streams: int, jobs: int) -> None:
    """Return when the bot works on all jobs and watches so many of them."""

    def watched() -> bool:
        return sum(call.operation == "stream" for call in sandbox.fal.calls) >= streams

    async with asyncio.timeout(TAKEN_UP_WITHIN_SECONDS):
        while not watched() or _leased(database) < jobs:  # noqa: ASYNC110 - read from outside
            await asyncio.sleep(0.5)


def _leased(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        statement = "SELECT COUNT(*) FROM content_job WHERE lease_owner IS NOT NULL"
        (count,) = connection.execute(statement).fetchone()
        return int(count)
