"""A copy has every row of every table, and is a database that goes on; or there is none."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.models import Model

from bot.__main__ import main
from db import copy
from db.audit import verify
from db.connection import connect, migrate
from db.copy import CopyRefused, copy_database, tables
from db.lock import only_process
from db.models import (
    ContentJob,
    Notice,
    Person,
    SeenUpdate,
)
from db.sql import fetch
from tests.db.books import adjust, budget, charge, held, new_person, spent
from tests.support.postgres import Databases

DOLLAR = 10**9
LARGEST = 2**63 - 1
MOMENT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # without a fraction of a second, on purpose
LATER = datetime(2026, 11, 23, 12, 0, 0, 120_000, tzinfo=UTC)

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(params=["sqlite to postgres", "postgres to sqlite", "sqlite", "postgres"])
async def urls(request: pytest.FixtureRequest, tmp_path: Path, ready_sqlite_file: Path) -> Any:
    """Two databases of all pairs of kinds, the second one empty.

    The first one has the present schema, unless the test is marked `empty_database`.
    """
    begins_empty = request.node.get_closest_marker("empty_database") is not None
    from_kind, _, to_kind = request.param.partition(" to ")
    async with AsyncExitStack() as stack:

        async def made(kind: str, place: str, *, is_ready: bool) -> str:
            if kind == "postgres":
                databases: Databases = request.getfixturevalue("postgres_databases")
                new = databases.ready() if is_ready else databases.empty()
                return await stack.enter_async_context(new)
            path = tmp_path / f"{place}.sqlite3"
            if is_ready:
                shutil.copyfile(ready_sqlite_file, path)
            return f"sqlite://{path}"

        yield (
            await made(from_kind, "from", is_ready=not begins_empty),
            await made(to_kind or from_kind, "to", is_ready=False),
        )


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Two files of SQLite's that are not there yet."""
    return f"sqlite://{tmp_path / 'from.sqlite3'}", f"sqlite://{tmp_path / 'to.sqlite3'}"


async def fill(url: str) -> None:
    """At least one row of every table, and what the two kinds of database write differently."""
    EXECUTOR_CACHE.clear()
    async with connect(url) as connection:
        await migrate(connection)
        await make_rows()
        assert await verify(connection) == []


async def make_rows() -> None:
    ada = await new_person(10 * DOLLAR, person_id=LARGEST)
    ben = await new_person(person_id=5_000_000_002)
    await new_person(person_id=77)
    await budget(ben, 0)
    await budget(ben, None)
    for _ in range(4):
        await spent(ada, 25_000_000)
    job_id = await spent(ada, DOLLAR)
    await adjust(job_id, DOLLAR + 1)
    await charge(await held(ada, 7 * DOLLAR), 8 * DOLLAR)  # less than 10 %: an alert
    await held(ada, 1)
    await ContentJob.filter(id=job_id).update(
        prompt="un renard « rouge »\n\t🦊 ثعلب 'quoted' \\ \"twice\" %s $1 ?1",
        arguments={"prompt": "🦊", "guidance_scale": 3.5, "seed": 2**31, "nested": [None, True]},
        chat_id=-1_001_234_567_890,
        submitted_at=MOMENT,
        finished_at=LATER,
        result={"media": []},
    )
    await SeenUpdate.create(id=1, body='{"update_id": 1}', seen_at=MOMENT)
    await SeenUpdate.create(id=2, seen_at=LATER)
    for table in tables():
        if not await table.exists():
            columns = table._meta.fields_db_projection
            values: dict[str, Any] = {name: value_of(table, name) for name in columns}
            await table.create(**values)


def value_of(table: type[Model], name: str) -> object:
    """Something that fits into a field; the person that is meant is always 77."""
    values: dict[object, object] = {int: 77, str: "é🦊", datetime: MOMENT}
    return values.get(table._meta.fields_map[name].field_type, {"JSON": [0.1, None, "é🦊"]})


async def rows_of(url: str) -> Rows:
    """Everything that is stored, as Python values."""
    EXECUTOR_CACHE.clear()
    async with connect(url):
        return {table.__name__: await rows_in(table) for table in tables()}


async def rows_in(table: type[Model]) -> list[dict[str, Any]]:
    rows = await table.all().order_by(table._meta.pk_attr).values()
    return [dict(row) for row in rows]


async def test_every_row_of_every_table_arrives_as_it_was(
    urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = urls
    monkeypatch.setattr(copy, "BATCH_ROWS", 3)  # less than there are, and no divisor
    await fill(source)
    before = await rows_of(source)
    counts = await copy_database(source, target)
    after = await rows_of(target)
    assert after == before
    assert await rows_of(source) == before
    assert list(counts.values()) == [len(rows) for rows in before.values()]
    assert all(counts.values()), "a table without a row proves nothing"


async def test_the_copy_goes_on_where_the_original_stopped(urls: tuple[str, str]) -> None:
    source, target = urls
    await fill(source)
    await copy_database(source, target)
    EXECUTOR_CACHE.clear()
    async with connect(target) as connection:
        assert await migrate(connection) == []
        highest = (await ContentJob.all().order_by("-id").first() or ContentJob(id=0)).id
        ada = await Person.get(id=LARGEST)
        [held_one] = await ContentJob.filter(is_held=True)
        await charge(held_one.id, 1)
        assert await spent(ada, 1) == highest + 1
        await new_person(person_id=78)
        # A moment is found by comparison: in SQLite it is a text, and must be written alike.
        assert await ContentJob.filter(finished_at__gt=MOMENT, finished_at__lte=LATER).count() == 1
        assert await verify(connection) == []


async def test_what_is_not_empty_is_left_alone(urls: tuple[str, str]) -> None:
    source, target = urls
    await fill(source)
    EXECUTOR_CACHE.clear()
    async with connect(target) as connection:
        await migrate(connection)
        await new_person(person_id=1)
    before = await rows_of(target)
    with pytest.raises(CopyRefused, match=r"^TO: this database is not empty"):
        await copy_database(source, target)
    assert await rows_of(target) == before


async def test_a_source_in_use_is_refused(urls: tuple[str, str]) -> None:
    source, target = urls
    await fill(source)
    with only_process(source):
        async with connect(source):  # as a bot does
            with pytest.raises(CopyRefused, match=r"^FROM: Another process uses this database"):
                await copy_database(source, target)
    await copy_database(source, target)


async def test_books_that_do_not_hold_are_not_copied(urls: tuple[str, str]) -> None:
    source, target = urls
    await fill(source)
    async with connect(source) as connection:
        await fetch(connection, "UPDATE person SET spent_nanos = 1 WHERE id = 77")
    with pytest.raises(CopyRefused, match=r"person 77: spent is 1, its entries say 0"):
        await copy_database(source, target)
    assert not any((await rows_of(target)).values())
    async with connect(source) as connection:
        await fetch(connection, "UPDATE person SET spent_nanos = 0 WHERE id = 77")
    await copy_database(source, target)


async def test_a_copy_that_fails_on_the_way_leaves_no_row(
    urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = urls
    await fill(source)
    insert = copy._insert

    async def fail_at_notices(to: BaseDBAsyncClient, model: type[Model], rows: Any) -> None:
        if model is Notice:
            raise OSError("the disk is full")
        await insert(to, model, rows)

    monkeypatch.setattr(copy, "_insert", fail_at_notices)
    with pytest.raises(CopyRefused, match=r"^TO: the disk is full; nothing was kept\.$"):
        await copy_database(source, target)
    assert not any((await rows_of(target)).values())


async def test_a_copy_that_is_interrupted_leaves_no_row(
    urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = urls
    await fill(source)
    insert, arrived = copy._insert, asyncio.Event()

    async def stop_at_notices(to: BaseDBAsyncClient, model: type[Model], rows: Any) -> None:
        await insert(to, model, rows)
        if model is Notice:
            arrived.set()
            await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(copy, "_insert", stop_at_notices)
        copying = asyncio.create_task(copy_database(source, target))
        await arrived.wait()
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying
    assert not any((await rows_of(target)).values())
    await copy_database(source, target)


async def test_a_row_that_is_lost_on_the_way_is_noticed(
    urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = urls
    await fill(source)
    insert = copy._insert

    async def lose_one(to: BaseDBAsyncClient, model: type[Model], rows: Any) -> None:
        await insert(to, model, rows[:-1] if model is SeenUpdate else rows)

    monkeypatch.setattr(copy, "_insert", lose_one)
    with pytest.raises(CopyRefused, match=r"^seen_update: 2 rows were copied, TO has 1"):
        await copy_database(source, target)
    assert not any((await rows_of(target)).values())


@pytest.mark.empty_database
async def test_a_source_of_another_version_is_refused(urls: tuple[str, str]) -> None:
    source, target = urls
    await fill(source)
    async with connect(source) as connection:
        await fetch(
            connection,
            "UPDATE tortoise_migrations SET name = '9999_of_tomorrow'"
            " WHERE name = (SELECT max(name) FROM tortoise_migrations)",
        )
    with pytest.raises(CopyRefused, match=r"^TO: this program makes another version"):
        await copy_database(source, target)


@pytest.mark.empty_database
async def test_a_database_of_something_else_is_no_source(urls: tuple[str, str]) -> None:
    source, target = urls
    async with connect(source) as connection:
        await fetch(connection, "CREATE TABLE recipe (id BIGINT)")
    with pytest.raises(CopyRefused, match=r"^FROM: this is no database of the bot\.$"):
        await copy_database(source, target)


async def test_no_table_is_forgotten_and_each_comes_after_those_that_it_refers_to(
    files: tuple[str, str],
) -> None:
    async with connect(files[0]) as connection:
        await migrate(connection)
        rows = await fetch(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")
        seen: set[type[Model]] = set()
        for table in tables():
            for name in table._meta.fk_fields:
                field: Any = table._meta.fields_map[name]
                assert field.related_model in seen, f"{table.__name__}.{name}"
            seen.add(table)
        names = {table._meta.db_table for table in seen}
    assert names == {row["name"] for row in rows} - {"sqlite_sequence", "tortoise_migrations"}


@pytest.mark.parametrize(
    "url",
    ["", "sqlite://", "sqlite://:memory:", "postgres://host", "mysql://host/name", "file.sqlite3"],
)
async def test_what_names_no_database_is_refused_without_repeating_it(
    files: tuple[str, str], url: str
) -> None:
    with pytest.raises(CopyRefused, match=r"^FROM: expected sqlite://path/to/file or postgres://"):
        await copy_database(url, files[1])
    await fill(files[0])
    with pytest.raises(CopyRefused, match=r"^TO: expected sqlite://path/to/file or postgres://"):
        await copy_database(files[0], url)


async def test_a_password_is_in_no_sentence(
    files: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.connection.REACH_PAUSES_SECONDS", ())
    await fill(files[0])
    for url in ("postgresql://ada:s3cret@127.0.0.1:1/bot", "postgres://ada:s3[cret@127.0.0.1/"):
        with pytest.raises(CopyRefused) as refused:
            await copy_database(files[0], url)
        assert "TO: " in str(refused.value)
        assert "cret" not in str(refused.value)


async def test_a_file_that_is_not_there_is_not_made(files: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(CopyRefused, match=r"^FROM: there is no such file\.$"):
        await copy_database(*files)
    assert list(tmp_path.iterdir()) == []


async def test_a_database_is_not_copied_into_itself(files: tuple[str, str]) -> None:
    await fill(files[0])
    with pytest.raises(CopyRefused, match="the same database"):
        await copy_database(files[0], files[0])


async def test_a_postgres_user_may_copy_from_a_postgresql_url(
    postgres_url: str, files: tuple[str, str]
) -> None:
    await fill(postgres_url)
    counts = await copy_database(postgres_url.replace("postgres://", "postgresql://"), files[1])
    assert counts["person"] == 3
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("SELECT count(*) FROM person") == 3
    await connection.close()


# ------------------------------------------------------------------------------ the command line


def test_the_command_tells_what_it_copied(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(files[0]))
    assert main(["copy-database", *files]) == 0
    out, err = capsys.readouterr()
    assert "person: 3\n" in out
    assert out.endswith("Set DATABASE_URL to TO.\n")
    assert err == ""
    with sqlite3.connect(files[1].removeprefix("sqlite://")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM person").fetchone() == (3,)
    connection.close()


def test_the_command_says_in_one_sentence_why_not(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["copy-database", *files]) == 2
    assert capsys.readouterr() == ("", "FROM: there is no such file.\n")
