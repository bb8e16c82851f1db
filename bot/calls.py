"""Waiting for fal's call that a request is complete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from bot.fal.errors import Refused
from bot.fal.queue import Completed, InProgress, Queue, Request, Status
from db.models import ContentJob
from db.sql import now

# How often a request is looked at although fal is to call.
LOOK_EVERY_SECONDS = 30.0
# One that was sent earlier was taken up again: fal may have called while nobody was there.
JUST_SENT = timedelta(seconds=5)


class Calls:
    """Which requests fal has called about; a call that never comes is made up for by a look."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._came: dict[int, asyncio.Event] = {}

    def came(self, job_id: int) -> None:
        """fal says that the request of a job is complete."""
        self._came.setdefault(job_id, asyncio.Event()).set()

    def forget(self, job_id: int) -> None:
        """The job is settled."""
        self._came.pop(job_id, None)

    async def wait(
        self, job: ContentJob, request: Request, progress: Callable[[Status], None]
    ) -> None:
        """Wait until the request of a job is complete. Raises `Unavailable`.

        A call stays known until the job is settled: what went wrong in between is tried again
        without another one.
        """
        came = self._came.setdefault(job.id, asyncio.Event())
        if came.is_set():
            return
        progress(InProgress([]))
        sent_at = job.submitted_at or job.created_at
        pause = LOOK_EVERY_SECONDS if now() - sent_at < JUST_SENT else 0.0
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(came.wait(), pause)
                return
            pause = LOOK_EVERY_SECONDS
            try:
                status = await self._queue.status(request)
            except Refused:
                return  # fal does not know it any more: its result decides
            progress(status)
            if isinstance(status, Completed):
                return
