"""Waiting until fal is done with a request: by its call, by a stream, by a look now and then."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from aiolimiter import AsyncLimiter

from bot.fal.errors import Refused, Unavailable
from bot.fal.queue import Completed, InProgress, Queue, Request, Status
from db.models import ContentJob
from db.sql import now

# How soon a request is looked at although fal is to call; then ever more seldom, and many that
# wait not at the same moment.
LOOK_AFTER_SECONDS, LOOK_SLOWEST_SECONDS = 30.0, 300.0
# After a start all are looked at, and who writes meanwhile is not to wait for thousands of them:
# so many looks in so many seconds.
LOOKS = (5, 0.2)
# A stream is an open file and some thirty KiB, and a process may often have a thousand files. fal
# works on a few requests of an account at a time, on those first that it got first.
STREAMS = 300
# One that was sent earlier was taken up again: fal may have called while nobody was there.
JUST_SENT = timedelta(seconds=5)


def request_of(job: ContentJob) -> Request:
    """The request of a job that fal has. Raises `Unavailable` for one that has none yet."""
    if not (job.request_id and job.status_url and job.response_url and job.cancel_url):
        raise Unavailable("the job has no request yet")
    return Request(job.request_id, job.status_url, job.response_url, job.cancel_url)


class Calls:
    """Which requests fal has called about; a call that never comes is made up for by a look.

    `url` is where fal is to call. Without it a stream tells of each request; where there are more
    than `STREAMS` of them, the latest are looked at until it is their turn.
    """

    def __init__(self, queue: Queue, url: str | None, secret: str) -> None:
        self._queue = queue
        self._url = url
        self._secret = secret.encode()
        self._came: dict[int, asyncio.Event] = {}
        self._looks = AsyncLimiter(*LOOKS)
        self._streams = asyncio.Semaphore(STREAMS)

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
        if self._url is not None:
            came = self._came.setdefault(job.id, asyncio.Event())
            await self._looks_until(came.wait, job, request, progress)
        elif await self._looks_until(self._streams.acquire, job, request, progress):
            try:
                async for status in self._queue.watch(request):
                    progress(status)
            finally:
                self._streams.release()

    async def _looks_until(
        self,
        ready: Callable[[], Awaitable[object]],
        job: ContentJob,
        request: Request,
        progress: Callable[[Status], None],
    ) -> bool:
        """Wait for `ready`, and look now and then; False if the request turns out complete."""
        is_new = now() - (job.submitted_at or job.created_at) < JUST_SENT
        longest, pause = LOOK_AFTER_SECONDS, 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await ready()
                    return True
            if is_new:
                is_new, pause = False, longest
                progress(InProgress([]))
                continue
            pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            longest = min(longest * 2, LOOK_SLOWEST_SECONDS)
            try:
                await self._looks.acquire()
                status = await self._queue.status(request)
            except Refused:
                return False  # fal does not know it any more: its result decides
            progress(status)
            if isinstance(status, Completed):
                return False
