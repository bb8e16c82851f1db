"""The bot's own way to fal, pointed at the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.fal.queue import Queue
from bot.fal.transport import FalUrls
from bot.sandbox import Sandbox
from bot.sandbox.fal import FalWorld


def urls_of(sandbox: Sandbox) -> FalUrls:
    """Where the sandbox has fal's four services."""
    base = f"{sandbox.base_url}/fal"
    return FalUrls(
        queue=f"{base}/queue", platform=f"{base}/v1", rest=f"{base}/rest", cdn=f"{base}/cdn"
    )


@asynccontextmanager
async def queue_at(
    urls: FalUrls, key: str, retention_seconds: int | None = None
) -> AsyncIterator[Queue]:
    """A queue that is closed at the end."""
    queue = Queue(key, urls, retention_seconds=retention_seconds)
    try:
        yield queue
    finally:
        await queue.aclose()


def calls(fal: FalWorld, operation: str) -> int:
    """How often fal was asked for something, `submit` or `result`."""
    return sum(call.operation == operation for call in fal.calls)
