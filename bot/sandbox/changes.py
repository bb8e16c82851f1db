"""Waiting for something to become true, without polling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Changes:
    """Wakes everyone who waits each time the world changes, and tells listeners what changed.

    Belongs to one event loop. `notify` is synchronous, so a change and its announcement cannot
    be torn apart.
    """

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()
        self._listeners: list[Callable[[dict[str, Any]], None]] = []

    def notify(self, event: dict[str, Any] | None = None) -> None:
        """Wake all waiters; `event` (JSON) goes to the listeners as well."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)
        if event is not None:
            for listener in list(self._listeners):
                listener(event)

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Call `listener` with every event from now on; returns how to stop it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def wait(self) -> None:
        """Return at the next change."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    async def wait_for(
        self, predicate: Callable[[], Result | None], timeout: float = 10, what: str = ""
    ) -> Result:
        """The first truthy value of `predicate`, tried now and after each change.

        Raises TimeoutError naming `what` was waited for after `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while not (value := predicate()):
                    await self.wait()
                return value
        except TimeoutError:
            raise TimeoutError(f"not within {timeout} s: {what or predicate!r}") from None
