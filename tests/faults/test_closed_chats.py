"""Where a result was to be shown is closed: the job ends, and what is paid is shown elsewhere."""

from __future__ import annotations

import logging

import pytest

from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Person, TelegramWorld
from db.models import JobState
from tests.support.running import assert_books, running_bot

# The databases make no difference here.
pytestmark = pytest.mark.sqlite_only


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting for it."""
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)


@pytest.mark.parametrize("when", ["before it begins", "while it is made"])
async def test_a_topic_that_is_deleted_leaves_the_group(
    sandbox: Sandbox, world: TelegramWorld, ada: Person, database_url: str, when: str
) -> None:
    sandbox.fal.pace = "manual"
    forum = world.group("Studio", [ada], forum=True)
    topic = forum.add_topic("Foxes")
    async with running_bot(sandbox, database_url, start=False) as running:
        await running.let_in(ada, budget_nanos=10**9)
        await ada.sends("/image a red fox", forum, thread_id=topic)
        if when == "before it begins":
            del forum.topics[topic]
        await running.start()
        [request] = await sandbox.fal.wait_for_requests()
        if when == "while it is made":
            forum.delete(forum.last)
            del forum.topics[topic]
        sandbox.fal.complete(request)
        picture = await forum.wait_for_media("photo")
        assert picture.thread_id is None
        [job] = await running.all_shown()
        assert (job.state, job.thread_id) == (JobState.DELIVERED, None)
        await assert_books(running.connection)


async def test_a_group_in_which_the_bot_may_not_write_leaves_the_private_chat(
    sandbox: Sandbox,
    world: TelegramWorld,
    ada: Person,
    database_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    group = world.group("Studio", [ada])
    words = "Bad Request: not enough rights to send text messages to the chat"
    world.faults.add(Fault("refused", message=words), "sendMessage", group.id, times=None)
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=10**9)
        await ada.sends("/image a red fox", group)
        await ada.chat.wait_for_media("photo")
        [job] = await running.all_shown()
        assert (job.chat_id, len(sandbox.fal.requests)) == (ada.id, 1)
        await assert_books(running.connection)
    assert [r.message for r in caplog.records if r.exc_info or r.levelno > logging.WARNING] == []
