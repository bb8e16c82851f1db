"""The bot on this machine alone, in front of the sandbox: to try it out, and for the tour."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import sys
import webbrowser
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from bot.logs import configure_logging
from bot.sandbox.fal import Tempo
from bot.sandbox.fal.world import Pace
from bot.sandbox.server import Sandbox
from bot.sandbox.telegram import Person
from bot.sandbox.tour import TourError, play
from bot.serving import StartError, run
from bot.settings import load_settings

ADMIN_ID, MEMBER_ID = 1_001, 5_000_000_002
# As one would wait for: long enough to watch it happen, short enough to like it.
PICTURE_TEMPO = Tempo(queue_seconds=0.8, run_seconds=3.6, steps=7)
VIDEO_TEMPO = Tempo(queue_seconds=1.2, run_seconds=6.4, steps=8)
PORTS_TRIED = 20
DONE, FAILED, UNUSABLE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Stage:
    """The sandbox with two people in it. `ended` is done once the bot is no longer at work."""

    sandbox: Sandbox
    admin: Person
    member: Person
    ended: asyncio.Task[None]


@asynccontextmanager
async def stage(port: int = 0, pace: Pace = "paced") -> AsyncIterator[Stage]:
    """The bot at work in front of a sandbox on `port` (0: any), with a database of its own.

    Raises `OSError` if the port cannot be had and `StartError` if the bot does not start.
    """
    with TemporaryDirectory(prefix="fal-budget-bot-") as folder:
        async with Sandbox(port, pace) as sandbox:
            sandbox.fal.tempo = {"image": PICTURE_TEMPO, "video": VIDEO_TEMPO}
            environment = sandbox.environment() | {
                "ADMIN_IDS": str(ADMIN_ID),
                "DATABASE_URL": f"sqlite://{folder}/demo.sqlite3",
                "LISTEN": "",
                "LOG_LEVEL": "ERROR",
                "NOTICE_INTERVAL": "1",
                "LIVE_INTERVAL": "1",
                "BALANCE_INTERVAL": "5",
                "RECONCILE_INTERVAL": "5",
            }
            settings = load_settings(None, environment)
            configure_logging(settings)
            telegram = sandbox.telegram
            admin = telegram.person(ADMIN_ID, "Ada", "ada", "en", started=True)
            member = telegram.person(MEMBER_ID, "Ben", "ben", "en")
            stop, started = asyncio.Event(), asyncio.Event()
            ended = asyncio.create_task(run(settings, stop, started), name="bot")
            try:
                await _first_of(started.wait(), ended)
                yield Stage(sandbox, admin, member, ended)
                stop.set()
                await ended
            finally:
                stop.set()
                await asyncio.wait([ended])


async def demo(port: int, tour: bool) -> int:
    """Serve the chat page until a signal, or play the tour; returns the exit code.

    0: done; 1: the tour was not as it should be; 2: it could not start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        return await (_tour(stop) if tour else _serve(port, stop))
    except StartError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _tour(stop: asyncio.Event) -> int:
    async with stage(pace="instant") as on:
        touring = asyncio.create_task(play(on.sandbox, on.admin, on.member))
        try:
            await _first_of(touring, on.ended, stop.wait())
        except TourError as error:
            print(f"\nThe tour ends here: {error}", file=sys.stderr)
            return FAILED
        finally:
            touring.cancel()
            await asyncio.wait([touring])
        return FAILED if touring.cancelled() else DONE


async def _serve(port: int, stop: asyncio.Event) -> int:
    async with contextlib.AsyncExitStack() as stack:
        on = await _on_a_port(port, stack)
        if on is None:
            return UNUSABLE
        # As the administrator would have done long ago; Ben is left to the person at the page.
        await on.admin.sends("/start")
        url = f"{on.sandbox.base_url}/"
        print(f"The chat is at {url} — Ctrl-C ends it. Nothing here costs money.", flush=True)
        if _somebody_watches():
            await asyncio.to_thread(webbrowser.open, url)
        await _first_of(stop.wait(), on.ended)
    return DONE


async def _on_a_port(port: int, stack: contextlib.AsyncExitStack) -> Stage | None:
    """The stage on `port`, or on one of the next if it is taken; None if none can be had."""
    if not 0 <= port <= 65535:
        print(f"There is no port {port}: it is a number up to 65535.", file=sys.stderr)
        return None
    last = min(port + PORTS_TRIED, 65535)
    for candidate in range(port, last + 1):
        try:
            on = await stack.enter_async_context(stage(candidate))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                reason = os.strerror(error.errno) if error.errno else str(error)
                print(f"Port {candidate} cannot be used: {reason}.", file=sys.stderr)
                return None
            continue
        if candidate != port:
            print(f"Port {port} is taken, so it is port {candidate} this time.", flush=True)
        return on
    print(f"Ports {port} to {last} are all taken; choose another with --port.", file=sys.stderr)
    return None


def _somebody_watches() -> bool:
    """Whether a person sits at this terminal, with a screen that a browser can open on."""
    screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return screen and sys.stdout.isatty() and not os.environ.get("CI")


async def _first_of(*ways: Coroutine[Any, Any, Any] | asyncio.Task[Any]) -> None:
    """Wait until the first has ended; raises what it raised. Tasks that were given go on."""
    own = [asyncio.create_task(way) for way in ways if not isinstance(way, asyncio.Task)]
    tasks = [*own, *(way for way in ways if isinstance(way, asyncio.Task))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in own:
            task.cancel()
        await asyncio.gather(*own, return_exceptions=True)
