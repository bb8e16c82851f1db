"""Opening the database: what it is asked for, and one sentence for whatever is wrong with it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from db import connection as room
from db.connection import connect, migrate, sqlite_path
from db.errors import DatabaseError, DatabaseUnusable
from db.lock import only_process
from db.models import Person

NOBODY = 65534


def url_of(path: Path) -> str:
    return f"sqlite://{path}"


async def failure(url: str) -> str:
    """What is said when the database is opened and brought up to date, which must fail."""
    with pytest.raises(DatabaseUnusable) as raised:
        async with connect(url) as connection:
            await migrate(connection)
    return str(raised.value)


def is_a_sentence(text: str) -> bool:
    return text[0].isupper() and text.endswith(".") and "\n" not in text and "Traceback" not in text


@pytest.mark.sqlite_only
async def test_a_commit_that_was_answered_survives_a_power_cut(database_url: str) -> None:
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    async with connect(database_url) as connection:
        for pragma, value in expected.items():
            [row] = await connection.execute_query_dict(f"PRAGMA {pragma}")
            assert next(iter(row.values())) == value, pragma


@pytest.mark.sqlite_only
async def test_the_folder_of_the_database_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "bot.sqlite3"
    async with connect(url_of(path)) as connection:
        await migrate(connection)
    assert path.is_file()


@pytest.mark.postgres_only
async def test_postgres_is_known_by_name_and_ends_statements_that_hang(database_url: str) -> None:
    async with connect(database_url) as connection:
        [row] = await connection.execute_query_dict(
            "SELECT current_setting('application_name') AS name,"
            " current_setting('statement_timeout') AS timeout"
        )
    assert (row["name"], row["timeout"]) == ("fal-budget-bot", "30s")


async def test_what_is_opened_read_only_cannot_be_written(database_url: str) -> None:
    async with connect(database_url) as connection:
        await migrate(connection)
    async with connect(database_url, read_only=True):
        with pytest.raises(Exception, match=r"read-?only"):
            await Person.create(id=1)
    async with connect(database_url):
        assert await Person.all().count() == 0


@pytest.mark.sqlite_only
@pytest.mark.empty_database
async def test_what_is_opened_read_only_is_not_made(database_url: str) -> None:
    with pytest.raises(DatabaseUnusable):
        async with connect(database_url, read_only=True):
            pass
    path = sqlite_path(database_url)
    assert path is not None
    assert not path.exists()


def test_a_database_in_memory_and_one_on_a_server_have_no_file() -> None:
    assert sqlite_path("sqlite://:memory:") is None
    assert sqlite_path("postgres://bot@localhost/bot") is None
    assert sqlite_path("sqlite://data/bot.sqlite3?cache=shared") == Path("data/bot.sqlite3")


# ------------------------------------------------------------------------- what can be wrong


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bot.sqlite3"
    path.write_bytes(b"dear diary " * 1000)
    assert is_a_sentence(await failure(url_of(path)))
    assert path.read_bytes() == b"dear diary " * 1000


async def test_a_damaged_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bot.sqlite3"
    async with connect(url_of(path)) as connection:
        await migrate(connection)
        await connection.execute_query("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged = path.read_bytes()[:4096] + b"\xff" * 8192
    path.write_bytes(damaged)
    assert is_a_sentence(await failure(url_of(path)))
    assert path.read_bytes() == damaged


async def test_a_file_where_the_folder_should_be_is_named_as_the_reason(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert is_a_sentence(await failure(url_of(tmp_path / "data" / "bot.sqlite3")))


async def test_a_folder_where_the_file_should_be_is_named_as_the_reason(tmp_path: Path) -> None:
    (tmp_path / "bot.sqlite3").mkdir()
    assert is_a_sentence(await failure(url_of(tmp_path / "bot.sqlite3")))


async def test_a_database_that_someone_else_has_locked_is_named_as_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(room.SQLITE_PRAGMAS, "busy_timeout", 0)
    path = tmp_path / "bot.sqlite3"
    async with connect(url_of(path)) as connection:
        await migrate(connection)
    with sqlite3.connect(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM person")
        assert "locked" in await failure(url_of(path))
    other.close()


async def test_a_full_disk_is_named_as_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(room.SQLITE_PRAGMAS, "max_page_count", 6)
    text = await failure(url_of(tmp_path / "bot.sqlite3"))
    assert "full" in text
    monkeypatch.delitem(room.SQLITE_PRAGMAS, "max_page_count")
    async with connect(url_of(tmp_path / "bot.sqlite3")) as connection:
        assert await migrate(connection)  # nothing of it was done


@pytest.fixture
def folder_of_everybody() -> Iterator[Path]:
    """A folder that can be reached without root's rights, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def _without_rights() -> Iterator[None]:
    """For root nothing is read-only."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


@pytest.fixture(params=[0o555, 0o777], ids=["folder too", "file only"])
async def read_only_database(request: pytest.FixtureRequest, folder_of_everybody: Path) -> str:
    """A good database that may be read but not written."""
    path = folder_of_everybody / "bot.sqlite3"
    async with connect(url_of(path)) as connection:
        await migrate(connection)
    path.chmod(0o444)
    folder_of_everybody.chmod(request.param)
    return url_of(path)


@pytest.mark.usefixtures("read_only_database", "_without_rights")
async def test_a_database_that_cannot_be_written_is_named_as_the_reason(
    read_only_database: str,
) -> None:
    assert is_a_sentence(await failure(read_only_database))


@pytest.mark.usefixtures("folder_of_everybody", "_without_rights")
async def test_a_folder_that_cannot_be_written_is_named_as_the_reason(
    folder_of_everybody: Path,
) -> None:
    assert is_a_sentence(await failure(url_of(folder_of_everybody / "bot.sqlite3")))
    url = url_of(folder_of_everybody / "data" / "bot.sqlite3")
    assert is_a_sentence(await failure(url))
    with pytest.raises(DatabaseUnusable) as raised, only_process(url):
        pass
    assert is_a_sentence(str(raised.value))


@pytest.mark.parametrize("port", ["1", "{port}"])
async def test_a_server_that_is_not_there_is_named_without_the_password(
    port: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.connection.REACH_PAUSES_SECONDS", ())
    there = postgres_url.rpartition(":")[2].partition("/")[0]
    url = f"postgres://bot:hidden-word@127.0.0.1:{port.format(port=there)}/no-such-database"
    text = await failure(url)
    assert is_a_sentence(text)
    assert "hidden-word" not in text


# --------------------------------------------------------------------------------- the lock


def test_a_second_process_is_told_to_wait_its_turn(tmp_path: Path) -> None:
    url = url_of(tmp_path / "data" / "bot.sqlite3")
    program = (
        "import sys\n"
        "from db.lock import only_process\n"
        "with only_process(sys.argv[1]):\n"
        "    print('mine', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        with pytest.raises(DatabaseError) as raised, only_process(url):
            pass
        assert is_a_sentence(str(raised.value))
        other.kill()
    with only_process(url):
        pass  # it ended with the process, however that ended


@pytest.mark.parametrize("url", ["sqlite://:memory:", "postgres://bot@localhost/bot"])
def test_what_many_may_use_is_not_locked(url: str) -> None:
    with only_process(url), only_process(url):
        pass


async def test_a_server_that_is_not_up_yet_is_waited_for(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = asyncpg.create_pool

    async def late(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        if len(calls) < 3:
            raise ConnectionRefusedError
        return await real(*arguments, **options)

    monkeypatch.setattr("db.connection.REACH_PAUSES_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setattr("asyncpg.create_pool", late)
    async with connect(postgres_url) as connection:
        await connection.execute_query("SELECT 1")
    assert len(calls) == 3


async def test_a_server_that_stays_away_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("db.connection.REACH_PAUSES_SECONDS", (0.0,))
    with pytest.raises(DatabaseUnusable) as told:
        async with connect("postgres://someone:hush@127.0.0.1:1/bot"):
            raise AssertionError("nobody listens on port 1")
    assert "\n" not in str(told.value)
    assert "hush" not in str(told.value)
