"""`python -m tests.chaos`: kill the bot many times and print what came of it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.report import Figures, table
from tests.chaos.run import run
from tests.support.postgres import Databases, shared_server_url

MOST_BREACHES = 50
KINDS = {"sqlite": ["sqlite"], "postgres": ["postgres"], "both": ["sqlite", "postgres"]}


def main() -> int:
    """Run; 1 if a promise was broken, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--n", type=int, default=500, help="kills, on all databases together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=sorted(KINDS), default="both")
    options = parser.parse_args()
    kinds = KINDS[options.database]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fal-budget-bot-chaos-") as folder:
        share = -(-options.n // len(kinds))
        figures = asyncio.run(_all(kinds, share, options.seed, Path(folder)))
    print(table(figures))
    starts = ", ".join(f"{one.database} {one.start_seconds:.1f} s" for one in figures)
    print(f"\nSeed {options.seed}, {time.monotonic() - began:.0f} s; median start: {starts}.")
    breaches = [breach for one in figures for breach in one.breaches]
    for breach in breaches[:MOST_BREACHES]:
        print(f"BREACH {breach}")
    print(f"{len(breaches)} breaches." if breaches else "Every promise was kept.")
    return 1 if breaches else 0


async def _all(kinds: list[str], kills: int, seed: int, folder: Path) -> list[Figures]:
    auditing = asyncio.Lock()

    async def one(kind: str) -> Figures:
        home = folder / kind
        home.mkdir()
        async with _empty_database(kind, home) as url:
            return await run(url, home, kills=kills, seed=seed, auditing=auditing, progress=_say)

    return list(await asyncio.gather(*map(one, kinds)))


@asynccontextmanager
async def _empty_database(kind: str, folder: Path) -> AsyncIterator[str]:
    """The URL of an empty database: a file, or one on a server that ends with this process."""
    if kind == "sqlite":
        yield f"sqlite://{folder / 'bot.sqlite3'}"
        return
    server = await asyncio.to_thread(shared_server_url, folder, os.getpid())
    async with Databases(server, "chaos").empty() as url:
        yield url


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
