"""A disk that is full: told in a sentence at the start, and survived in the middle."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.sandbox import Sandbox
from db import ledger
from db.audit import verify
from db.connection import connect, migrate, sqlite_path
from db.models import LedgerEntry, Person
from tests.support.running import ADMIN_ID, settings_for

ROOT = Path(__file__).parents[2]


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """No file can grow past `size` bytes, which to SQLite is a disk with no room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.sqlite_only
async def test_a_commit_that_finds_no_room_leaves_nothing_open(
    database_url: str,
) -> None:
    """Else what is written afterwards would belong to it, and be lost at the next start."""
    path = sqlite_path(database_url)
    assert path is not None
    async with connect(database_url) as connection:
        await migrate(connection)
        await Person.create(id=1)
        log = path.with_name(path.name + "-wal").stat().st_size
        with files_no_longer_than(log), pytest.raises(Exception, match=r"full|disk I/O"):
            await ledger.set_budget(1, 10**9, actor_id=None, origin="the first")
        await ledger.set_budget(1, 2 * 10**9, actor_id=None, origin="the second")
    async with connect(database_url) as connection:
        person = await Person.get(id=1)
        entries = await LedgerEntry.all()
        assert (person.budget_nanos, len(entries)) == (2 * 10**9, 1)
        assert await verify(connection) == []


@pytest.mark.sqlite_only
@pytest.mark.parametrize("room_bytes", [0, 34_000, 42_000])
async def test_a_start_without_room_is_told_in_a_sentence_and_harms_nothing(
    sandbox: Sandbox, database_url: str, tmp_path: Path, room_bytes: int
) -> None:
    """With none at all, and with so little that only what is written later finds none."""
    async with connect(database_url) as connection:
        await migrate(connection)
        await Person.create(id=1, name="Ada")
    settings = settings_for(sandbox, database_url)
    program = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room_bytes}, {room_bytes}))\n"
        "from bot.__main__ import main\n"
        "sys.exit(main([]))\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-B", "-c", program),
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            **sandbox.environment(),
            "ADMIN_IDS": str(ADMIN_ID),
            "DATABASE_URL": settings.database_url,
            "LISTEN": "",
            "LOG_LEVEL": "ERROR",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    told = err.decode()
    assert (process.returncode, out) == (2, b"")
    assert told.startswith("The database cannot be ")
    assert told.count("\n") == 1
    async with connect(database_url) as connection:
        assert await migrate(connection) == []
        assert [person.name for person in await Person.all()] == ["Ada"]
