"""The command line: `python -m bot` runs the bot; the other commands help."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from bot.settings import Settings, SettingsError, load_settings
from db.errors import DatabaseError

EXIT_FAILED, EXIT_UNUSABLE = 1, 2
# See `gc.set_threshold`: new objects until the first, second, third generation is looked through.
GARBAGE_AT_ONCE = (700, 3, 1)
GARBAGE_AFTER = 10_000


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit code: 0 done, 1 something is wrong, 2 cannot start."""
    parser = argparse.ArgumentParser(
        prog="fal-budget-bot", description="A Telegram bot for fal.ai with a true budget."
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("run", help="run the bot (the default)")
    demo = commands.add_parser("demo", help="try the bot without any account, in the browser")
    demo.add_argument("--tour", action="store_true", help="play a scripted conversation and end")
    demo.add_argument("--port", type=int, default=8765, help="of the chat page (default: 8765)")
    commands.add_parser("migrate", help="bring the database up to date")
    commands.add_parser("doctor", help="check settings, database, Telegram, fal and the books")
    copy = commands.add_parser(
        "copy-database", help="copy all of a database into an empty one, SQLite or PostgreSQL"
    )
    copy.add_argument("source", metavar="FROM", help="sqlite://path or postgres://…; not in use")
    copy.add_argument("target", metavar="TO", help="likewise; has to be empty")
    options = parser.parse_args(arguments)
    try:
        return _dispatch(options)
    except SettingsError as error:
        for line in error.lines:
            print(line, file=sys.stderr)
    except DatabaseError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    return EXIT_UNUSABLE


def _dispatch(options: argparse.Namespace) -> int:
    if options.command == "demo":
        from bot.sandbox.demo import demo

        return _run_loop(demo(port=options.port, tour=options.tour))
    if options.command == "copy-database":
        return _run_loop(_copy(options.source, options.target))
    try:
        settings = load_settings()
    except SettingsError as error:
        if options.command != "doctor":
            raise
        for line in error.lines:
            print(f"WRONG settings: {line}")
        return EXIT_FAILED
    from bot.logs import configure_logging

    configure_logging(settings)
    if options.command == "migrate":
        return _run_loop(_migrate(settings))
    if options.command == "doctor":
        from bot.doctor import examine

        return _run_loop(examine(settings))
    return _run_loop(_serve(settings))


async def _serve(settings: Settings) -> int:
    from bot.serving import StartError, run

    # A first start makes and drops hundreds of classes, which fill the memory if they are left.
    gc.freeze()
    gc.set_threshold(*GARBAGE_AT_ONCE)
    stop, started = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    settling = asyncio.create_task(_settle_down(started))
    try:
        await run(settings, stop, started)
    except StartError as error:
        print(error, file=sys.stderr)
        return EXIT_UNUSABLE
    finally:
        settling.cancel()
    return 0


async def _settle_down(started: asyncio.Event) -> None:
    """Look for garbage less often: answering makes many small objects that are gone at once.

    What is there after the start stays for good, and is not looked through again and again.
    """
    await started.wait()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER)


async def _migrate(settings: Settings) -> int:
    from db.connection import connect, migrate
    from db.lock import only_process

    with only_process(settings.database_url):
        async with connect(settings.database_url) as connection:
            applied = await migrate(connection)
    print(f"{len(applied)} steps applied." if applied else "The database is up to date.")
    return 0


async def _copy(source: str, target: str) -> int:
    from db.copy import CopyRefused, copy_database

    try:
        counts = await copy_database(source, target)
    except asyncio.CancelledError:
        raise CopyRefused("Interrupted; nothing was kept.") from None
    for table, count in counts.items():
        print(f"{table}: {count}")
    print("Copied: the counts are the same and the books hold. Set DATABASE_URL to TO.")
    return 0


def _run_loop(work: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


if __name__ == "__main__":
    logging.captureWarnings(True)
    sys.exit(main())
