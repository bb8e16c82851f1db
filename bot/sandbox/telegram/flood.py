"""Telegram's flood limits, as its FAQ for bots states them. Off unless switched on."""

from __future__ import annotations

import math
from collections import deque
from datetime import datetime, timedelta

from bot.sandbox.telegram.chats import Chat
from bot.sandbox.telegram.errors import too_many_requests


class Flood:
    """Counts what the bot writes. Limits are (messages, seconds), adjustable."""

    def __init__(self) -> None:
        self.on = False
        self.per_chat = (1, 1.0)
        self.per_group = (20, 60.0)
        self.overall = (30, 1.0)
        self._seen: dict[object, deque[datetime]] = {}

    def check(self, chat: Chat, now: datetime) -> None:
        """Count one message into `chat`; raises a 429 Refusal instead, if it is one too many."""
        if not self.on:
            return
        limits = [(("chat", chat.id), self.per_chat), (("all",), self.overall)]
        if not chat.private:
            limits.append((("group", chat.id), self.per_group))
        waits = [self._wait(key, limit, now) for key, limit in limits]
        if max(waits) > 0:
            raise too_many_requests(max(1, math.ceil(max(waits))))
        for key, _ in limits:
            self._seen[key].append(now)

    def _wait(self, key: object, limit: tuple[int, float], now: datetime) -> float:
        count, seconds = limit
        seen = self._seen.setdefault(key, deque())
        while seen and seen[0] <= now - timedelta(seconds=seconds):
            seen.popleft()
        if len(seen) < count:
            return 0
        return (seen[0] + timedelta(seconds=seconds) - now).total_seconds()
