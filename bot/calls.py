"""Waiting for fal's call that a request is complete, and where fal is to call."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from aiolimiter import AsyncLimiter

from bot.fal.errors import Refused
from bot.fal.queue import Completed, InProgress, Queue, Request, Status
from db.models import ContentJob
from db.sql import now

# How soon a request is looked at although fal is to call; then ever more seldom, and many that
# wait not at the same moment.
LOOK_AFTER_SECONDS, LOOK_SLOWEST_SECONDS = 30.0, 300.0
# After a start all are looked at, and who writes meanwhile is not to wait for thousands of them:
# so many looks in so many seconds.
LOOKS = (50, 1)
# One that was sent earlier was taken up again: fal may have called while nobody was there.
JUST_SENT = timedelta(seconds=5)


class Calls:
    """Which requests fal has called about; a call that never comes is made up for by a look.

    `url` is where fal is to call, without it nowhere.
    """

    def __init__(self, queue: Queue, url: str | None, secret: str) -> None:
        self._queue = queue
        self._url = url
        self._secret = secret.encode()
        self._came: dict[int, asyncio.Event] = {}
        self._looks = AsyncLimiter(*LOOKS)

    @property
    def are_expected(self) -> bool:
        """Whether fal is to call at all."""
        return self._url is not None

    def url_of(self, job_id: int) -> str | None:
        """Where fal is to call about a job, with a word that nobody else can know."""
        return self._url and f"{self._url}/{job_id}?word={self._word(job_id)}"

    def is_ours(self, job_id: int, word: str) -> bool:
        """Whether a call came to the URL of that job.

        fal signs the calls of all its customers with the same keys, and calls wherever any of them
        wants: the signature does not say that a request is the bot's own.
        """
        return hmac.compare_digest(word.encode(), self._word(job_id).encode())

    def _word(self, job_id: int) -> str:
        return hmac.new(self._secret, str(job_id).encode(), hashlib.sha256).hexdigest()[:32]

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
        sent_at = job.submitted_at or job.created_at
        longest = LOOK_AFTER_SECONDS
        pause = 0.0
        if now() - sent_at < JUST_SENT:
            pause = longest
            progress(InProgress([]))
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(came.wait(), pause)
                return
            pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            longest = min(longest * 2, LOOK_SLOWEST_SECONDS)
            try:
                await self._looks.acquire()
                status = await self._queue.status(request)
            except Refused:
                return  # fal does not know it any more: its result decides
            progress(status)
            if isinstance(status, Completed):
                return
