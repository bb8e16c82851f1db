"""Waiting for what is true in the database or in a file, which nobody announces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(ask: Callable[[], Awaitable[T]], timeout: float = 20, what: str = "") -> T:
    """The first truthy answer of `ask`, asked again and again.

    Raises TimeoutError naming `what` was waited for after `timeout` seconds.
    """
    try:
        async with asyncio.timeout(timeout):
            while not (answer := await ask()):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
            return answer
    except TimeoutError:
        raise TimeoutError(f"not within {timeout} s: {what or ask!r}") from None
