"""A process that dies between any two steps of what it does for people.

A step is what leaves a trace outside of the process: a write to the database that stands (one
statement, or the commit of a transaction) and a request to Telegram or fal. `Mortal` counts the
steps made for people (updates, jobs, notices; not the painter and the like, which only decorate)
and ends everything after the one it was told to. From then on no more steps are made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import httpx
import pytest
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.asyncpg.client import TransactionWrapper as PostgresTransaction
from tortoise.backends.base.client import TransactionalDBClient
from tortoise.backends.sqlite.client import SqliteClient
from tortoise.backends.sqlite.client import SqliteTransactionWrapper as SqliteTransaction

from bot.jobs import Jobs
from bot.notices import Notices
from bot.screen.updates import PersonalOrder
from bot.screen.wire import AiohttpRequest
from db import steps

Method = Callable[..., Awaitable[Any]]

WRITES = ("INSERT", "UPDATE", "DELETE")
# Where the work for people begins; everything that it starts belongs to it.
WORK = ((PersonalOrder, "do_process_update"), (Jobs, "_run"), (Notices, "deliver_due"))

_for_people: ContextVar[bool] = ContextVar("for_people", default=False)


class Killed(BaseException):
    """The process is no more."""


class Mortal:
    """Decides when the process dies; `steps` are those that it made, in words."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self.died = asyncio.Event()
        self._last: int | None = None
        for owner, name in WORK:
            patch.setattr(owner, name, self._beginning(getattr(owner, name)))
        for client in (SqliteClient, AsyncpgDBClient):
            for name in ("execute_query", "execute_query_dict", "execute_insert"):
                patch.setattr(client, name, self._statement(getattr(client, name)))
        for transaction in (SqliteTransaction, PostgresTransaction):
            patch.setattr(transaction, "commit", self._commit(transaction.commit))
        patch.setattr("db.steps._on_sqlite", self._commit(steps._on_sqlite))
        to_fal = httpx.AsyncHTTPTransport
        request = self._request(to_fal.handle_async_request)
        patch.setattr(to_fal, "handle_async_request", request)
        patch.setattr(AiohttpRequest, "do_request", self._call(AiohttpRequest.do_request))

    def live(self, steps: int | None = None) -> None:
        """Live on, forever or for so many more steps."""
        self.steps.clear()
        self.died.clear()
        self._last = steps
        if steps == 0:
            self.died.set()

    def _before(self) -> bool:
        """Whether this is a step; raises `Killed` if there are no more."""
        if _for_people.get() and self.died.is_set():
            raise Killed
        return _for_people.get()

    def _after(self, words: str) -> None:
        self.steps.append(words)
        if self._last is not None and len(self.steps) >= self._last:
            self.died.set()
            raise Killed

    def _beginning(self, original: Method) -> Method:
        async def begin(*args: Any, **kwargs: Any) -> Any:
            token = _for_people.set(True)
            try:
                return await original(*args, **kwargs)
            finally:
                _for_people.reset(token)

        return begin

    def _statement(self, original: Method) -> Method:
        async def execute(client: Any, query: str, *values: Any) -> Any:
            counts = self._before()
            result = await original(client, query, *values)
            stands = not isinstance(client, TransactionalDBClient)
            if counts and stands and query.lstrip().startswith(WRITES):
                self._after(" ".join(query.split()[:3]))
            return result

        return execute

    def _commit(self, original: Method) -> Method:
        async def commit(*transaction: Any) -> Any:
            counts = self._before()
            answer = await original(*transaction)
            if counts:
                self._after("COMMIT")
            return answer

        return commit

    def _request(self, original: Method) -> Method:
        async def send(transport: Any, request: httpx.Request) -> httpx.Response:
            counts = self._before()
            response: httpx.Response = await original(transport, request)
            if counts:
                try:
                    self._after(f"{request.method} {request.url.path}")
                except Killed:
                    await response.aclose()
                    raise
            return response

        return send

    def _call(self, original: Method) -> Method:
        async def call(wire: Any, url: str, method: str, *args: Any, **kwargs: Any) -> Any:
            counts = self._before()
            answer = await original(wire, url, method, *args, **kwargs)
            if counts:
                self._after(f"{method} /{url.rpartition('/')[2]}")
            return answer

        return call
