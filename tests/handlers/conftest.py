"""A whole bot, and people who talk with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.sandbox import Sandbox
from tests.handlers.bench import Bench, bench
from tests.handlers.house import House, know_prices
from tests.support.running import running_bot


@pytest.fixture
async def house(sandbox: Sandbox, database_url: str) -> AsyncIterator[House]:
    """A bot that serves, as it would."""
    async with running_bot(sandbox, database_url, start=False, commands_per_minute=1000) as running:
        await know_prices(sandbox.fal)
        await running.start()
        yield House(sandbox, running)


@pytest.fixture
async def workbench(sandbox: Sandbox, database_url: str) -> AsyncIterator[Bench]:
    """A bot that is handed its updates one by one."""
    async with bench(sandbox, database_url, commands_per_minute=1000) as made:
        yield made
