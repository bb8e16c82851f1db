"""All of a database into an empty one: from SQLite to PostgreSQL, back, or to the same kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import OperationalError
from tortoise.fields import Field
from tortoise.models import Model

from db import models
from db.audit import verify
from db.connection import (
    POSTGRES_CREDENTIALS,
    STORAGE_ERRORS,
    connect,
    is_sqlite,
    migrate,
    sqlite_path,
)
from db.errors import DatabaseError, DatabaseUnusable
from db.lock import only_process
from db.sql import Row, fetch, in_transaction

BATCH_ROWS = 1000
# A big table is read and proved in one statement, which takes as long as it takes.
LONGEST_STATEMENT_SECONDS = 24 * 60 * 60


class CopyRefused(DatabaseError):
    """Nothing was copied. The message is one sentence without secrets."""


async def copy_database(source_url: str, target_url: str) -> dict[str, int]:
    """Copy every row, and prove the copy; return the number of rows by table.

    The source is read at one moment and not changed. The target gets the schema, then all rows in
    one transaction, which ends only if the counts are the same and the books hold (`verify`).
    Raises `CopyRefused` for a source that is in use or of another version, a target that is not
    empty, and whatever goes wrong on the way; then the target has no rows.
    """
    source_url, target_url = _checked("FROM", source_url), _checked("TO", target_url)
    if source_url == target_url:
        raise CopyRefused("FROM and TO are the same database.")
    async with AsyncExitStack() as stack:
        with _naming("FROM"):
            path = sqlite_path(source_url)
            if path is not None and not path.is_file():
                raise DatabaseUnusable("there is no such file.")
            stack.enter_context(only_process(source_url))
            await stack.enter_async_context(connect(_patient(source_url), read_only=True))
            source = await stack.enter_async_context(in_transaction())
            await _freeze(source)
            version = await _version(source)
        with _naming("TO"):
            stack.enter_context(only_process(target_url))
            connection = await stack.enter_async_context(connect(_patient(target_url)))
            await _refuse_rows(connection)
            await migrate(connection)
            if await _version(connection) != version:
                raise DatabaseUnusable(
                    "this program makes another version of the database than FROM is; run "
                    "`migrate` on FROM first, or update the program."
                )
            async with in_transaction() as target:
                return await _copy_all(source, target)


async def _copy_all(source: BaseDBAsyncClient, target: BaseDBAsyncClient) -> dict[str, int]:
    if target.capabilities.dialect == "postgres":
        await fetch(target, "SET LOCAL statement_timeout = 0")
    counts = {}
    for model in tables():
        count = 0
        async for rows in _batches(source, model):
            with _naming("TO"):
                await _insert(target, model, rows)
            count += len(rows)
        with _naming("TO"):
            await _go_on_counting(target, model)
        counts[model._meta.db_table] = count
        for name, connection in (("FROM", source), ("TO", target)):
            with _naming(name):
                stored = await _count(connection, model)
            if stored != count:
                table = model._meta.db_table
                raise CopyRefused(
                    f"{table}: {count} rows were copied, {name} has {stored}; nothing was kept."
                )
    with _naming("TO"):
        findings = await verify(target)
    if findings:
        raise CopyRefused(f"The books do not hold ({findings[0]}); nothing was kept.")
    return counts


def tables() -> list[type[Model]]:
    """All tables as models, each after those that it refers to (which is how they are written)."""
    return [
        kind
        for kind in vars(models).values()
        if isinstance(kind, type) and issubclass(kind, Model) and kind is not Model
    ]


def _checked(name: str, url: str) -> str:
    """The URL with one spelling of its scheme; its message repeats nothing of it."""
    url = url.strip()
    if url.startswith("postgresql://"):
        url = "postgres" + url.removeprefix("postgresql")
    try:
        named = len(urlsplit(url).path) > 1
    except ValueError:
        named = False
    is_file = is_sqlite(url) and sqlite_path(url) not in (None, Path())
    if not is_file and not (url.startswith("postgres://") and named):
        raise CopyRefused(
            f"{name}: expected sqlite://path/to/file or postgres://user:password@host/database."
        )
    return url


def _patient(url: str) -> str:
    """The URL for a connection that waits for long statements."""
    if is_sqlite(url):
        return url
    return f"{url}{'&' if '?' in url else '?'}command_timeout={LONGEST_STATEMENT_SECONDS}"


async def _freeze(source: BaseDBAsyncClient) -> None:
    """See the source as it is at this moment, however long it takes. Refuse one in use."""
    if source.capabilities.dialect != "postgres":
        return  # a transaction of SQLite's is that anyway, and its lock is held
    await fetch(source, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    await fetch(source, "SET LOCAL statement_timeout = 0")
    others = await fetch(
        source,
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = $1 AND pid <> pg_backend_pid()",
        POSTGRES_CREDENTIALS["server_settings"]["application_name"],
    )
    if others:
        raise DatabaseUnusable("Another process uses this database: stop it first.")


async def _version(connection: BaseDBAsyncClient) -> set[str]:
    """The migrations that made a database."""
    try:
        rows = await fetch(connection, "SELECT app, name FROM tortoise_migrations")
    except OperationalError as error:
        raise DatabaseUnusable("this is no database of the bot.") from error
    return {f"{row['app']}.{row['name']}" for row in rows}


async def _refuse_rows(target: BaseDBAsyncClient) -> None:
    for model in tables():
        try:
            rows = await fetch(target, f'SELECT 1 FROM "{model._meta.db_table}" LIMIT 1')
        except OperationalError:
            continue  # the table is not there yet
        if rows:
            raise DatabaseUnusable("this database is not empty; nothing is copied over anything.")


async def _batches(source: BaseDBAsyncClient, model: type[Model]) -> AsyncIterator[list[Row]]:
    """The rows of a table as the database gives them, in the order of the primary key."""
    key = model._meta.db_pk_column
    start = f'SELECT * FROM "{model._meta.db_table}"'
    order = f'ORDER BY "{key}" LIMIT {BATCH_ROWS}'
    with _naming("FROM"):
        rows = await fetch(source, f"{start} {order}")
    while rows:
        yield rows
        with _naming("FROM"):
            rows = await fetch(source, f'{start} WHERE "{key}" > $1 {order}', rows[-1][key])


async def _insert(target: BaseDBAsyncClient, model: type[Model], rows: list[Row]) -> None:
    fields = _fields(model)
    is_postgres = target.capabilities.dialect == "postgres"
    columns = ", ".join(f'"{column}"' for column in fields)
    places = ", ".join(f"${i}" if is_postgres else "?" for i in range(1, len(fields) + 1))
    await target.execute_many(
        f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES ({places})',
        [
            [
                field.to_db_value(field.to_python_value(row[column]), model)
                for column, field in fields.items()
            ]
            for row in rows
        ],
    )


def _fields(model: type[Model]) -> dict[str, Field[Any]]:
    """The field of each column: the databases write moments, booleans and JSON differently."""
    meta = model._meta
    return {
        column: meta.fields_map[name] for name, column in sorted(meta.fields_db_projection.items())
    }


async def _go_on_counting(target: BaseDBAsyncClient, model: type[Model]) -> None:
    """Let PostgreSQL's sequence go on after the highest id; SQLite does it by itself."""
    key, table = model._meta.db_pk_column, model._meta.db_table
    if target.capabilities.dialect != "postgres" or not model._meta.pk.generated:
        return
    await fetch(
        target,
        "SELECT setval(pg_get_serial_sequence($1, $2), MAX(id)) FROM "
        f'(SELECT MAX("{key}") AS id FROM "{table}") AS last WHERE id IS NOT NULL',
        table,
        key,
    )


async def _count(connection: BaseDBAsyncClient, model: type[Model]) -> int:
    rows = await fetch(connection, f'SELECT COUNT(*) AS count FROM "{model._meta.db_table}"')
    return int(rows[0]["count"])


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Say of which of the two databases a sentence is."""
    try:
        yield
    except CopyRefused:
        raise
    except DatabaseError as error:
        raise CopyRefused(f"{name}: {error}") from error
    except STORAGE_ERRORS as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise CopyRefused(f"{name}: {words[0]}; nothing was kept.") from error
