"""People who are shut out, or who shut the bot out: before their job is at fal, and after that."""

from __future__ import annotations

import pytest

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Person, TelegramWorld, plain_photo
from bot.screen.chat import mark_blocked
from db.models import ContentJob, JobState
from db.models import Person as StoredPerson
from tests.support.fal import calls
from tests.support.running import ADMIN_ID, assert_books, running_bot
from tests.support.waiting import eventually

DOLLAR = 10**9
IMAGE_NANOS = 25_000_000


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting for it."""
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)


@pytest.fixture
def grace(world: TelegramWorld) -> Person:
    return world.person(id=ADMIN_ID, name="Grace", started=True)


async def figures(person: Person) -> tuple[int, int, int]:
    """What a person has spent, what is held of theirs, and how many jobs are under way."""
    stored = await StoredPerson.get(id=person.id)
    return stored.total_spent_nanos, stored.held_nanos, stored.active_jobs


async def hold_has_ended() -> bool:
    """Whether the only job there is holds nothing any more."""
    return await ContentJob.exists(is_held=False)


async def is_known_to_block(person: Person) -> bool:
    return await StoredPerson.exists(id=person.id, blocked_at__not_isnull=True)


async def test_who_is_shut_out_before_their_job_is_sent_pays_for_none(
    sandbox: Sandbox, ada: Person, grace: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add("hang", "upload")
        await ada.sends_photo(plain_photo(), "/image in winter")
        await sandbox.fal.wait_for(lambda: calls(sandbox.fal, "upload"), what="the upload")
        await grace.sends(f"/deny {ada.id}")
        await grace.chat.wait_for_text("stays out")
        sandbox.fal.faults.release()

        told = await ada.chat.wait_for_text(r"^🚫 Cancelled\.")
        [job] = await running.all_shown()
        assert (job.state, told.id) == (JobState.CANCELLED, job.status_message_id)
        assert "It cost nothing" in told.text
        assert (calls(sandbox.fal, "submit"), await figures(ada)) == (0, (0, 0, 0))
        await assert_books(running.connection)


async def test_a_job_that_was_left_held_is_not_sent_for_somebody_who_was_shut_out_meanwhile(
    sandbox: Sandbox, ada: Person, grace: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.telegram.faults.add("hang", "sendMessage", ada.chat.id)
        await ada.sends("/image a red fox")
        await sandbox.telegram.wait_for(lambda: sandbox.telegram.called("sendMessage"))
        assert await ContentJob.exists(state=JobState.HELD)
        await running.kill()
        await StoredPerson.filter(id=ada.id).update(access="denied")
        await running.start()
        await ada.chat.wait_for_text(r"^🚫 Cancelled\.")
        await running.all_shown()
        assert (calls(sandbox.fal, "submit"), await figures(ada)) == (0, (0, 0, 0))
        await assert_books(running.connection)


async def test_what_is_at_fal_already_goes_on_for_who_is_shut_out(
    sandbox: Sandbox, ada: Person, grace: Person, database_url: str
) -> None:
    sandbox.fal.pace = "manual"
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        [request] = await sandbox.fal.wait_for_requests()
        await grace.sends(f"/deny {ada.id}")
        await grace.chat.wait_for_text("stays out")
        sandbox.fal.complete(request)
        await ada.chat.wait_for_media("photo")
        [job] = await running.all_shown()
        assert job.state == JobState.DELIVERED
        assert await figures(ada) == (IMAGE_NANOS, 0, 0)
        await assert_books(running.connection)


async def test_nothing_is_paid_for_somebody_who_blocks_the_bot_before_they_hear_of_it(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url, start=False) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        ada.blocks_bot()
        await running.start()
        await eventually(hold_has_ended, what="the end of the hold")
        assert (calls(sandbox.fal, "submit"), await figures(ada)) == (0, (0, 0, 0))

        await ada.sends("/budget")
        told = await ada.chat.wait_for_text("could not write to you")
        assert "It cost nothing" in told.text
        [job] = await running.all_shown()
        assert (job.state, job.error) == (JobState.FAILED, "blocked")
        assert calls(sandbox.fal, "submit") == 0
        await assert_books(running.connection)


async def test_nothing_is_paid_for_somebody_who_is_known_to_block_the_bot(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    """Their job was announced; that they have blocked the bot was found out by something else."""
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add("hang", "upload", times=None)
        await ada.sends_photo(plain_photo(), "/image in winter")
        await sandbox.fal.wait_for(lambda: calls(sandbox.fal, "upload"), what="the upload")
        ada.blocks_bot()
        await mark_blocked(ada.id)
        await running.kill()
        sandbox.fal.faults.clear()
        await running.start()
        await eventually(hold_has_ended, what="the end of the hold")
        assert (calls(sandbox.fal, "submit"), await figures(ada)) == (0, (0, 0, 0))
        await assert_books(running.connection)


async def test_who_blocks_the_bot_once_their_job_is_at_fal_pays_and_gets_it_when_they_write_again(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    sandbox.fal.pace = "manual"
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        [request] = await sandbox.fal.wait_for_requests()
        ada.blocks_bot()
        sandbox.fal.complete(request)
        await eventually(lambda: is_known_to_block(ada), what="that they blocked the bot")
        job = await ContentJob.get()
        assert (job.state, job.shown_at) == (JobState.FINISHED, None)
        assert await figures(ada) == (IMAGE_NANOS, 0, 0)
        await running.stop()
        await running.start()

        await ada.sends("/budget")
        picture = await ada.chat.wait_for_media("photo")
        assert "$0.975 of $1.00 left" in picture.text
        await running.all_shown()
        assert (calls(sandbox.fal, "submit"), await figures(ada)) == (1, (IMAGE_NANOS, 0, 0))
        await assert_books(running.connection)
