"""Jobs that come to no end by themselves: found late, told to the admins, ended by them."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta

from bot.calls import request_of
from bot.fal.errors import FalError, Refused, Unavailable
from bot.fal.platform import Platform
from bot.fal.queue import Queue, Request
from bot.lost import GIVEN_UP, look_up
from bot.roster import Roster
from bot.settling import ENDLESS, Settler
from db.models import ContentJob, JobState
from db.sql import now

logger = logging.getLogger(__name__)

# Admins hear of a job that has no end for so long; one that was given up is looked for so long.
UNENDED_AFTER = timedelta(hours=24)
LOOKED_FOR = timedelta(hours=24)


class Unended:
    """Looks after what the steps of `bot.jobs` cannot end, now and then and for an admin."""

    def __init__(self, queue: Queue, platform: Platform, settler: Settler, roster: Roster) -> None:
        self._queue = queue
        self._platform = platform
        self._settler = settler
        self._roster = roster

    async def look_for_lost(self) -> int:
        """Look once more for requests that were given up; return how many fal had after all.

        fal's list names a request only once it runs: one that waited long in the queue comes to
        light when its hold is released already. And what could not be read for a day may be
        readable yet. It is paid for, so it is shown and booked.
        """
        found = 0
        for job in await ContentJob.filter(
            billed_at=None,
            settled_at__gte=now() - LOOKED_FOR,
            error__in=GIVEN_UP,
        ):
            try:
                request = await self._found(job)
            except FalError as error:
                logger.info("job %d: cannot be looked for (%s)", job.id, error)
                continue
            if request is not None:
                logger.warning("job %d: fal had it after all", job.id)
                found += await ContentJob.filter(
                    id=job.id, state=JobState.FAILED, error=job.error
                ).update(state=JobState.SUBMITTED, shown_at=None, error=None, **asdict(request))
                self._roster.start(job.id, take_over=True)
        return found

    async def _found(self, job: ContentJob) -> Request | None:
        """The request of a job that was given up, if fal has it; if it was known, its result.

        Raises `FalError` if fal does not say, or says that it failed.
        """
        if job.request_id is not None:
            request = request_of(job)
            await self._queue.result(request)
            return request
        answer = await look_up(self._platform, job)
        if answer.request_id is None:
            return None
        return self._queue.request(job.endpoint, answer.request_id)

    async def report_unended(self) -> int:
        """Tell the admins of jobs that have no end after a day; return how many there are.

        fal may have lost them, or is not done, or what it says of them cannot be read.
        """
        unended = 0
        for job in await ContentJob.filter(
            shown_at=None,
            is_held=True,
            state__in=list(ENDLESS),
            submitted_at__lt=now() - UNENDED_AFTER,
        ):
            if job.state == JobState.SUBMITTED and await self._has_end(job):
                continue  # the bot was away, and the job's step comes to it
            unended += 1
            await self._settler.report_unended(job)
        return unended

    async def _has_end(self, job: ContentJob) -> bool:
        try:
            await self._queue.result(request_of(job))
        except Unavailable:
            return False
        except Refused:
            return True
        return True

    async def resolve(self, job_id: int, state: JobState, *, charge: bool, admin_id: int) -> bool:
        """End a job that has no end of its own, as `Settler.resolve` does; fal is asked to stop."""
        if state == JobState.SUBMITTED:
            job = await ContentJob.get_or_none(id=job_id, state=state)
            if job is None:
                return False
            with suppress(Unavailable):
                await self._queue.cancel(request_of(job))
        done = await self._settler.resolve(job_id, state, charge=charge, admin_id=admin_id)
        if done:
            self._roster.restart(job_id)
        return done
