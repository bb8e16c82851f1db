"""The order in which updates are worked on: one after the other for a person, at once for all.

An update is acted on once, also when it arrives again after a crash: what was done is recorded
when it is done, and what moves money or makes a job carries the name of its message (`origin`),
in case the record was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

from telegram import Update
from telegram.ext import BaseUpdateProcessor
from tortoise.exceptions import IntegrityError

from db.models import SeenUpdate
from db.sql import now

AT_ONCE = 256
# Telegram keeps an update for at most 24 hours (Bot API, "Getting updates").
KEPT = timedelta(days=2)


class PersonalOrder(BaseUpdateProcessor):
    """Works on many updates at once, on those of one person in their order."""

    def __init__(self) -> None:
        super().__init__(AT_ONCE)
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        """Handle the update unless it was handled before."""
        if not isinstance(update, Update):
            await coroutine
            return
        person_id = update.effective_user.id if update.effective_user else 0
        lock = self._locks.setdefault(person_id, asyncio.Lock())
        async with lock:
            if await SeenUpdate.exists(id=update.update_id):
                if asyncio.iscoroutine(coroutine):
                    coroutine.close()
                return
            await coroutine
            try:
                await SeenUpdate.create(id=update.update_id, seen_at=now())
            except IntegrityError:
                return  # another process has handled it too; origins keep that harmless

    async def initialize(self) -> None:
        """Nothing to do."""

    async def shutdown(self) -> None:
        """Nothing to do."""


async def forget_old_updates() -> int:
    """Forget updates that cannot come again; return how many."""
    return await SeenUpdate.filter(seen_at__lt=now() - KEPT).delete()
