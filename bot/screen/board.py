"""What `/budget` says, and the message that goes on saying it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from telegram.error import BadRequest, ChatMigrated, Forbidden, TelegramError
from telegram.ext import ExtBot
from tortoise.expressions import F, Q

from bot.budget import bar, forecast_lines
from bot.catalog import Catalog
from bot.prices import PriceBook
from bot.screen.chat import edit_text, is_not_modified, move_chat
from bot.spending import PACE_DAYS, forecast_of
from bot.voice import Voices, figures_of
from db.live import Shown, follow_messages
from db.models import LiveMessage, Person
from db.reads import spent_since
from db.sql import now
from db.together import AFTERWARDS_SECONDS, Together

logger = logging.getLogger(__name__)


# How long a pace is taken for the present one while nothing is spent, and of how many people.
KEPT_FOR = timedelta(hours=1)
MOST_KEPT = 10_000


class _Lately(NamedTuple):
    """What somebody had spent lately when their figures had this version."""

    version: int
    until: datetime
    nanos: int


class BudgetBoard:
    """Writes the budget of a person, and keeps the last such message of each chat true."""

    def __init__(
        self, bot: ExtBot[Any], voices: Voices, catalog: Catalog, prices: PriceBook
    ) -> None:
        self._bot = bot
        self._voices = voices
        self._catalog = catalog
        self._prices = prices
        self._follow = Together(follow_messages, gather_seconds=AFTERWARDS_SECONDS)
        self._spent_since = Together(spent_since)
        self._lately: dict[int, _Lately] = {}

    async def text(self, person: Person) -> str:
        """The budget of a person in their language, HTML."""
        voice = self._voices.of(person)
        texts = voice.texts
        lines: list[str] = [texts("budget.title")]
        figures = figures_of(person)
        if person.budget_nanos is None:
            lines.append(texts("budget.none"))
        else:
            lines.append(bar(figures))
            lines.append(voice.spent_since(person))
        if person.held_nanos:
            lines.append(texts("budget.held", amount=voice.money(person.held_nanos)))
        if person.total_spent_nanos != person.spent_nanos:
            lines.append(texts("budget.total", amount=voice.money(person.total_spent_nanos)))
        lines += await self.forecast(person)
        return "\n".join([*lines, *voice.rate(), "", voice.status_line(person)])

    async def forecast(self, person: Person) -> list[str]:
        """How long the budget lasts, in sentences free of markup."""
        spent_nanos = await self._spent_lately(person)
        forecast = await forecast_of(person, spent_nanos, self._catalog, self._prices)
        return forecast_lines(forecast, self._voices.of(person).texts)

    async def _spent_lately(self, person: Person) -> int:
        """What a person spent in the last days, in nano-dollars, as of an hour ago at most."""
        moment = now()
        kept = self._lately.get(person.id)
        if kept is None or kept.version != person.version or kept.until <= moment:
            nanos = await self._spent_since((person.id, moment - timedelta(days=PACE_DAYS)))
            if len(self._lately) >= MOST_KEPT:
                self._lately.clear()
            kept = self._lately[person.id] = _Lately(person.version, moment + KEPT_FOR, nanos)
        return kept.nanos

    async def follow(self, chat_id: int, message_id: int, person: Person) -> None:
        """From now on this message is the one of its chat that follows the figures."""
        await self._follow(Shown(chat_id, person.id, message_id, person.version))

    async def refresh(self) -> int:
        """Edit the messages whose figures have changed, and only those; return how many."""
        stale = (
            await LiveMessage.filter(~Q(shown_version=F("person__version")))
            .select_related("person")
            .limit(200)
        )
        edited = 0
        for message in stale:
            edited += await self._refresh(message)
        return edited

    async def _refresh(self, message: LiveMessage) -> bool:
        person = await message.person
        try:
            await edit_text(self._bot, message.chat_id, message.message_id, await self.text(person))
        except Forbidden:
            await message.delete()
            return False
        except ChatMigrated as error:
            await move_chat(message.chat_id, error.new_chat_id)
            return False
        except BadRequest as error:
            if not is_not_modified(error):
                logger.info("a /budget message is followed no more: %s", error.message)
                await LiveMessage.filter(
                    chat_id=message.chat_id, message_id=message.message_id
                ).delete()
                return False
        except TelegramError as error:
            logger.info("a /budget message not edited: %s", type(error).__name__)
            return False
        await LiveMessage.filter(chat_id=message.chat_id, message_id=message.message_id).update(
            shown_version=person.version
        )
        return True
