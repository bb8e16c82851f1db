"""The order in which updates are worked on: one after the other for a person, at once for all.

An update is acted on once, also when it arrives again after a crash: what was done is recorded
when it is done, and what moves money or makes a job carries the name of its message (`origin`),
in case the record was lost. And none is lost: it is in the database before Telegram forgets it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import Any
from weakref import WeakValueDictionary

from telegram import Update
from telegram.ext import BaseUpdateProcessor

from bot.metrics import Metrics
from db import updates
from db.connection import STORAGE_ERRORS

logger = logging.getLogger(__name__)

AT_ONCE = 256
KEEP_AGAIN_SECONDS = 1.0


class PersonalOrder(BaseUpdateProcessor):
    """Works on many updates at once, on those of one person in their order."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(AT_ONCE)
        self._metrics = metrics
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        """Handle the update unless it was handled before."""
        if not isinstance(update, Update):
            await coroutine
            return
        person_id = update.effective_user.id if update.effective_user else 0
        lock = self._locks.setdefault(person_id, asyncio.Lock())
        async with lock:
            if await updates.is_done(update.update_id):
                if asyncio.iscoroutine(coroutine):
                    coroutine.close()
                return
            started_at = time.perf_counter()
            await coroutine
            await updates.mark_done(update.update_id)
            self._metrics.updates.inc()
            self._metrics.update_seconds.observe(time.perf_counter() - started_at)

    async def initialize(self) -> None:
        """Nothing to do."""

    async def shutdown(self) -> None:
        """Nothing to do."""


class KeptUpdates(asyncio.Queue[object]):
    """Where long polling puts its updates: keeps each, then hands it on to `queue`.

    Asking for the next updates confirms the ones before, and Telegram forgets them, long before
    they are acted on (Bot API, `getUpdates`). One that was kept before is not handed on again.
    """

    def __init__(self, queue: asyncio.Queue[object]) -> None:
        super().__init__()
        self._queue = queue

    async def put(self, item: object) -> None:
        """Hand an update on; while it cannot be kept, wait, so that Telegram keeps it."""
        if isinstance(item, Update):
            while True:
                try:
                    is_new = await updates.take(item.update_id, item.to_dict())
                    break
                except STORAGE_ERRORS as error:
                    logger.warning("an update cannot be kept (%s)", type(error).__name__)
                    await asyncio.sleep(KEEP_AGAIN_SECONDS)
            if not is_new:
                return
        await self._queue.put(item)
