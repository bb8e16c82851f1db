"""What an answer to `/budget` costs: against an echo bot, and with a long history."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from bot.sandbox import Sandbox
from tests.bench.crowd import Crowd
from tests.bench.process import BOT, ECHO, Process, running, settings
from tests.bench.report import Figure, at_least, median, ratio_of_rounds
from tests.bench.seed import make_database
from tests.bench.sizes import Sizes

PEOPLE = 200
AT_ONCE = 32


class Side:
    """A bot that is asked in rounds; `rates` are its answers per CPU second."""

    def __init__(self, process: Process, crowd: Crowd) -> None:
        self.process = process
        self.crowd = crowd
        self.rates: list[float] = []

    async def round(self, answers: int) -> None:
        """Ask for so many answers."""
        before = self.process.cpu_seconds
        await self.crowd.hears("/budget", answers, AT_ONCE)
        self.rates.append(answers / (self.process.cpu_seconds - before))

    async def warm_up(self) -> None:
        """Ask a little, which does not count."""
        await self.crowd.hears("/budget", 100, AT_ONCE)


async def side(stack: AsyncExitStack, program: str, folder: Path, database: Path) -> Side:
    """A bot with a stand-in of its own."""
    sandbox = await stack.enter_async_context(Sandbox())
    environment = settings(sandbox, database)
    process = await stack.enter_async_context(running(sandbox, program, folder, environment))
    return Side(process, Crowd(sandbox, PEOPLE))


async def compare(first: Side, second: Side, sizes: Sizes) -> float:
    """The ratio of answers per CPU second, from rounds in turn."""
    await first.warm_up()
    await second.warm_up()
    for _ in range(sizes.rounds):
        await first.round(sizes.answers)
        await second.round(sizes.answers)
    return ratio_of_rounds(first.rates, second.rates)


async def against_echo(folder: Path, sizes: Sizes) -> list[Figure]:
    """`/budget` against a bare echo bot, both answering the same messages."""
    database = folder / "few.sqlite3"
    await make_database(database, people=PEOPLE, jobs=100)
    async with AsyncExitStack() as stack:
        ours = await side(stack, BOT, folder, database)
        echo = await side(stack, ECHO, folder, database)
        ratio = await compare(ours, echo, sizes)
    return [
        at_least(
            "`/budget` answers per CPU second, against a bare echo bot",
            3,
            ratio,
            f"{median(ours.rates):.0f} against {median(echo.rates):.0f} a CPU second",
        )
    ]


async def with_history(folder: Path, sizes: Sizes) -> list[Figure]:
    """`/budget` with very many jobs stored, against a hundred."""
    await make_database(folder / "hundred.sqlite3", people=PEOPLE, jobs=100)
    await make_database(folder / "history.sqlite3", people=PEOPLE, jobs=sizes.stored_jobs)
    async with AsyncExitStack() as stack:
        many = await side(stack, BOT, folder, folder / "history.sqlite3")
        few = await side(stack, BOT, folder, folder / "hundred.sqlite3")
        ratio = await compare(many, few, sizes)
    return [
        at_least(
            f"the same at {sizes.stored_jobs:,} stored jobs against 100",
            0.95,
            ratio,
            f"{median(many.rates):.0f} against {median(few.rates):.0f} a CPU second; "
            f"{sizes.stored_jobs // PEOPLE:,} jobs of each person within a year",
        )
    ]
