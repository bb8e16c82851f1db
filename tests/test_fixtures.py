"""What the other tests stand on: the databases, and the guard around this machine."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import asyncpg
import httpx
import pytest

from db.connection import connect, migrate
from db.models import AdminAction, Person
from db.sql import now
from tests.support.network import OutsideError, is_local


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_gets_an_empty_postgres_database(postgres_url: str, turn: int) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("CREATE TABLE left_behind (turn bigint)")
        await connection.execute("CREATE SCHEMA other")
        await connection.execute("CREATE TYPE kind AS ENUM ('image', 'video')")
    finally:
        await connection.close()


@pytest.mark.parametrize("turn", [1, 2])
async def test_what_stays_connected_does_not_keep_the_database(
    postgres_url: str, turn: int
) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("BEGIN")
    await connection.execute("CREATE TABLE left_locked (turn bigint)")
    connection.terminate()


def test_a_database_is_there_for_tests_without_a_loop_too(database_url: str) -> None:
    assert database_url.startswith(("sqlite://", "postgres://"))


@pytest.mark.sqlite_only
@pytest.mark.empty_database
def test_a_test_about_sqlite_runs_on_a_file(database_url: str) -> None:
    path = Path(database_url.removeprefix("sqlite://"))
    assert path.parent.is_dir()
    assert not path.exists()
    sqlite3.connect(path).close()


@pytest.mark.parametrize("turn", [1, 2])
async def test_a_database_has_the_schema_and_nothing_of_the_test_before(
    database_url: str, turn: int
) -> None:
    async with connect(database_url) as connection:
        assert await migrate(connection) == []
        assert await Person.all().count() == 0
        await Person.create(id=turn)
        job = await AdminAction.create(admin_id=1, action="approved", created_at=now())
        assert job.id == 1


@pytest.mark.postgres_only
async def test_a_test_about_postgres_runs_on_a_server(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("SHOW server_version_num") >= "160000"
    finally:
        await connection.close()


async def test_nothing_leaves_this_machine(outside: list[str]) -> None:
    with socket.socket() as client, pytest.raises(OutsideError):
        client.connect(("192.0.2.1", 80))
    with socket.socket(type=socket.SOCK_DGRAM) as client, pytest.raises(OutsideError):
        client.sendto(b"", ("192.0.2.1", 53))
    async with httpx.AsyncClient() as client:
        with pytest.raises(OutsideError):
            await client.get("http://example.com/")
    assert outside == ["192.0.2.1", "192.0.2.1", "example.com"]
    outside.clear()


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::1%lo", True),
        ("localhost", True),
        (None, True),
        ("10.0.0.1", False),
        ("::2", False),
        ("localhost.example.com", False),
    ],
)
def test_only_loopback_is_local(host: str | None, local: bool) -> None:
    assert is_local(host) is local
