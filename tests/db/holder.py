"""Another process of the bot that only holds: `python -m tests.db.holder URL PERSON QUOTE TRIES`.

Waits for a line on its standard input, tries at once, and prints how many holds it got.
"""

from __future__ import annotations

import asyncio
import sys
from uuid import uuid4

from db import ledger
from db.accounts import NotEnough
from db.connection import connect
from tests.db.books import order


async def hold(url: str, person_id: int, quote_nanos: int, tries: int) -> int:
    """Try to hold `tries` times at once; how many were allowed."""

    async def one() -> bool:
        job = order(person_id, quote_nanos, f"holder:{uuid4()}")
        try:
            return (await ledger.hold(job, max_active_jobs=10**6)).changed
        except NotEnough:
            return False

    async with connect(url):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        return sum(await asyncio.gather(*(one() for _ in range(tries))))


if __name__ == "__main__":
    url, person_id, quote_nanos, tries = sys.argv[1:]
    print(asyncio.run(hold(url, int(person_id), int(quote_nanos), int(tries))))
