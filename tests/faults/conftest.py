"""The sandbox at the other end of the wire, and somebody who writes to the bot."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Person, TelegramWorld


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest.fixture
def world(sandbox: Sandbox) -> TelegramWorld:
    return sandbox.telegram


@pytest.fixture
def ada(world: TelegramWorld) -> Person:
    """Somebody who has written to the bot before."""
    return world.person(id=1001, name="Ada", username="ada", language="en", started=True)
