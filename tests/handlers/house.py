"""What the conversation tests do: people write, press and wait for what the bot says."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bot.money import nanos_from_decimal
from bot.sandbox import Sandbox
from bot.sandbox.fal import FalWorld
from bot.sandbox.telegram import Chat, Message, TelegramWorld
from bot.sandbox.telegram import Person as Visitor
from db.models import Person, Price
from db.sql import now
from tests.support.running import ADMIN_ID, Running, let_in

MEMBER_ID = 701


async def know_prices(fal: FalWorld) -> None:
    """Let the bot know fal's price list from the first moment, which it else reads meanwhile."""
    for endpoint, price in fal.prices.items():
        await Price.create(
            endpoint=endpoint,
            unit=price.unit,
            unit_price_nanos=nanos_from_decimal(price.unit_price),
            fetched_at=now(),
        )


@dataclass(slots=True)
class House:
    """The sandbox, and the bot that talks with it."""

    sandbox: Sandbox
    running: Running

    @property
    def telegram(self) -> TelegramWorld:
        return self.sandbox.telegram

    @property
    def fal(self) -> FalWorld:
        return self.sandbox.fal

    def stranger(self, name: str = "Mal", id: int = 666, language: str = "en") -> Visitor:  # noqa: A002
        """Somebody whom the bot does not know."""
        return self.telegram.person(id=id, name=name, username=name.lower(), language=language)

    async def admin(self, language: str = "en") -> Visitor:
        """The administrator, who has written to the bot before."""
        ada = self.telegram.person(id=ADMIN_ID, name="Ada", username="ada", language=language)
        await let_in(ada, is_admin=True)
        return ada

    async def member(
        self,
        name: str = "Bea",
        id: int = MEMBER_ID,  # noqa: A002
        language: str = "en",
        dollars: str | None = None,
    ) -> Visitor:
        """Somebody who is in, with a budget if `dollars` are given."""
        person = self.telegram.person(id=id, name=name, username=name.lower(), language=language)
        nanos = None if dollars is None else nanos_from_decimal(Decimal(dollars))
        await let_in(person, budget_nanos=nanos)
        return person

    async def answer(
        self, person: Visitor, text: str, chat: Chat | None = None, **how: Any
    ) -> Message:
        """What the bot says next, in the same chat, when this person writes this."""
        where = chat or person.chat
        await person.sends(text, where, **how)
        return await where.next_message()

    async def says(self, person: Visitor, text: str, **how: Any) -> str:
        """The words of the `answer`."""
        return (await self.answer(person, text, **how)).text

    async def figures(self, person: Visitor) -> Person:
        """A person as they stand in the database."""
        return await Person.get(id=person.id)
