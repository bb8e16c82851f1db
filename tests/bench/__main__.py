"""`python -m tests.bench [--quick] [--folder FOLDER] [name …]`: measure, print the table.

Linux only. Everything runs on this machine, the bots in processes of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.bench.alerts import sweep
from tests.bench.answers import against_echo, with_history
from tests.bench.delivery import against_subscribe, requests_per_job
from tests.bench.load import under_way
from tests.bench.movements import against_bare_sqlite
from tests.bench.report import Figure, machine, table
from tests.bench.sizes import FULL, QUICK, Sizes
from tests.bench.starting import start_and_rest

Measure = Callable[[Path, Sizes], Awaitable[list[Figure]]]

FIGURES: dict[str, Measure] = {
    "echo": against_echo,
    "history": with_history,
    "ledger": against_bare_sqlite,
    "requests": requests_per_job,
    "delivery": against_subscribe,
    "load": under_way,
    "alerts": sweep,
    "start": start_and_rest,
}


def main() -> int:
    """Measure what was named, or everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--quick", action="store_true", help="less of everything, a first look")
    parser.add_argument("--folder", type=Path, help="where databases are made (a real disk)")
    options = parser.parse_args()
    unknown = set(options.names) - set(FIGURES)
    if unknown:
        parser.error(f"no figure {', '.join(sorted(unknown))}: {', '.join(FIGURES)}")
    _allow_many_files()
    figures = asyncio.run(_measure(options.names or list(FIGURES), options.quick, options.folder))
    print(f"\n{machine()}\n{'quick: smaller than the goals are about' if options.quick else ''}\n")
    print(table(figures))
    return 0


async def _measure(names: list[str], quick: bool, folder: Path | None) -> list[Figure]:
    figures: list[Figure] = []
    for name in names:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="bench-", dir=folder) as place:
            found = await FIGURES[name](Path(place), QUICK if quick else FULL)
        for figure in found:
            print(f"{name}: {figure.value} ({figure.goal}) {figure.detail}", flush=True)
        print(f"{name}: took {time.monotonic() - began:.0f} s", flush=True)
        figures += found
    return figures


def _allow_many_files() -> None:
    """Thousands of connections are open at once."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
