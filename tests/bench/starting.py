"""How soon the bot serves, and what it takes while nobody writes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from bot.sandbox import Sandbox
from tests.bench.process import BOT, ROOT, running, settings
from tests.bench.report import Figure, at_most, median
from tests.bench.sizes import Sizes

REST_SECONDS = 3.0
MIB = 1024 * 1024


async def start_and_rest(folder: Path, sizes: Sizes) -> list[Figure]:
    """Seconds from the start to the first `getUpdates`, and memory with nothing to do."""
    starts: list[float] = []
    resident: list[float] = []
    # Where it serves, the tools for changing it are not installed: httpx would load this one.
    (folder / "rich.py").write_text("raise ImportError\n")
    for _ in range(sizes.starts + 1):
        async with Sandbox() as sandbox:
            environment = settings(sandbox, folder / "bot.sqlite3", listen="127.0.0.1:0")
            environment["PYTHONPATH"] = os.pathsep.join((str(folder), str(ROOT)))
            async with running(sandbox, BOT, folder, environment) as process:
                starts.append(process.started_in_seconds)
                await asyncio.sleep(REST_SECONDS)
                resident.append(process.resident_bytes / MIB)
    # The first one makes the database, and on a new machine the compiled files.
    return [
        at_most(
            "start to first `getUpdates`",
            1.5,
            median(starts[1:]),
            f"median of {sizes.starts}; the very first, with a new database: {starts[0]:.2f} s",
            unit="s",
        ),
        at_most(
            "resident memory idle",
            90,
            median(resident[1:]),
            "with the HTTP side for health and metrics",
            unit="MiB",
            digits=1,
        ),
    ]
