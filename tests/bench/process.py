"""A bot in a process of its own, whose time and memory are read from Linux' /proc."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bot.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
BOT, ECHO, CALLED_BOT = "bot", "tests.bench.echo", "tests.bench.called"
TICKS = os.sysconf("SC_CLK_TCK")
STARTS_WITHIN_SECONDS = 60.0
STOPS_WITHIN_SECONDS = 20.0
ADMIN_ID = 900


class Process:
    """A running bot."""

    def __init__(self, process: asyncio.subprocess.Process, started_in: float) -> None:
        self._process = process
        self.started_in_seconds = started_in

    @property
    def cpu_seconds(self) -> float:
        """What it has computed since its start, all threads, in user and in kernel mode."""
        words = self._read("stat").rpartition(")")[2].split()
        # proc(5): utime and stime are the fields 14 and 15; the first behind the name is 3.
        return (int(words[11]) + int(words[12])) / TICKS

    @property
    def resident_bytes(self) -> int:
        """What it has in memory."""
        return self._status("VmRSS") * 1024

    @property
    def own_bytes(self) -> int:
        """The same without the libraries and files that other processes can share."""
        return self._status("RssAnon") * 1024

    def _status(self, name: str) -> int:
        lines = dict(line.split(":", 1) for line in self._read("status").splitlines())
        return int(lines[name].split()[0])

    def _read(self, name: str) -> str:
        return Path(f"/proc/{self._process.pid}/{name}").read_text()

    async def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOPS_WITHIN_SECONDS)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()


def settings(sandbox: Sandbox, database: Path, **changes: object) -> dict[str, str]:
    """The settings of a bot as environment variables; `changes` by their names."""
    return {
        **sandbox.environment(),
        "ADMIN_IDS": str(ADMIN_ID),
        "DATABASE_URL": f"sqlite://{database}",
        "LISTEN": "",
        **{name.upper(): str(value) for name, value in changes.items()},
    }


@asynccontextmanager
async def running(
    sandbox: Sandbox, program: str, folder: Path, environment: Mapping[str, str]
) -> AsyncIterator[Process]:
    """A bot in its own process, which asks for updates or has a webhook, until the end."""
    loop = asyncio.get_running_loop()
    updates = sandbox.telegram.updates
    with (folder / f"{program}.log").open("ab") as log:
        began = loop.time()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", program),
            cwd=folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    running = Process(process, 0.0)
    try:
        await sandbox.telegram.wait_for(
            lambda: updates.polling or updates.webhook or process.returncode is not None,
            STARTS_WITHIN_SECONDS,
            f"{program}: see {log.name}",
        )
        running.started_in_seconds = loop.time() - began
        if process.returncode is not None:
            raise RuntimeError(f"{program} ended: {Path(log.name).read_text()[-2000:]}")
        yield running
    finally:
        await running.stop()
