"""The order in which updates are worked on: one after the other for a person, at once for all.

An update is acted on once, also when it arrives again after a crash: what was done is recorded
when it is done, and what moves money or makes a job carries the name of its message (`origin`),
in case the record was lost. And none is lost: it is in the database before Telegram forgets it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Set
from http import HTTPStatus
from typing import Any
from weakref import WeakValueDictionary

from telegram import Update
from telegram.ext import BaseUpdateProcessor

from bot.metrics import Metrics
from bot.screen.wire import AiohttpRequest
from db import updates
from db.connection import STORAGE_ERRORS
from db.together import Together

logger = logging.getLogger(__name__)

AT_ONCE = 256
KEEP_AGAIN_SECONDS = 1.0


class PersonalOrder(BaseUpdateProcessor):
    """Works on many updates at once, on those of one person in their order."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(AT_ONCE)
        self._metrics = metrics
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._mark_done = Together(updates.mark_done)

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        """Handle the update when it is its turn; the gate leaves out what was handled before."""
        if not isinstance(update, Update):
            await coroutine
            return
        person_id = update.effective_user.id if update.effective_user else 0
        lock = self._locks.setdefault(person_id, asyncio.Lock())
        async with lock:
            started_at = time.perf_counter()
            await coroutine
            await self._mark_done(update.update_id)
            self._metrics.updates.inc()
            self._metrics.update_seconds.observe(time.perf_counter() - started_at)

    async def initialize(self) -> None:
        """Nothing to do."""

    async def shutdown(self) -> None:
        """Nothing to do."""


class PollingRequest(AiohttpRequest):
    """Asks for updates and keeps all that come, before anything is done with them.

    Asking for the next updates confirms the ones before, and Telegram forgets them, long before
    they are acted on (Bot API, `getUpdates`). `new` are those of the last answer that were not
    kept before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.new: Set[int] = frozenset()

    async def do_request(self, url: str, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """As ever; while updates cannot be kept, wait, so that Telegram keeps them."""
        status, body = await super().do_request(url, *args, **kwargs)
        if status == HTTPStatus.OK and url.endswith("/getUpdates"):
            self.new = await self._kept(body)
        return status, body

    async def _kept(self, body: bytes) -> Set[int]:
        try:
            arrived = {update["update_id"]: update for update in json.loads(body)["result"]}
        except (ValueError, LookupError, TypeError):
            return frozenset()  # python-telegram-bot says what is wrong with it
        while arrived:
            try:
                return await updates.take_all(arrived)
            except STORAGE_ERRORS as error:
                logger.warning("updates cannot be kept (%s)", type(error).__name__)
                await asyncio.sleep(KEEP_AGAIN_SECONDS)
        return frozenset()


class NewUpdates(asyncio.Queue[object]):
    """Where long polling puts its updates: hands those on to `queue` that are new."""

    def __init__(self, queue: asyncio.Queue[object], request: PollingRequest) -> None:
        super().__init__()
        self._queue = queue
        self._request = request

    async def put(self, item: object) -> None:
        """Hand an update on, unless it was kept before."""
        if not isinstance(item, Update) or item.update_id in self._request.new:
            await self._queue.put(item)
