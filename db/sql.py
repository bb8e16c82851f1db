"""The few lines between our own SQL and the two databases."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from tortoise import transactions
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.models import Model

Row = dict[str, Any]


async def fetch(connection: BaseDBAsyncClient, sql: str, *values: object) -> list[Row]:
    """Run one statement with PostgreSQL's placeholders (`$1`, …) and return its rows.

    Use `RETURNING` where the number of changed rows matters: a row each.
    """
    if connection.capabilities.dialect == "sqlite":
        sql = _for_sqlite(sql)
    return await connection.execute_query_dict(sql, list(values))


@asynccontextmanager
async def in_transaction() -> AsyncIterator[BaseDBAsyncClient]:
    """A transaction: committed at the end, rolled back for an error or a cancelled task.

    Tortoise's own does not give back its connection when it is cancelled while it begins: with
    SQLite's one connection nothing would move any more, PostgreSQL's pool would lose one.
    """
    transaction = transactions.in_transaction()
    try:
        connection = await transaction.__aenter__()
    except BaseException:
        # The token is there from the moment on at which there is something to give back.
        if hasattr(transaction, "token"):
            with suppress(Exception):
                await transaction.__aexit__(*sys.exc_info())
        raise
    try:
        yield connection
    except BaseException:
        await transaction.__aexit__(*sys.exc_info())
        raise
    else:
        await transaction.__aexit__(None, None, None)


@lru_cache(maxsize=256)
def _for_sqlite(sql: str) -> str:
    return re.sub(r"\$(\d+)", r"?\1", sql)


def assignments(model: type[Model], changes: Row, *, first: int) -> tuple[str, list[object]]:
    """`"a" = $3, "b" = $4` and the values as the database stores them.

    `first` is the number of the first placeholder. Raises KeyError for a column that the
    model does not have, so that no other text ever becomes part of a statement.
    """
    fields = model._meta.fields_map
    columns = ", ".join(f'"{name}" = ${first + i}' for i, name in enumerate(changes))
    return columns, [fields[name].to_db_value(value, model) for name, value in changes.items()]


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)
