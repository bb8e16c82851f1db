"""Who writes to the bot while it lives and dies, and what they wish for."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Chat, Message, Person

ADMIN_ID = 900
MEDIA = ("photo", "video", "document")
CANCEL = "cancel:"
# The fourth picture at $0.025 brings a budget of $0.13 below 25 %, the fifth below 10 %.
PICTURES_TO_THE_END = 5
PICTURES_TO_AN_ALERT = (4, 5)


@dataclass(eq=False)
class Wish:
    """A picture or video that somebody asked for; `token` stands in its prompt and in no other."""

    token: str
    kind: str
    person: Person
    chat: Chat

    def shown(self) -> list[Message]:
        """What the bot shows of it, deleted or not, oldest first."""
        return [m for m in self.chat.messages if m.from_bot and self.token in m.text]

    def media(self) -> list[Message]:
        """Where its result stands."""
        return [message for message in self.shown() if message.kind in MEDIA]

    def told(self) -> bool:
        """Whether its end stands in the chat, and Cancel no more under it."""
        return any(
            not any(
                button.get("callback_data", "").startswith(CANCEL) for button in message.buttons
            )
            for message in self.shown()
        )


@dataclass(eq=False)
class Spender:
    """Somebody whose budget runs out again and again, so that alerts are due.

    Each budget is an amount that was never there before, so that an alert names its crossing.
    """

    person: Person
    budgets: dict[str, list[Wish]] = field(default_factory=dict)

    def pictures(self) -> list[Wish] | None:
        """What was asked for under the present budget; None before the first one."""
        return list(self.budgets.values())[-1] if self.budgets else None


class Story:
    """Everybody who writes to the bot; remembers what they asked for."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.wishes: list[Wish] = []
        world = sandbox.telegram
        self.admin = world.person(id=ADMIN_ID, name="Grace", username="grace")
        self.people = [
            world.person(id=1001 + number, name=name, username=name.lower())
            for number, name in enumerate(["Ada", "Ben", "Cleo", "Dora", "Emil", "Fay"])
        ]
        self.spenders = [Spender(person) for person in self.people[:2]]
        self.group = world.group("The studio", self.people[2:4])

    async def begin(self) -> None:
        """Everybody is let in. The bot is there and stays there for this."""
        world = self.sandbox.telegram
        await self.admin.sends("/start")
        await self.admin.chat.wait_for_text("Hello Grace")
        for person in self.people:
            await person.sends("/start")
            await self.admin.chat.wait_for_text(f"{person.first_name}.*would like")
            await self.admin.sends(f"/approve {person.id}")
            await person.chat.wait_for_text("You are in")
        await self.people[4].sends("/setbudget 10000")
        await self.people[4].chat.wait_for_text("Your budget is now")
        await world.wait_until_heard()

    async def act(self, dice: random.Random) -> None:
        """One thing that somebody does."""
        acts = (
            [self._picture] * 6
            + [self._video] * 3
            + [self._spend] * 5
            + [self._cancel] * 3
            + [self._look]
        )
        await dice.choice(acts)(dice)

    # -- what people do ------------------------------------------------------------------------

    async def _picture(self, dice: random.Random) -> None:
        await self._wish(dice, "image", self._somebody(dice))

    async def _video(self, dice: random.Random) -> None:
        await self._wish(dice, "video", self._somebody(dice))

    async def _spend(self, dice: random.Random) -> None:
        """The next picture of a budget, or, when that is used up, a new budget."""
        spender = dice.choice(self.spenders)
        pictures = spender.pictures()
        if pictures and not pictures[-1].told():
            return
        if pictures is not None and len(pictures) < PICTURES_TO_THE_END:
            wish = await self._wish(dice, "image", spender.person, from_photo=False)
            pictures.append(wish)
            return
        amount = f"0.13{len(spender.budgets) + 1:04d}"
        spender.budgets[amount] = []
        await spender.person.sends(f"/setbudget {amount}")

    async def _cancel(self, dice: random.Random) -> None:
        """Press Cancel under something, or type it."""
        waiting = [
            (wish, message, button["callback_data"])
            for wish in self.wishes[-20:]
            for message in wish.shown()
            for button in message.buttons
            if button.get("callback_data", "").startswith(CANCEL) and not self._is_spenders(wish)
        ]
        if not waiting:
            return
        wish, message, data = dice.choice(waiting)
        if dice.random() < 0.8:
            await wish.person.presses(message, data, wait=False)
        else:
            await wish.person.sends("/cancel")

    async def _look(self, dice: random.Random) -> None:
        await self._somebody(dice).sends(dice.choice(["/budget", "/help"]))

    # -- the rest ------------------------------------------------------------------------------

    def _somebody(self, dice: random.Random) -> Person:
        return dice.choice(self.people[len(self.spenders) :])

    def _is_spenders(self, wish: Wish) -> bool:
        return any(wish.person is spender.person for spender in self.spenders)

    async def _wish(
        self, dice: random.Random, kind: str, person: Person, *, from_photo: bool | None = None
    ) -> Wish:
        token = f"wish-{len(self.wishes):05d}"
        in_group = person in self.people[2:4] and dice.random() < 0.3
        wish = Wish(token, kind, person, self.group if in_group else person.chat)
        self.wishes.append(wish)
        words = f"/{kind} {token} {dice.choice(['a fox', 'the sea', '<b>&', 'مرحبا', '🎈' * 9])}"
        if from_photo if from_photo is not None else dice.random() < 0.35:
            await person.sends_photo(None, words, wish.chat)
        else:
            await person.sends(words, wish.chat)
        return wish
