"""One life after the other: when the bot is killed, and what people do meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.sandbox import Sandbox
from tests.chaos.process import BotProcess
from tests.chaos.story import Story

LIFE_SECONDS = 1.5
MOST_ACTS = 3
MOST_EVENTS = 12
# Things that were to happen and do not: then the life ends after so long.
PATIENCE_SECONDS = 2.5


@dataclass(frozen=True)
class Moment:
    """When a life ends.

    `seconds` after the process was started or, if it `reads`, after it asks for updates; with
    `events`, `seconds` after so many things have happened at Telegram and fal. Then 0 means:
    before the bot hears of the last one.
    """

    seconds: float
    reads: bool = True
    events: int = 0


def draw_moment(dice: random.Random, start_seconds: float) -> Moment:
    """A moment anywhere from the start of a process to the middle of its work."""
    luck = dice.random()
    if luck < 0.15:
        return Moment(dice.uniform(0, start_seconds), reads=False)
    if luck < 0.6:
        delay = dice.choice([0.0, 0.0, dice.uniform(0, 0.005), dice.uniform(0, 0.05)])
        return Moment(delay, events=dice.randint(1, MOST_EVENTS))
    return Moment(dice.uniform(0, LIFE_SECONDS))


@dataclass
class Killer:
    """Lets the bot live and kills it. `kills` are the times at which it did, by the sandbox."""

    sandbox: Sandbox
    bot: BotProcess
    story: Story
    start_seconds: float
    kills: list[datetime] = field(default_factory=list)

    async def end(self) -> None:
        """Kill it and wait until nothing is left of it."""
        self._kill()
        await self.bot.gone()

    async def live(self, dice: random.Random) -> None:
        """One life, from the start of the process to its end, and what people do during it."""
        moment = draw_moment(dice, self.start_seconds)
        over = asyncio.Event()
        people = [
            asyncio.create_task(
                self._act(
                    over,
                    dice.uniform(0, self.start_seconds + LIFE_SECONDS),
                    random.Random(dice.getrandbits(64)),
                )
            )
            for _ in range(dice.randint(1, MOST_ACTS))
        ]
        await self.bot.spawn()
        try:
            await self._until(moment)
        finally:
            await self.end()
            over.set()
            await asyncio.gather(*people)

    def _kill(self) -> None:
        if self.bot.alive:
            self.kills.append(self.sandbox.clock.now())
            self.bot.kill()

    async def _act(self, over: asyncio.Event, seconds: float, dice: random.Random) -> None:
        """Somebody does something after so long; they do not know that the bot is dead."""
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), seconds)
        await self.story.act(dice)

    async def _until(self, moment: Moment) -> None:
        if not moment.reads:
            await asyncio.sleep(moment.seconds)
        elif not moment.events:
            await self.bot.reads_updates()
            await asyncio.sleep(moment.seconds)
        else:
            await self._until_events(moment)

    async def _until_events(self, moment: Moment) -> None:
        enough = asyncio.Event()
        left = moment.events

        def happened(_: dict[str, Any]) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                if not moment.seconds:
                    self._kill()
                enough.set()

        with _heard(self.sandbox, happened):
            try:
                async with asyncio.timeout(self.start_seconds + PATIENCE_SECONDS):
                    await enough.wait()
            except TimeoutError:
                return
        await asyncio.sleep(moment.seconds)


@contextmanager
def _heard(sandbox: Sandbox, listener: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Call `listener` with all that happens at Telegram and fal."""
    stops = [world.changes.listen(listener) for world in (sandbox.telegram, sandbox.fal)]
    try:
        yield
    finally:
        for stop in stops:
            stop()
