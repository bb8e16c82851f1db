"""Transactions as steps: a generator that yields statements and is given their rows.

What is written so cannot wait for anything but the database, so that no call over the network ever
comes between, and nothing can be cancelled halfway: it has happened, or it has not. SQLite runs all
steps in one visit to its thread, which costs as much as a single statement would.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from functools import lru_cache
from typing import NamedTuple, TypeAlias, TypeVar

from tortoise.backends.base.client import BaseDBAsyncClient, TransactionalDBClient
from tortoise.backends.sqlite.client import SqliteClient
from tortoise.connection import get_connection
from tortoise.exceptions import IntegrityError, OperationalError
from tortoise.models import Model

from db.sql import Row, fetch, for_sqlite, in_transaction

T = TypeVar("T")


class Statement(NamedTuple):
    """One statement with PostgreSQL's placeholders (`$1`, …) and its values."""

    sql: str
    values: tuple[object, ...]


Steps: TypeAlias = Generator[Statement, list[Row], T]


def ask(sql: str, *values: object) -> Statement:
    """A statement to be yielded, `rows = yield ask("SELECT …", …)`.

    Use `RETURNING` where the number of changed rows matters: a row each.
    """
    return Statement(sql, values)


def insertion(new: Model, *, otherwise: str = "") -> Statement:
    """The INSERT of a new row that returns its key as `id`; `otherwise` is an ON CONFLICT."""
    model = type(new)
    fields = model._meta.fields_map
    values = {
        column: fields[name].to_db_value(value, new)
        for name, column in model._meta.fields_db_projection.items()
        if (value := getattr(new, name)) is not None
    }
    return Statement(_insertion(model, tuple(values), otherwise), tuple(values.values()))


@lru_cache(maxsize=256)
def _insertion(model: type[Model], columns: tuple[str, ...], otherwise: str) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    table, key = model._meta.db_table, model._meta.db_pk_column
    return f'INSERT INTO "{table}" ({names}) VALUES ({places}) {otherwise} RETURNING "{key}" AS id'


async def at_once(steps: Steps[T]) -> T:
    """Run steps as one transaction; rolled back for whatever they raise. Returns what they return.

    A task that is cancelled meanwhile does not know whether it has happened.
    """
    client = get_connection("default")
    if isinstance(client, SqliteClient) and not isinstance(client, TransactionalDBClient):
        return await _on_sqlite(client, steps)
    async with in_transaction() as transaction:
        return await within(transaction, steps)


async def within(transaction: BaseDBAsyncClient, steps: Steps[T]) -> T:
    """Run steps in a transaction that has begun already."""
    try:
        sql, values = next(steps)
        while True:
            sql, values = steps.send(await fetch(transaction, sql, *values))
    except StopIteration as end:
        answer: T = end.value
        return answer


async def _on_sqlite(client: SqliteClient, steps: Steps[T]) -> T:
    async with client.acquire_connection() as connection:
        # aiosqlite has no public way to hand a function to its thread.
        answer: T = await connection._execute(_in_thread, connection._conn, steps)
        return answer


def _in_thread(database: sqlite3.Connection, steps: Steps[T]) -> T:
    """Run steps between BEGIN and COMMIT, with errors as Tortoise raises them."""
    try:
        database.execute("BEGIN IMMEDIATE")
        try:
            answer = _through(database, steps)
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
    except sqlite3.OperationalError as error:
        raise OperationalError(error) from error
    except sqlite3.IntegrityError as error:
        raise IntegrityError(error) from error
    return answer


def _through(database: sqlite3.Connection, steps: Steps[T]) -> T:
    try:
        sql, values = next(steps)
        while True:
            rows = database.execute(for_sqlite(sql), values).fetchall()
            sql, values = steps.send([dict(row) for row in rows])
    except StopIteration as end:
        answer: T = end.value
        return answer
