"""A whole bot for a test: `bot.serving.run`, its own database, and the sandbox at the other end.

    async with running_bot(sandbox, database_url, max_active_jobs=300) as running:
        await running.let_in(ada, budget_nanos=10**9)
        await ada.sends("/image a red fox")

Inside, the test uses the models of `db` on the bot's own connection: SQLite is for one process
with one connection, and a second one would meet locks that the bot never meets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Person as TelegramPerson
from bot.serving import run
from bot.settings import Settings, load_settings
from db import ledger
from db.audit import verify
from db.connection import connect, migrate
from db.models import Access, ContentJob, JobState, Person
from tests.support.waiting import eventually

# Nobody in particular; `ADMIN_IDS` cannot be empty.
ADMIN_ID = 900


@dataclass(slots=True)
class Running:
    """A bot that serves; `connection` is the one that it uses."""

    settings: Settings
    connection: BaseDBAsyncClient
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start, or start again; return when it reads updates. Raises what keeps it from it."""
        self._stop = asyncio.Event()
        started = asyncio.Event()
        task = asyncio.create_task(run(self.settings, self._stop, started), name="the bot")
        self._task = task
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not started.is_set():
            self._task = None
            await task
            raise AssertionError("the bot ended before it served")

    async def stop(self) -> None:
        """Ask it to stop, as SIGTERM does, and wait for its end. Raises what it ends with."""
        task, self._task = self._task, None
        if task is not None:
            self._stop.set()
            await task

    async def kill(self) -> None:
        """End it as SIGKILL does, as far as that goes in the same process."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def let_in(
        self, *people: TelegramPerson, budget_nanos: int | None = None
    ) -> list[Person]:
        """Approve people who have written to the bot before, with a budget each if one is given."""
        return [await let_in(person, budget_nanos=budget_nanos) for person in people]

    async def all_shown(self, jobs: int = 1, timeout: float = 20) -> list[ContentJob]:
        """All jobs, oldest first, once there are so many and the outcome of each is recorded.

        A picture is in the chat a moment before the bot has written down that it is.
        """

        async def shown() -> bool:
            enough = await ContentJob.all().count() >= jobs
            return enough and not await ContentJob.filter(shown_at=None).exists()

        await eventually(shown, timeout, f"{jobs} jobs whose outcome is recorded")
        return await ContentJob.all().order_by("id")


@asynccontextmanager
async def running_bot(
    sandbox: Sandbox, database_url: str, *, start: bool = True, **settings: object
) -> AsyncIterator[Running]:
    """A bot against the sandbox, stopped at the end. `settings` by their names, `language="fr"`.

    With `start=False` the database is ready and the bot waits for `start()`.
    """
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        # What python-telegram-bot will do anyway; until then it warns.
        patch.setenv("PTB_TIMEDELTA", "true")
        # Nobody else writes meanwhile whose updates could be kept with the same commit.
        patch.setattr("bot.serving.POLL_EVERY_SECONDS", 0.0)
        for module in ("bot.screen.updates", "bot.screen.board"):
            patch.setattr(f"{module}.AFTERWARDS_SECONDS", 0.0)
        connection = await stack.enter_async_context(connect(database_url))
        await migrate(connection)

        @asynccontextmanager
        async def opened(url: str) -> AsyncIterator[BaseDBAsyncClient]:
            assert url == database_url
            yield connection

        patch.setattr("bot.app.connect", opened)
        running = Running(settings_for(sandbox, database_url, **settings), connection)
        try:
            if start:
                await running.start()
            yield running
        finally:
            await running.stop()


def settings_for(sandbox: Sandbox, database_url: str, **changes: object) -> Settings:
    """The settings of a bot that talks to the sandbox and to nobody else."""
    environment = {
        **sandbox.environment(),
        "ADMIN_IDS": str(ADMIN_ID),
        "DATABASE_URL": database_url,
        "LISTEN": "",
        **{name.upper(): str(value) for name, value in changes.items()},
    }
    return load_settings(None, environment)


async def let_in(
    person: TelegramPerson, *, budget_nanos: int | None = None, is_admin: bool = False
) -> Person:
    """Approve a person in the database, without a conversation about it."""
    person.started = True
    stored, _ = await Person.update_or_create(
        id=person.id,
        defaults={
            "name": person.first_name,
            "username": person.username,
            "client_language": person.language,
            "access": Access.APPROVED,
            "is_admin": is_admin,
        },
    )
    if budget_nanos is not None:
        origin = f"test:{person.id}:{stored.budget_number}"
        await ledger.set_budget(person.id, budget_nanos, actor_id=ADMIN_ID, origin=origin)
        await stored.refresh_from_db()
    return stored


async def assert_books(connection: BaseDBAsyncClient) -> None:
    """Every counter equals its entries, and nothing is held that is not under way."""
    assert await verify(connection) == []
    ended = (JobState.FINISHED, JobState.DELIVERED, JobState.FAILED, JobState.CANCELLED)
    assert not await ContentJob.filter(is_held=True, state__in=ended).exists()
