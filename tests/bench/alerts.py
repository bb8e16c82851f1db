"""Finding the notices that are due among very many people."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

from bot.notices import Notices
from db.connection import connect
from db.models import Notice
from tests.bench.report import Figure, at_most, median
from tests.bench.seed import make_database
from tests.bench.sizes import Sizes

DUE = 1000
FEW_PEOPLE = 10_000


class Unsent(Notices):
    """Finds and takes what is due as ever, and leaves out the sending."""

    async def _deliver(self, notice: Notice) -> None:
        """Nobody is told."""


async def seconds_of_sweep(path: Path) -> float:
    """How long it takes to find and take all that is due."""
    async with connect(f"sqlite://{path}") as connection:
        notices = Unsent(*cast("Any", [None] * 4))
        await connection.execute_query("UPDATE notice SET due_at = created_at")
        began, found = time.perf_counter(), 0
        while more := await notices.deliver_due():
            found += more
        assert found == DUE, found
        return time.perf_counter() - began


async def sweep(folder: Path, sizes: Sizes) -> list[Figure]:
    """The same number of alerts due, of many people and of few."""
    await make_database(folder / "many.sqlite3", people=sizes.people, notices=DUE)
    await make_database(folder / "few.sqlite3", people=FEW_PEOPLE, notices=DUE)
    many: list[float] = []
    few: list[float] = []
    for _ in range(sizes.rounds * 3):
        many.append(await seconds_of_sweep(folder / "many.sqlite3"))
        few.append(await seconds_of_sweep(folder / "few.sqlite3"))
    return [
        at_most(
            f"alert sweep over {sizes.people:,} people, {DUE:,} due, against {FEW_PEOPLE:,} people",
            1.2,
            median(many) / median(few),
            f"{median(many) * 1000:.0f} against {median(few) * 1000:.0f} ms, without the sending",
        )
    ]
