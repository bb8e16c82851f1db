"""Telegram's limits: a chat that is told to wait waits alone.

python-telegram-bot's own `AIORateLimiter` halts all requests for the time of one `RetryAfter`.
Here only the chat waits that Telegram named (Bot API, `ResponseParameters.retry_after`). What
is sent of our own accord is paced where it is made: progress in `painter`, notices in `notices`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from telegram.error import NetworkError, RetryAfter, TelegramError, TimedOut
from telegram.ext import BaseRateLimiter

from bot.screen.chat import is_not_modified, wait_of
from bot.screen.wire import NoAnswer

JSON = bool | dict[str, Any] | list[dict[str, Any]]

# Who answers a person waits so long at most; jobs and notices come back by themselves.
LONGEST_WAIT_SECONDS = 30.0
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5
# These may be done twice: the second time changes nothing.
REPEATABLE = ("edit", "get", "answer", "set", "delete")
# A long poll is the updater's own to repeat.
NEVER = "getUpdates"


class PerChatLimiter(BaseRateLimiter[int]):
    """Repeats what Telegram refused for a moment, and holds back what it would refuse.

    `rate_limit_args` is the number of attempts. What gets one only is a courtesy, or comes back by
    itself: it does not wait. `on_error` is told the kind of each refusal and failure.
    """

    def __init__(self, on_error: Callable[[str], None]) -> None:
        # By chat, or by method for what is about no chat.
        self._free_at: dict[int | str, float] = {}
        self._on_error = on_error

    async def initialize(self) -> None:
        """Nothing to do."""

    async def shutdown(self) -> None:
        """Nothing to do."""

    async def process_request(
        self,
        callback: Callable[..., Coroutine[Any, Any, JSON]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: int | None,
    ) -> JSON:
        """Call Telegram when the chat is free. Raises what Telegram raises in the end."""
        chat_id = data.get("chat_id")
        chat = chat_id if isinstance(chat_id, int) else endpoint
        left = 1 if endpoint == NEVER else rate_limit_args or ATTEMPTS
        longest = 0.0 if rate_limit_args == 1 else LONGEST_WAIT_SECONDS
        pause = FIRST_PAUSE_SECONDS
        while True:
            await self._wait_for(chat, longest)
            left -= 1
            try:
                return await self._counted(callback(*args, **kwargs))
            except RetryAfter as error:
                self._free_at[chat] = time.monotonic() + wait_of(error).total_seconds()
                if not left:
                    raise
            except NetworkError as error:
                if not left or not _may_repeat(error, endpoint):
                    raise
                await asyncio.sleep(pause)
                pause *= 2

    async def _counted(self, call: Coroutine[Any, Any, JSON]) -> JSON:
        try:
            return await call
        except TelegramError as error:
            if not is_not_modified(error):
                self._on_error(type(error).__name__)
            raise

    async def _wait_for(self, chat: int | str, longest_seconds: float) -> None:
        """Wait until a chat may be written to. Raises `RetryAfter` if that takes too long."""
        free_at = self._free_at.get(chat)
        if free_at is None:
            return
        wait = free_at - time.monotonic()
        if wait > longest_seconds:
            raise RetryAfter(timedelta(seconds=wait))
        if wait > 0:
            await asyncio.sleep(wait)
        self._free_at.pop(chat, None)


def _may_repeat(error: NetworkError, endpoint: str) -> bool:
    """Whether a call that failed may be made again without doing its work twice.

    Telegram's own 5xx means that it was not done, and so does a connection that never was; after
    a broken one nobody knows. `BadRequest` is a `NetworkError` too, and final.
    """
    if isinstance(error, TimedOut | NoAnswer):
        return endpoint.startswith(REPEATABLE)
    return type(error) is NetworkError
