"""Empty databases by the copy: bringing each one up to date anew takes longer than most tests."""

from __future__ import annotations

import asyncio
import tempfile
from functools import cache
from pathlib import Path

from db.connection import connect, migrate


def new_books(folder: Path) -> str:
    """The URL of an empty SQLite database in `folder`; for fixtures that are not async."""
    path = folder / "bot.sqlite3"
    path.write_bytes(_empty())
    return f"sqlite://{path}"


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bot.sqlite3"
        asyncio.run(_make(f"sqlite://{path}"))
        return path.read_bytes()


async def _make(url: str) -> None:
    async with connect(url) as connection:
        await migrate(connection)
