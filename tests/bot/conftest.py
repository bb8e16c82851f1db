"""The bot's own way to fal, pointed at the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.fal import queue as room
from bot.fal.queue import Queue
from bot.fal.transport import FalUrls
from bot.sandbox import Sandbox
from bot.sandbox.fal import FalWorld
from tests.support.fal import queue_at, urls_of


@pytest.fixture
def urls(sandbox: Sandbox) -> FalUrls:
    """Where the sandbox has fal's services."""
    return urls_of(sandbox)


@pytest.fixture
async def queue(
    urls: FalUrls, fal: FalWorld, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Queue]:
    """A queue that does not wait long between two looks."""
    monkeypatch.setattr(room, "POLL_FIRST_SECONDS", 0.001)
    monkeypatch.setattr(room, "POLL_SLOWEST_SECONDS", 0.002)
    async with queue_at(urls, fal.account.api_key) as made:
        yield made
