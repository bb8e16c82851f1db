"""Jobs that have no end after a day: the admins are told once, and end them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Message, Person
from db.models import AdminAction, ContentJob, JobState, Notice, Turn
from db.models import Person as StoredPerson
from db.sql import now
from tests.support.fal import calls
from tests.support.running import ADMIN_ID, Running, assert_books, running_bot
from tests.support.waiting import eventually

DOLLAR = 10**9
IMAGE_NANOS = 25_000_000
UNKNOWN, UNENDED = "Nobody knows whether job", "has been at fal for more than a day"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day passes at once, and what is tried again or looked for does not wait."""
    monkeypatch.setattr("bot.unended.UNENDED_AFTER", timedelta(0))
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("bot.serving.LOST_EVERY", timedelta(milliseconds=100))


@pytest.fixture
def grace(sandbox: Sandbox) -> Person:
    return sandbox.telegram.person(id=ADMIN_ID, name="Grace", started=True)


@pytest.fixture
async def running(sandbox: Sandbox, database_url: str, ada: Person) -> AsyncIterator[Running]:
    async with running_bot(sandbox, database_url) as bot:
        await bot.let_in(ada, budget_nanos=DOLLAR)
        yield bot
        await assert_books(bot.connection)


async def lost_without_a_trace(sandbox: Sandbox, ada: Person, grace: Person) -> Message:
    """A job of which nobody knows whether fal has it; the notice of it."""
    sandbox.fal.faults.add("answer_lost", "submit")
    sandbox.fal.faults.add("server_error", "requests", times=None)
    await ada.sends("/image a red fox")
    return await grace.chat.wait_for_text(UNKNOWN)


async def without_a_readable_end(sandbox: Sandbox, ada: Person, grace: Person) -> Message:
    """A job that is complete at fal, whose result cannot be read; the notice of it."""
    sandbox.fal.faults.add("html", "result", times=None)
    await ada.sends("/image a red fox")
    return await grace.chat.wait_for_text(UNENDED)


async def test_what_nobody_knows_of_can_be_released(
    sandbox: Sandbox, ada: Person, grace: Person, running: Running
) -> None:
    notice = await lost_without_a_trace(sandbox, ada, grace)
    looks = calls(sandbox.fal, "requests")
    await sandbox.fal.wait_for(lambda: calls(sandbox.fal, "requests") > looks + 2)
    assert [message.id for message in grace.chat.from_bot] == [notice.id]
    assert (await ContentJob.get()).is_held
    await grace.presses(notice, "Release it")
    await ada.chat.wait_for_text("never reached fal")
    assert (await StoredPerson.get(id=ada.id)).total_spent_nanos == 0
    assert await AdminAction.filter(action="release").count() == 1


async def test_what_nobody_knows_of_can_be_charged_and_is_not_called_free(
    sandbox: Sandbox, ada: Person, grace: Person, running: Running
) -> None:
    notice = await lost_without_a_trace(sandbox, ada, grace)
    await grace.presses(notice, "Charge it")
    told = await ada.chat.wait_for_text("An admin has closed this")
    assert "$0.025" in told.text
    assert "$0.975 of $1.00 left (97 %)" in told.text
    assert (await StoredPerson.get(id=ada.id)).total_spent_nanos == IMAGE_NANOS


@pytest.mark.parametrize(("button", "spent"), [("Release it", 0), ("Charge it", IMAGE_NANOS)])
async def test_what_has_no_end_that_can_be_read_is_ended_by_an_admin(
    sandbox: Sandbox, ada: Person, grace: Person, running: Running, button: str, spent: int
) -> None:
    notice = await without_a_readable_end(sandbox, ada, grace)
    assert "$0.025" in notice.text
    await grace.presses(notice, button)
    told = await ada.chat.wait_for_text("There was no answer from fal")
    assert ("It cost nothing" in told.text) == (spent == 0)
    [job] = await running.all_shown()
    assert (job.state, job.error, job.is_held) == (JobState.FAILED, "given_up", False)
    assert (await StoredPerson.get(id=ada.id)).total_spent_nanos == spent
    pressed = f"{button.split()[0].lower()}:{job.id}:submitted"
    await grace.presses(notice, pressed, stale=True)
    await grace.chat.wait_for_text("Nothing to decide any more")
    assert (await StoredPerson.get(id=ada.id)).total_spent_nanos == spent


async def test_what_can_be_read_after_all_ends_as_ever_and_the_button_changes_nothing(
    sandbox: Sandbox, ada: Person, grace: Person, running: Running
) -> None:
    notice = await without_a_readable_end(sandbox, ada, grace)
    sandbox.fal.faults.clear()
    await ada.chat.wait_for_media("photo")
    await running.all_shown()
    await grace.presses(notice, "Release it")
    await grace.chat.wait_for_text("Nothing to decide any more")
    assert (await StoredPerson.get(id=ada.id)).total_spent_nanos == IMAGE_NANOS


async def test_a_button_about_a_lost_job_does_not_end_one_that_was_found(
    sandbox: Sandbox, ada: Person, grace: Person, running: Running
) -> None:
    sandbox.fal.pace = "manual"
    notice = await lost_without_a_trace(sandbox, ada, grace)
    [request] = sandbox.fal.requests
    sandbox.fal.start(request)
    sandbox.fal.faults.clear()
    await eventually(is_found, what="the request is found")
    await grace.presses(notice, "Release it")
    await grace.chat.wait_for_text("Nothing to decide any more")
    sandbox.fal.complete(request)
    await ada.chat.wait_for_media("photo")
    await running.all_shown()


async def test_a_lost_job_that_is_found_while_its_end_is_told_is_shown_all_the_same(
    sandbox: Sandbox, ada: Person, grace: Person, running: Running
) -> None:
    sandbox.fal.pace = "manual"
    notice = await lost_without_a_trace(sandbox, ada, grace)
    sandbox.telegram.faults.add("hang", "editMessageText", ada.chat.id)
    told = len(sandbox.telegram.called("editMessageText"))
    await grace.presses(notice, "Charge it")
    await sandbox.telegram.wait_for(
        lambda: len(sandbox.telegram.called("editMessageText")) > told + 1,
        what="the edit that tells the admin, and the one that hangs",
    )
    [request] = sandbox.fal.requests
    sandbox.fal.start(request)
    sandbox.fal.faults.clear()
    await eventually(is_found, what="the request is found")
    sandbox.telegram.faults.release()
    sandbox.fal.complete(request)
    await ada.chat.wait_for_media("photo")
    await running.all_shown()
    assert (await StoredPerson.get(id=ada.id)).total_spent_nanos == sandbox.fal.bill_total_nanos


@pytest.mark.parametrize("button", ["Release it", "Charge it"])
async def test_what_can_be_read_once_it_was_given_up_is_shown_and_booked(
    sandbox: Sandbox, ada: Person, grace: Person, running: Running, button: str
) -> None:
    notice = await without_a_readable_end(sandbox, ada, grace)
    await grace.presses(notice, button)
    await ada.chat.wait_for_text("There was no answer from fal")
    assert calls(sandbox.fal, "cancel") == 1
    sandbox.fal.faults.clear()
    await ada.chat.wait_for_media("photo")
    [job] = await running.all_shown()
    assert (job.state, job.error) == (JobState.DELIVERED, None)
    assert (await StoredPerson.get(id=ada.id)).total_spent_nanos == IMAGE_NANOS


async def test_a_job_is_told_of_after_a_day_and_not_before(
    sandbox: Sandbox,
    ada: Person,
    grace: Person,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.unended.UNENDED_AFTER", timedelta(days=1))
    sandbox.fal.pace = "manual"
    await ada.sends("/image a red fox")
    [request] = await sandbox.fal.wait_for_requests()
    await eventually(is_found, what="the request is known")
    for hours, notices in ((23, 0), (25, 1), (26, 1)):
        await ContentJob.all().update(submitted_at=now() - timedelta(hours=hours))
        await looked_for_twice()
        assert await Notice.filter(kind="unended").count() == notices, hours
    sandbox.fal.complete(request)
    await ada.chat.wait_for_media("photo")


async def test_a_job_that_has_ended_while_the_bot_was_away_is_told_of_to_nobody(
    sandbox: Sandbox, ada: Person, grace: Person, running: Running
) -> None:
    sandbox.fal.faults.add("hang", "stream", times=None)
    await ada.sends("/image a red fox")
    await eventually(is_found, what="the request is known")
    await looked_for_twice()
    assert not await Notice.filter(kind="unended").exists()
    sandbox.fal.faults.release()
    await ada.chat.wait_for_media("photo")


async def is_found() -> bool:
    return await ContentJob.filter(state=JobState.SUBMITTED).exists()


async def looked_for_twice() -> None:
    moment = now()

    async def third_turn() -> bool:
        # A turn is due a tenth of a second after it was taken: with the third two are through.
        third = moment + timedelta(milliseconds=300)
        return await Turn.filter(name="unended", due_at__gt=third).exists()

    await eventually(third_turn, what="two looks for jobs without an end")
