"""Which process works on which job, so that each job is worked on by one at a time.

A process leases its jobs for a short while and renews the lease as long as it lives; what it
leaves behind when it dies is free for the others, or for its own next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from tortoise.connection import get_connection

from db.models import ContentJob
from db.sql import fetch, now

LEASED_FOR = timedelta(seconds=15)
RENEWED_EVERY = timedelta(seconds=5)
RENEWED_AT_ONCE, RENEWAL_PAUSE_SECONDS = 200, 0.02


async def claim(job_id: int, owner: str, *, take_over: bool) -> bool:
    """Lease a job whose outcome nobody has seen; `take_over` also from a process that lives."""
    moment = now()
    rows = await fetch(
        get_connection("default"),
        "UPDATE content_job SET lease_owner = $2, lease_until = $3 "
        "WHERE id = $1 AND shown_at IS NULL "
        "AND ($5 OR lease_owner = $2 OR lease_until IS NULL OR lease_until < $4) RETURNING id",
        job_id,
        owner,
        moment + LEASED_FOR,
        moment,
        take_over,
    )
    return bool(rows)


async def renew(owner: str) -> set[int]:
    """Renew all leases of a process; return the jobs that are still its own.

    Some at a time: of thousands all at once, whoever writes meanwhile would wait for every one.
    """
    mine: set[int] = set()
    last = 0
    while True:
        rows = await fetch(
            get_connection("default"),
            "UPDATE content_job SET lease_until = $2 WHERE id IN (SELECT id FROM content_job "
            "WHERE lease_owner = $1 AND shown_at IS NULL AND id > $3 ORDER BY id LIMIT $4) "
            "AND lease_owner = $1 RETURNING id",
            owner,
            now() + LEASED_FOR,
            last,
            RENEWED_AT_ONCE,
        )
        if not rows:
            return mine
        renewed = {row["id"] for row in rows}
        mine |= renewed
        last = max(renewed)
        # Fewer than asked for are not the last ones: another process may have taken some.
        await asyncio.sleep(RENEWAL_PAUSE_SECONDS)


async def give_back(owner: str | None) -> None:
    """End the leases of a process; with None those of all, where there can be only one."""
    jobs = ContentJob.filter(shown_at=None)
    if owner is not None:
        jobs = jobs.filter(lease_owner=owner)
    await jobs.update(lease_owner=None, lease_until=None)


async def free_jobs(but: Sequence[int] = ()) -> list[int]:
    """Jobs whose outcome nobody has seen and that nobody works on, oldest first."""
    rows = await fetch(
        get_connection("default"),
        "SELECT id FROM content_job WHERE shown_at IS NULL "
        "AND (lease_until IS NULL OR lease_until < $1) ORDER BY id",
        now(),
    )
    known = set(but)
    return [row["id"] for row in rows if row["id"] not in known]
