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
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from weakref import WeakValueDictionary

from telegram import Bot, Update
from telegram.ext import BaseUpdateProcessor

from bot.metrics import Metrics
from bot.screen.wire import AiohttpRequest, read_json
from db import updates
from db.connection import LOST_CONNECTION, STORAGE_ERRORS
from db.together import AFTERWARDS_SECONDS, Together

logger = logging.getLogger(__name__)

AT_ONCE = 256
KEEP_AGAIN_SECONDS = 1.0
NO_UPDATES = b'{"ok": true, "result": []}'
# A server that is restarted, or gives way to another, is away for about so long.
AGAIN_SECONDS = 2.0


class PersonalOrder(BaseUpdateProcessor):
    """Works on many updates at once, on those of one person in their order."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(AT_ONCE)
        self._metrics = metrics
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._again: dict[int, asyncio.Queue[object]] = {}
        self._mark_done = Together(updates.mark_done, gather_seconds=AFTERWARDS_SECONDS)

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
            queue = self._again.pop(update.update_id, None)
            if queue is not None:
                asyncio.get_running_loop().call_later(AGAIN_SECONDS, queue.put_nowait, update)
                return
            await self._done(update.update_id)
            self._metrics.updates.inc()
            self._metrics.update_seconds.observe(time.perf_counter() - started_at)

    def again(self, update: Update, queue: asyncio.Queue[object]) -> None:
        """Put an update that is being handled back into `queue`, for after a short while.

        The database went away in the middle. What was done of it by then is not done twice: see
        above.
        """
        self._again[update.update_id] = queue

    async def _done(self, update_id: int) -> None:
        """Record it, as soon as there is a database to record it in."""
        while True:
            try:
                await self._mark_done(update_id)
            except LOST_CONNECTION as error:
                logger.warning("an update cannot be marked (%s)", type(error).__name__)
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    async def initialize(self) -> None:
        """Nothing to do."""

    async def shutdown(self) -> None:
        """Nothing to do."""


def readable(update: dict[str, object], bot: Bot) -> Update | None:
    """The update as python-telegram-bot has it; None for one that it cannot make sense of.

    It raises whatever comes over it for an object of another version of the Bot API (a poll
    without a field that is new), and asks for the same updates again, for ever.
    """
    try:
        read = Update.de_json(_storable(update), bot)
        _check_kinds(read)
        return read
    except Exception as error:  # noqa: BLE001 (what it raises is not told anywhere)
        number, name = update.get("update_id"), type(error).__name__
        logger.warning("update %s cannot be read (%s) and is left out", number, name)
        return None


def _check_kinds(update: Update) -> None:
    """Raise `TypeError` for an id or a text that is none: python-telegram-bot takes anything."""
    message, press = update.effective_message, update.callback_query
    owners = (update.effective_user, update.effective_chat)
    if not all(owner is None or type(owner.id) is int for owner in owners):
        raise TypeError
    texts = (
        *(getattr(message, name, None) for name in ("text", "caption")),
        getattr(press, "data", None),
    )
    if not all(text is None or isinstance(text, str) for text in texts):
        raise TypeError


def _storable(value: Any) -> Any:
    """The same, with texts that every database keeps and every wire carries.

    PostgreSQL has no character 0, and half a surrogate pair has no UTF-8. No client sends them, but
    who does is to be answered like everybody.
    """
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value
        return value.encode("utf-8", "replace").decode().replace("\0", "")
    if isinstance(value, dict):
        return {name: _storable(part) for name, part in value.items()}
    return [_storable(part) for part in value] if isinstance(value, list) else value


class PollingRequest(AiohttpRequest):
    """Asks for updates and keeps all that come, before anything is done with them.

    Asking for the next updates confirms the ones before, and Telegram forgets them, long before
    they are acted on (Bot API, `getUpdates`). What python-telegram-bot gets to see is the highest
    of their numbers, from which it asks on; `new` has those of the last answer that were not kept
    before. `answers` counts the answers of Telegram that were no errors.
    """

    def __init__(self) -> None:
        super().__init__()
        self.new: list[dict[str, object]] = []
        self.answers = 0

    async def do_request(self, url: str, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """As ever; while updates cannot be kept, wait, so that Telegram keeps them."""
        status, body = await super().do_request(url, *args, **kwargs)
        if status == HTTPStatus.OK and url.endswith("/getUpdates"):
            self.answers += 1
            self.new, body = await self._kept(body)
        return status, body

    async def _kept(self, body: bytes) -> tuple[list[dict[str, object]], bytes]:
        try:
            found = read_json(body)["result"]
            arrived = {
                number: update
                for update in found
                if (number := updates.number_of(update)) is not None
            }
        except (ValueError, LookupError, TypeError, RecursionError):
            return [], body  # python-telegram-bot says what is wrong with it
        while arrived:
            try:
                new = await updates.take_all(arrived)
            except STORAGE_ERRORS as error:
                logger.warning("updates cannot be kept (%s)", type(error).__name__)
                await asyncio.sleep(KEEP_AGAIN_SECONDS)
            else:
                waiting = [update for number, update in arrived.items() if number in new]
                highest = {"update_id": max(arrived)}
                return waiting, json.dumps({"ok": True, "result": [highest]}).encode()
        if found:
            # It would count on from what is no number, and never ask again.
            logger.warning("Telegram sent %d updates without a number", len(found))
        return [], NO_UPDATES


class NewUpdates(asyncio.Queue[object]):
    """Where long polling puts what it was given: hands on to `work_on` what is new."""

    def __init__(
        self,
        request: PollingRequest,
        work_on: Callable[[dict[str, object]], Awaitable[None]],
    ) -> None:
        super().__init__()
        self._request = request
        self._work_on = work_on

    async def put(self, item: object) -> None:
        """Hand on all that came with the last answer and had not been kept before."""
        new, self._request.new = self._request.new, []
        for update in new:
            await self._work_on(update)
