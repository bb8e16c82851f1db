"""The bot as a process of its own, which can be killed."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bot.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
STARTS_WITHIN_SECONDS = 60.0
STOPS_WITHIN_SECONDS = 10.0
# The same program with constants changed: a minute is what a short run does not have.
HURRIED = """
import sys
from datetime import timedelta
import bot.lost
import db.leases
bot.lost.SURE_AFTER = timedelta(seconds=3)
db.leases.LEASED_FOR = timedelta(seconds=3)
db.leases.RENEWED_EVERY = timedelta(seconds=1)
from bot.__main__ import main
sys.exit(main([]))
"""


class BotProcess:
    """Runs `python -m bot` again and again, on one set of settings, one at a time.

    `starts` are the seconds from each start to the first request for updates.
    """

    def __init__(
        self, sandbox: Sandbox, settings: Mapping[str, str], folder: Path, *, hurried: bool = False
    ) -> None:
        self._sandbox = sandbox
        # In a folder of its own, where there is no .env.
        self._folder = folder
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **settings,
            "PYTHONPATH": str(ROOT),
        }
        self._program = ["-c", HURRIED] if hurried else ["-m", "bot"]
        self._process: asyncio.subprocess.Process | None = None
        self.log = folder / "bot.log"
        self.starts: list[float] = []

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.returncode is None

    async def spawn(self) -> None:
        """Start a process, without waiting for what it does."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._program,
                cwd=self._folder,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def reads_updates(self) -> None:
        """Return when it asks for updates. Raises `AssertionError` if it ends before."""
        started = time.monotonic()
        updates = self._sandbox.telegram.updates
        polling = asyncio.ensure_future(
            self._sandbox.telegram.wait_for(lambda: updates.polling, STARTS_WITHIN_SECONDS)
        )
        ended = asyncio.ensure_future(self.ended())
        await asyncio.wait([polling, ended], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not polling.done():
            polling.cancel()
            raise AssertionError(f"the bot ended before it read updates: {self.log}")
        polling.result()
        self.starts.append(time.monotonic() - started)

    def kill(self) -> None:
        """SIGKILL, now."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> int:
        """Wait for its end; its exit code."""
        if self._process is None:
            raise AssertionError("there was no process")
        return await self._process.wait()

    async def gone(self) -> None:
        """Wait for its end, and until Telegram has seen that nobody asks for updates."""
        await self.ended()
        updates = self._sandbox.telegram.updates
        await self._sandbox.telegram.wait_for(lambda: not updates.polling)

    async def stop(self) -> int:
        """SIGTERM; its exit code. Raises `AssertionError` if that takes more than 10 s."""
        if self._process is None:
            raise AssertionError("there was no process")
        self._process.terminate()
        try:
            async with asyncio.timeout(STOPS_WITHIN_SECONDS):
                return await self.ended()
        except TimeoutError:
            self.kill()
            raise AssertionError("SIGTERM did not end the bot within 10 s") from None
