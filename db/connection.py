"""Opening the database and bringing its schema up to date.

SQLite by default, PostgreSQL (asyncpg) by URL. The schema changes only through the native
migrations of tortoise-orm in `db/migrations`, all pending ones in one transaction.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.config_generator import expand_db_url
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.context import TortoiseContext
from tortoise.exceptions import BaseORMException, DBConnectionError
from tortoise.migrations.executor import MigrationExecutor

from db.errors import DatabaseTooNew, DatabaseUnusable
from db.sql import in_transaction
from db.transactions import guard_transactions

APPS = {"models": {"models": ["db.models"], "migrations": "db.migrations"}}

SQLITE_PRAGMAS = {
    # WAL with FULL: a commit that was answered survives a power cut (SQLite, PRAGMA synchronous).
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "busy_timeout": 10_000,
    # Tortoise would have the log cut to 16 KiB at every checkpoint, and a file that grows again is
    # slower to bring to the disk than one that is written over.
    "journal_size_limit": 16 * 1024 * 1024,
}

POSTGRES_CREDENTIALS: dict[str, Any] = {
    "minsize": 1,
    "maxsize": 10,
    "command_timeout": 30,
    "server_settings": {"statement_timeout": "30000", "application_name": "fal-budget-bot"},
}

# Any fixed number: replicas that start together migrate one after the other.
MIGRATION_LOCK = 0x0FA1B07

# PostgreSQL in a container often starts together with the bot, and a moment later.
NOT_UP_YET = (ConnectionError, asyncpg.CannotConnectNowError)
REACH_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0)

# The way to PostgreSQL broke, or there is none at present. SQLite has no way that breaks.
LOST_CONNECTION = (
    *(ConnectionError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError),
    *(asyncpg.OperatorInterventionError, DBConnectionError),
)
DATABASE_ERRORS = (BaseORMException, sqlite3.Error, asyncpg.PostgresError)
STORAGE_ERRORS = (*DATABASE_ERRORS, OSError)


def is_sqlite(url: str) -> bool:
    """Whether a database URL means SQLite."""
    return url.startswith("sqlite:")


def tortoise_config(url: str, *, read_only: bool = False) -> dict[str, Any]:
    """The tortoise-orm configuration for a database URL (`sqlite://…` or `postgres://…`)."""
    connection = expand_db_url(url)
    if is_sqlite(url):
        connection["credentials"].update(SQLITE_PRAGMAS)
    else:
        connection["credentials"] = {**POSTGRES_CREDENTIALS, **connection["credentials"]}
        if read_only:
            settings = connection["credentials"]["server_settings"]
            connection["credentials"]["server_settings"] = {
                **settings,
                "default_transaction_read_only": "on",
            }
    return {"connections": {"default": connection}, "apps": APPS}


# For tortoise's own command line (`tortoise makemigrations`), which reads a name of a module.
TORTOISE_ORM = tortoise_config("sqlite://:memory:")


def sqlite_path(url: str) -> Path | None:
    """The file behind an SQLite URL; None for PostgreSQL and for a database in memory."""
    if not is_sqlite(url):
        return None
    path = url.removeprefix("sqlite://").partition("?")[0]
    return None if path == ":memory:" else Path(path)


@asynccontextmanager
async def connect(url: str, *, read_only: bool = False) -> AsyncIterator[BaseDBAsyncClient]:
    """Open the database at `url` for the code inside, without touching its schema.

    The folder of an SQLite file is created. With `read_only` nothing at all is written, not
    even by mistake. Raises `DatabaseUnusable` if it cannot be opened.
    """
    # Tortoise keeps statements by the name of the connection, whatever database is behind it.
    EXECUTOR_CACHE.clear()
    async with TortoiseContext() as context:
        try:
            path = sqlite_path(url)
            if path is not None and not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
            if path is not None:
                _probe(path, read_only=read_only)
            await context.init(config=tortoise_config(url, read_only=read_only))
            connection = context.db()
            guard_transactions(connection)
            await _reach(connection)
            if read_only and is_sqlite(url):
                await connection.execute_query("PRAGMA query_only = ON")
        except STORAGE_ERRORS as error:
            raise DatabaseUnusable(_reason(error, "The database cannot be opened")) from error
        yield connection


async def _reach(connection: BaseDBAsyncClient) -> None:
    """Ask for an answer; a server that is only just starting gets a few seconds for it."""
    for pause in REACH_PAUSES_SECONDS:
        try:
            await connection.execute_query("SELECT 1")
        except NOT_UP_YET:
            await asyncio.sleep(pause)
        else:
            return
    await connection.execute_query("SELECT 1")


async def migrate(connection: BaseDBAsyncClient) -> list[str]:
    """Apply every pending migration in one transaction; return their names.

    Raises `DatabaseTooNew` when the database knows a migration that this program does not,
    `DatabaseUnusable` when it cannot be read or written.
    """
    try:
        async with in_transaction() as transaction:
            if transaction.capabilities.dialect == "postgres":
                await transaction.execute_query(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            else:
                # `sqlite3.Cursor.executescript`, which Tortoise would use, commits first.
                vars(transaction)["execute_script"] = transaction.execute_query
            executor = MigrationExecutor(transaction, APPS)
            await executor.recorder.ensure_schema(executor._schema_editor(atomic=False))
            # Changes nothing, but finds out now whether anything could be changed.
            await transaction.execute_query(
                "UPDATE tortoise_migrations SET name = name WHERE 1 = 0"
            )
            applied = {key.name for key in await executor.recorder.applied_migrations()}
            await executor.loader.build_graph()
            known = [key.name for key in executor.loader.graph.nodes]
            unknown = sorted(applied - set(known))
            if unknown:
                raise DatabaseTooNew(
                    f"The database was made by a newer version (it has the step {unknown[-1]}); "
                    "update the program."
                )
            pending = sorted(set(known) - applied)
            if pending:
                await executor.migrate()
            return pending
    except STORAGE_ERRORS as error:
        raise DatabaseUnusable(_reason(error, "The database cannot be updated")) from error


async def pending_migrations(connection: BaseDBAsyncClient) -> list[str]:
    """The names of the migrations that are not applied yet; reads only."""
    executor = MigrationExecutor(connection, APPS)
    applied = {key.name for key in await executor.recorder.applied_migrations()}
    await executor.loader.build_graph()
    return sorted({key.name for key in executor.loader.graph.nodes} - applied)


@contextmanager
def told_in_a_sentence(sentence: str) -> Iterator[None]:
    """Raise `DatabaseUnusable` with `sentence` for whatever the database raises inside."""
    try:
        yield
    except DATABASE_ERRORS as error:
        raise DatabaseUnusable(_reason(error, sentence)) from error


def _probe(path: Path, *, read_only: bool) -> None:
    """Raise what SQLite raises for a file that it cannot open, or read-only that is not there.

    aiosqlite would raise it too, and leave a thread behind that fails when the program ends.
    """
    mode = "ro" if read_only else "rwc"
    url = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(url, uri=True)) as connection:
        connection.execute("PRAGMA schema_version")


def _reason(error: BaseException, sentence: str) -> str:
    """One sentence for the console; the driver's own words, which name no secret, in brackets."""
    words = str(error).strip().splitlines()
    return f"{sentence} ({words[0] if words else type(error).__name__})."
