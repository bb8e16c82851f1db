"""A stop in the middle of things: soon, quiet, and the next start goes on from there."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Person, TelegramWorld, plain_photo
from db.models import ContentJob, JobState
from tests.support.running import assert_books, running_bot

# The databases make no difference here.
pytestmark = pytest.mark.sqlite_only
LONGEST_SECONDS = 10


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.exc_info or r.levelno > logging.WARNING]


@pytest.mark.parametrize("kind", ["hang", "answer_hangs"])
async def test_a_stop_in_the_middle_of_an_upload_loses_and_doubles_nothing(
    sandbox: Sandbox,
    world: TelegramWorld,
    ada: Person,
    database_url: str,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    """Telegram has the picture or not; the bot that stops cannot know."""
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=10**9)
        world.faults.add(kind, "editMessageMedia")
        await ada.sends("/image a red fox")
        await world.wait_for(lambda: world.called("editMessageMedia"), what="the upload")
        began = time.monotonic()
        await running.stop()
        assert time.monotonic() - began < LONGEST_SECONDS
        job = await ContentJob.get()
        assert (job.state, job.shown_at, job.lease_owner) == (JobState.FINISHED, None, None)
        await running.start()
        [job] = await running.all_shown()
        assert [(m.id, m.kind) for m in ada.chat.from_bot] == [(job.status_message_id, "photo")]
        assert len(sandbox.fal.requests) == 1
        await assert_books(running.connection)
    assert tracebacks(caplog) == []


async def test_a_stop_while_a_picture_goes_to_fal_sends_it_at_the_next_start(
    sandbox: Sandbox, ada: Person, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=10**9)
        sandbox.fal.faults.add("hang", "upload")
        await ada.sends_photo(plain_photo(), "/image make it blue")
        await sandbox.fal.wait_for(
            lambda: any(call.operation == "upload" for call in sandbox.fal.calls)
        )
        await running.stop()
        assert (await ContentJob.get()).state == JobState.HELD
        await running.start()
        await running.all_shown()
        assert (len(sandbox.fal.requests), len(ada.chat.from_bot)) == (1, 1)
        await assert_books(running.connection)
    assert tracebacks(caplog) == []


async def test_a_stop_does_not_wait_for_a_telegram_that_answers_nothing(
    sandbox: Sandbox,
    world: TelegramWorld,
    ada: Person,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("bot.serving.UPDATES_STOP_SECONDS", 0.1)
    monkeypatch.setattr("bot.serving.STOP_WITHIN_SECONDS", 1)
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=10**9)
        for method in (None, "getUpdates"):
            world.faults.add("hang", method, times=None)
        await ada.sends("/image a red fox")
        await ada.sends("/budget")
        await world.wait_for(lambda: len(world.called("sendMessage")) >= 2, what="two that hang")
        async with asyncio.timeout(LONGEST_SECONDS - 5):
            await running.stop()
        assert (await ContentJob.get()).lease_owner is None
        world.faults.clear()
        await running.start()
        await ada.chat.wait_for_media("photo")
        await ada.chat.wait_for_text("left")
        await running.all_shown()
        await assert_books(running.connection)
    assert tracebacks(caplog) == []
