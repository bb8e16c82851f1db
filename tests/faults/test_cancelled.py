"""Work that is cancelled in the middle, as by `/cancel` or at the end of the process."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from db.connection import connect
from db.sql import fetch, in_transaction

ROOT = Path(__file__).parents[2]
ROUNDS = 100


async def test_a_transaction_that_is_cancelled_leaves_nothing_locked(database_url: str) -> None:
    """SQLite has one connection, PostgreSQL ten: what is not given back is missing for ever."""
    dice = random.Random(1)

    async def move() -> None:
        async with in_transaction() as transaction:
            await fetch(transaction, "SELECT 1 AS one")
            await fetch(transaction, "SELECT 2 AS two")

    async with connect(database_url) as connection:
        for number in range(ROUNDS):
            task = asyncio.create_task(move())
            if number % 2:
                await asyncio.sleep(dice.uniform(0, 0.002))
            else:
                for _ in range(number // 2 % 30):
                    await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            async with asyncio.timeout(30):
                await fetch(connection, "SELECT 3 AS three")
                await move()
        started = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - started < 8, "a connection was never given back"


def test_nobody_takes_transactions_from_elsewhere() -> None:
    sources = [path for room in ("bot", "db", "handlers") for path in (ROOT / room).rglob("*.py")]
    assert [
        path.name for path in sources if "tortoise.transactions" in path.read_text("utf-8")
    ] == []
