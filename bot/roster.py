"""The jobs that this process works on: a task and a lease for each."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from db import leases

logger = logging.getLogger(__name__)


class Roster:
    """Starts and ends the tasks of jobs. `work` does everything there is to do for a job."""

    def __init__(self, work: Callable[[int], Awaitable[None]]) -> None:
        self._work = work
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._leased: dict[int, object] = {}
        self._busy: set[int] = set()
        self._once_more: set[int] = set()
        self._is_open = True
        self.owner = secrets.token_hex(8)

    def start(self, job_id: int, *, is_leased: bool = False, take_over: bool = False) -> None:
        """Work on a job, if nobody does already; with `take_over` also if another process does."""
        if not self._is_open or job_id in self._tasks:
            return
        work = self._leased_work(job_id, is_leased=is_leased, take_over=take_over)
        task = asyncio.create_task(work, name=f"job {job_id}")
        self._tasks[job_id] = task
        task.add_done_callback(lambda done: self._ended(job_id, done))

    def start_or_repeat(self, job_id: int) -> None:
        """Work on a job; if that is being done, and may be at its end, once more after it."""
        if job_id in self._tasks:
            self._once_more.add(job_id)
        else:
            self.start(job_id)

    def restart(self, job_id: int) -> None:
        """Look at a job anew: something else has changed its state."""
        task = self._tasks.pop(job_id, None)
        if task is not None:
            task.cancel()
        self.start(job_id, take_over=True)

    async def resume(self) -> int:
        """Start on every job that nobody works on; return how many."""
        waiting = await leases.free_jobs(but=list(self._tasks))
        for job_id in waiting:
            self.start(job_id)
        return len(waiting)

    async def keep(self) -> None:
        """Renew the leases and take up what others left, until cancelled."""
        while True:
            await asyncio.sleep(leases.RENEWED_EVERY.total_seconds())
            try:
                # Not those that still wait for their lease: after a start that can be thousands.
                before = set(self._leased)
                mine = await leases.renew(self.owner)
                for job_id in before - mine:
                    self._let_go(job_id)
                await self.resume()
            except Exception:
                # Without the database nothing goes on anyway; the next round is soon.
                logger.exception("the leases could not be renewed")

    @contextmanager
    def not_to_be_interrupted(self, job_id: int) -> Iterator[None]:
        """The code inside gets some time when everything stops."""
        self._busy.add(job_id)
        try:
            yield
        finally:
            self._busy.discard(job_id)
            if not self._is_open and job_id in self._tasks:
                self._tasks[job_id].cancel()

    async def aclose(self, grace_seconds: float) -> None:
        """End all tasks, the busy ones last, and give the leases back."""
        self._is_open = False
        busy = [self._tasks[job_id] for job_id in self._busy if job_id in self._tasks]
        for task in self._tasks.values():
            if task not in busy:
                task.cancel()
        if busy:
            await asyncio.wait(busy, timeout=grace_seconds)
        left = list(self._tasks.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await leases.give_back(self.owner)

    async def _leased_work(self, job_id: int, *, is_leased: bool, take_over: bool) -> None:
        if not is_leased and not await leases.claim(job_id, self.owner, take_over=take_over):
            return
        lease = self._leased[job_id] = object()
        try:
            await self._work(job_id)
        finally:
            if self._leased.get(job_id) is lease:
                del self._leased[job_id]

    def _let_go(self, job_id: int) -> None:
        """Another process has taken a job over, or its outcome is shown."""
        task = self._tasks.get(job_id)
        if task is not None and job_id not in self._busy:
            task.cancel()

    def _ended(self, job_id: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(job_id) is not task:
            return
        del self._tasks[job_id]
        if job_id in self._once_more:
            self._once_more.discard(job_id)
            self.start(job_id)
