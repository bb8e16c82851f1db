"""The process dies at a bad moment; the next one makes up for it."""

from __future__ import annotations

from pathlib import Path

from bot.sandbox import Sandbox
from tests.chaos.process import BotProcess
from tests.chaos.run import settings_of
from tests.chaos.story import ADMIN_ID


async def test_a_command_that_died_with_the_process_is_answered_by_the_next(
    database_url: str, tmp_path: Path
) -> None:
    """Telegram forgets an update when the next ones are asked for, long before it is answered."""
    async with Sandbox() as sandbox:
        world = sandbox.telegram
        grace = world.person(id=ADMIN_ID, name="Grace", started=True)
        bot = BotProcess(sandbox, settings_of(sandbox, database_url), tmp_path)
        world.faults.add("hang", "sendMessage", grace.id, times=None)
        try:
            await bot.spawn()
            await bot.reads_updates()
            await grace.sends("/budget")
            await grace.sends("/image a red fox")
            await world.wait_for(lambda: world.called("sendMessage"), 60)
            await world.wait_until_heard(60)
            bot.kill()
            await bot.gone()
            world.faults.clear()
            await bot.spawn()
            await grace.chat.wait_for_text("No budget is set", 60)
            await grace.chat.wait_for_media("photo", 60)
            assert await bot.stop() == 0
        finally:
            bot.kill()
        assert len(grace.chat.from_bot) == len(sandbox.fal.requests) + 1 == 2
