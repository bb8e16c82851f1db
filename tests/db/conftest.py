"""An empty database with the present schema."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from tortoise.backends.base.client import BaseDBAsyncClient

from db.connection import connect, migrate


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[BaseDBAsyncClient]:
    """The connection to a database with the present schema, of each kind."""
    async with connect(database_url) as connection:
        await migrate(connection)
        yield connection
