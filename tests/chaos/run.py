"""A whole run: people are let in, the bot is killed again and again, then everything settles."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import asyncpg
from tortoise.backends.base.executor import EXECUTOR_CACHE

from bot.sandbox import Sandbox
from bot.sandbox.fal import Tempo
from db.connection import is_sqlite, sqlite_path
from tests.chaos.killing import Killer
from tests.chaos.process import BotProcess
from tests.chaos.report import Audit, Figures, unended
from tests.chaos.story import ADMIN_ID, Story

# A request that never reached fal is sure to be missing after a minute; the rest is a margin.
SETTLES_WITHIN_SECONDS = 240.0
WAITING = (
    "SELECT (SELECT COUNT(*) FROM content_job WHERE shown_at IS NULL)"
    " + (SELECT COUNT(*) FROM notice WHERE closed_at IS NULL)"
)
BALANCE_NANOS = 1_000_000 * 10**9


async def run(
    database_url: str,
    folder: Path,
    *,
    kills: int,
    seed: int,
    auditing: asyncio.Lock,
    hurried: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Figures:
    """Kill a bot so many times; what came of it. `folder` takes its log.

    `auditing` is held while a database is looked at, which one run after the other must do.
    With `hurried` the bot is sure after 3 s, not a minute, that fal never got a request.
    """
    figures = Figures("SQLite" if is_sqlite(database_url) else "PostgreSQL")
    async with Sandbox(pace="paced") as sandbox:
        sandbox.fal.tempo = {"image": Tempo(0.05, 0.3), "video": Tempo(0.05, 0.6)}
        sandbox.fal.balance_nanos = BALANCE_NANOS
        story = Story(sandbox)
        bot = BotProcess(sandbox, settings_of(sandbox, database_url), folder, hurried=hurried)
        await bot.spawn()
        try:
            await bot.reads_updates()
            await story.begin()
            killer = Killer(sandbox, bot, story, bot.starts[0])
            await killer.end()
            dice = random.Random(seed)
            began = time.monotonic()
            while len(killer.kills) < kills:
                await killer.live(random.Random(dice.getrandbits(64)))
                done = len(killer.kills)
                if done % 50 == 0:
                    seconds = time.monotonic() - began
                    progress(f"{figures.database}: {done} kills, {seconds:.0f} s")
            await _settle(bot, story, database_url, figures)
        finally:
            bot.kill()
        figures.kills = len(killer.kills)
        figures.start_seconds = statistics.median(bot.starts)
        audit = Audit(sandbox, story, killer.kills, figures)
        audit.chats()
        async with auditing:
            # Tortoise keeps statements by the name of a connection, whatever is behind it.
            EXECUTOR_CACHE.clear()
            await audit.books(database_url)
        audit.log(bot.log.read_text("utf-8", "replace"))
    return figures


async def _settle(bot: BotProcess, story: Story, database_url: str, figures: Figures) -> None:
    """Let the bot live until all is told and reconciled, and end it as one should."""
    await bot.spawn()
    await bot.reads_updates()
    try:
        async with asyncio.timeout(SETTLES_WITHIN_SECONDS):
            while any(unended(story)):
                await story.sandbox.telegram.changes.wait()
            while await _waiting(database_url):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.2)
        await story.admin.sends("/reconcile")
        await story.admin.chat.wait_for_text("The books beside", SETTLES_WITHIN_SECONDS)
    except TimeoutError:
        figures.breaches.append(f"{figures.database}: not everything came to its end")
    code = await bot.stop()
    if code != 0:
        figures.breaches.append(f"{figures.database}: SIGTERM ended the bot with {code}")


async def _waiting(database_url: str) -> int:
    """How many jobs and notices have not come to their end; a look from outside."""
    path = sqlite_path(database_url)
    if path is not None:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
            count: int = file.execute(WAITING).fetchone()[0]
            return count
    connection = await asyncpg.connect(database_url)
    try:
        return int(await connection.fetchval(WAITING))
    finally:
        await connection.close()


def settings_of(sandbox: Sandbox, database_url: str) -> dict[str, str]:
    """The environment of a bot at the sandbox, whose schedules are as quick as they get."""
    return {
        **sandbox.environment(),
        "ADMIN_IDS": str(ADMIN_ID),
        "DATABASE_URL": database_url,
        "LISTEN": "",
        "MAX_ACTIVE_JOBS": "1000",
        "COMMANDS_PER_MINUTE": "100000",
        "NOTICE_INTERVAL": "1",
        "BALANCE_INTERVAL": "1",
        "RECONCILE_INTERVAL": "2",
        "LIVE_INTERVAL": "1",
    }
