"""The schema comes from the migrations alone, from empty, once, and never backwards."""

from __future__ import annotations

import asyncio

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import require_context
from tortoise.migrations.autodetector import MigrationAutodetector
from tortoise.migrations.executor import MigrationExecutor

from db.connection import APPS, connect, migrate, pending_migrations
from db.errors import DatabaseTooNew, DatabaseUnusable
from db.models import Person

pytestmark = pytest.mark.empty_database


async def tables(connection: BaseDBAsyncClient) -> dict[str, dict[str, str]]:
    """The type of each column of each table."""
    if connection.capabilities.dialect == "sqlite":
        query = (
            "SELECT m.name AS table_name, c.name AS column_name, lower(c.type) AS data_type"
            " FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
        )
    else:
        query = (
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        )
    found: dict[str, dict[str, str]] = {}
    for row in await connection.execute_query_dict(query):
        found.setdefault(row["table_name"], {})[row["column_name"]] = row["data_type"]
    return found


async def test_an_empty_database_is_brought_up_to_date_once(database_url: str) -> None:
    async with connect(database_url) as connection:
        pending = await pending_migrations(connection)
        assert pending[0] == "0001_initial"
        assert await migrate(connection) == pending
        assert await pending_migrations(connection) == []
        await Person.create(id=1)
        before = await tables(connection)
        assert await migrate(connection) == []
        assert await tables(connection) == before
    async with connect(database_url) as connection:
        assert await migrate(connection) == []
        assert await Person.all().count() == 1


async def test_the_migrations_make_exactly_what_the_models_say(
    database: BaseDBAsyncClient,
) -> None:
    apps = require_context().apps
    assert apps is not None
    assert await MigrationAutodetector(apps, APPS).changes() == []
    stored = await tables(database)
    for model in apps["models"].values():
        meta = model._meta
        columns = {meta.fields_map[name].source_field or name for name in meta.db_fields}
        assert set(stored[meta.db_table]) == columns


async def test_ids_and_amounts_are_stored_in_64_bits(database: BaseDBAsyncClient) -> None:
    stored = await tables(database)
    wide = {"bigint", "integer"} if database.capabilities.dialect == "sqlite" else {"bigint"}
    seen = 0
    for table, columns in stored.items():
        if table == "tortoise_migrations" or table.startswith("sqlite_"):
            continue
        for column, kind in columns.items():
            named = column == "id" or column.endswith(("_id", "_nanos", "_by"))
            if named and column not in ("request_id", "file_id", "source_file_id"):
                assert kind in wide, f"{table}.{column}"
                seen += 1
    assert seen > 30


async def test_a_database_of_a_newer_version_is_left_alone(database_url: str) -> None:
    async with connect(database_url) as connection:
        await migrate(connection)
        await connection.execute_query(
            "INSERT INTO tortoise_migrations (app, name, applied_at)"
            " VALUES ('models', '9999_from_the_future', CURRENT_TIMESTAMP)"
        )
        before = await tables(connection)
        with pytest.raises(DatabaseTooNew, match="9999_from_the_future") as raised:
            await migrate(connection)
        assert "\n" not in str(raised.value)
        assert await tables(connection) == before


async def test_a_migration_that_breaks_off_leaves_nothing_behind(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = MigrationExecutor.migrate

    async def broken_off(self: MigrationExecutor) -> None:
        await whole(self)
        raise OSError("No space left on device")

    async with connect(database_url) as connection:
        with monkeypatch.context() as patch:
            patch.setattr(MigrationExecutor, "migrate", broken_off)
            with pytest.raises(DatabaseUnusable, match="No space left on device"):
                await migrate(connection)
        assert "person" not in await tables(connection)
        assert await migrate(connection)


@pytest.mark.postgres_only
async def test_replicas_that_start_together_migrate_one_after_the_other(database_url: str) -> None:
    async def start() -> list[str]:
        async with connect(database_url) as connection:
            return await migrate(connection)

    applied = await asyncio.gather(*(start() for _ in range(4)))
    assert sorted(len(names) > 0 for names in applied) == [False, False, False, True]
