"""A whole bot, and people who talk with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox import Sandbox
from tests.handlers.bench import Bench, bench
from tests.handlers.books import new_books
from tests.handlers.house import House, know_prices
from tests.support.running import running_bot


@pytest.fixture(params=["en", "fr"])
def language(request: pytest.FixtureRequest) -> str:
    """Both languages, one after the other."""
    return str(request.param)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest.fixture
def books(tmp_path: Path) -> str:
    """The URL of an empty database."""
    return new_books(tmp_path)


@pytest.fixture
async def house(sandbox: Sandbox, books: str) -> AsyncIterator[House]:
    """A bot that serves, as it would."""
    async with running_bot(sandbox, books, start=False, commands_per_minute=1000) as running:
        await know_prices(sandbox.fal)
        await running.start()
        yield House(sandbox, running)


@pytest.fixture
async def workbench(sandbox: Sandbox, books: str) -> AsyncIterator[Bench]:
    """A bot that is handed its updates one by one."""
    async with bench(sandbox, books, commands_per_minute=1000) as made:
        yield made
