"""Transactions that a cancelled task cannot leave half open.

In tortoise-orm 1.1 a task that is cancelled while it begins a transaction keeps what it took:
SQLite's only connection, so that nothing moves any more, or one of PostgreSQL's pool. Tasks are
cancelled all the time: a /cancel, the end of a lease, a stop. This covers Tortoise's own
transactions too (`get_or_create` and the like).
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from tortoise.backends.base.client import (
    BaseDBAsyncClient,
    TransactionalDBClient,
    TransactionContext,
)


def guard_transactions(connection: BaseDBAsyncClient) -> None:
    """Let every transaction of a connection begin in a way that can be cancelled."""
    begin = connection._in_transaction
    vars(connection)["_in_transaction"] = lambda: _Guarded(begin())


class _Guarded(TransactionContext):
    """A transaction that gives back what it took when it does not come to begin."""

    def __init__(self, context: TransactionContext) -> None:
        self._context = context

    async def __aenter__(self) -> TransactionalDBClient:
        try:
            return await self._context.__aenter__()
        except BaseException:
            # The token is there from the moment on at which there is something to give back.
            if hasattr(self._context, "token"):
                with suppress(Exception):
                    await self._context.__aexit__(*sys.exc_info())
            raise

    async def __aexit__(self, *error: Any) -> None:
        await self._context.__aexit__(*error)
