"""The few lines between our own SQL and the two databases."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient, TransactionContext
from tortoise.connection import get_connection
from tortoise.models import Model

Row = dict[str, Any]


async def fetch(connection: BaseDBAsyncClient, sql: str, *values: object) -> list[Row]:
    """Run one statement with PostgreSQL's placeholders (`$1`, …) and return its rows.

    Use `RETURNING` where the number of changed rows matters: a row each.
    """
    if connection.capabilities.dialect == "sqlite":
        sql = for_sqlite(sql)
    return await connection.execute_query_dict(sql, list(values))


def in_transaction() -> TransactionContext:
    """A transaction: committed at the end, rolled back for an error or a cancelled task.

    What happens to a task that is cancelled while it begins: `db.transactions`.
    """
    return get_connection("default")._in_transaction()


@lru_cache(maxsize=1024)
def rows_of(count: int, columns: int, *, first: int = 1, kind: str | None = None) -> str:
    """Placeholders for so many rows, `($1, $2), ($3, $4)`; `first` is the number of the first.

    `kind` says of what type they are, where PostgreSQL cannot tell.
    """
    template = "${}" if kind is None else f"CAST(${{}} AS {kind})"
    places = (template.format(number) for number in range(first, first + count * columns))
    return ", ".join(f"({', '.join(islice(places, columns))})" for _ in range(count))


@lru_cache(maxsize=1024)
def for_sqlite(sql: str) -> str:
    """A statement with SQLite's placeholders, `?1` for `$1`."""
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
