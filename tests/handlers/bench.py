"""A bot that a test hands its updates one by one: when `hears` returns, all has been said.

For promises that something does *not* happen, which cannot be waited for. Everything else is
tested on a whole bot (`tests.support.running`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from telegram import Update

from bot.app import App, RunningBot, build_application
from bot.sandbox import Sandbox
from bot.sandbox.telegram import Chat, Message, Person, Query, TelegramWorld
from bot.services import Services
from tests.support.running import settings_for


@dataclass(slots=True)
class Bench:
    """The parts of a bot, and the sandbox at the other end of its wire. Nothing runs by itself."""

    sandbox: Sandbox
    parts: RunningBot

    @property
    def telegram(self) -> TelegramWorld:
        return self.sandbox.telegram

    @property
    def application(self) -> App:
        return self.parts.application

    @property
    def services(self) -> Services:
        return self.parts.services

    async def hears(self) -> None:
        """Let the bot act on all that people did since."""
        pending = self.telegram.updates.pending
        while pending:
            await self.is_told(pending.pop(0))

    async def is_told(self, update: dict[str, Any]) -> None:
        """Let the bot act on one raw update."""
        parsed = Update.de_json(update, self.application.bot)
        await self.application.process_update(parsed)

    async def hears_of(
        self, person: Person, text: str, chat: Chat | None = None, **how: Any
    ) -> list[Message]:
        """What the bot says, wherever, when this person writes this."""
        before = self._said()
        await person.sends(text, chat, **how)
        await self.hears()
        return self._said()[len(before) :]

    async def feels(self, person: Person, message: Message, data: str) -> Query:
        """A press of a button with any data, after the bot has acted on it."""
        query = await person.presses(message, data, stale=True, wait=False)
        await self.hears()
        return query

    def _said(self) -> list[Message]:
        chats = self.telegram.chats.values()
        said = [message for chat in chats for message in chat.messages if message.from_bot]
        return sorted(said, key=lambda message: message.date)


@asynccontextmanager
async def bench(sandbox: Sandbox, database_url: str, **settings: object) -> AsyncIterator[Bench]:
    """A bot that does nothing by itself; its models can be used inside."""
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        # What python-telegram-bot will do anyway; until then it warns.
        patch.setenv("PTB_TIMEDELTA", "true")
        made = build_application(settings_for(sandbox, database_url, **settings))
        parts = await stack.enter_async_context(made)
        await parts.application.initialize()
        stack.push_async_callback(parts.application.shutdown)
        stack.push_async_callback(parts.services.jobs.roster.aclose, 1.0)
        await parts.services.access.sync_admins()
        yield Bench(sandbox, parts)
