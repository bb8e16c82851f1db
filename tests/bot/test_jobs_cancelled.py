"""/cancel: before fal has it, in fal's queue, while it runs, too late, and when fal is silent."""

from __future__ import annotations

import pytest

from bot.fal import queue as queue_room
from bot.sandbox import Fault, Sandbox
from bot.sandbox.fal import FalWorld
from bot.sandbox.telegram import Person, TelegramWorld
from db.models import ContentJob, JobState
from db.models import Person as StoredPerson
from tests.support.fal import calls
from tests.support.running import assert_books, running_bot

DOLLAR = 10**9


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch, fal: FalWorld) -> None:
    """Ask again without waiting for it; let jobs at fal wait for the test."""
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(queue_room, "POLL_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(queue_room, "POLL_SLOWEST_SECONDS", 0.01)
    fal.pace = "manual"


async def spent(person: Person) -> tuple[int, int]:
    stored = await StoredPerson.get(id=person.id)
    return int(stored.total_spent_nanos), int(stored.held_nanos)


@pytest.mark.parametrize("shows", ["not_found", "completed"])
async def test_a_job_in_fals_queue_is_taken_out_and_costs_nothing(
    sandbox: Sandbox, ada: Person, database_url: str, shows: str
) -> None:
    sandbox.fal.removed_shows = shows  # type: ignore[assignment]
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        await sandbox.fal.wait_for_requests()
        await sandbox.fal.wait_for(lambda: calls(sandbox.fal, "stream"), what="the watching")
        await ada.sends("/cancel")
        await ada.chat.wait_for_text(r"^🚫 Cancelled\.\n|fal to stop")
        [job] = await running.all_shown()
        assert job.state == JobState.CANCELLED
        assert await spent(ada) == (0, 0)
        status = await ada.chat.wait_for(lambda m: m.id == job.status_message_id)
        assert "It cost nothing" in status.text
        assert status.buttons == []
        await assert_books(running.connection)


async def test_a_running_job_that_fal_does_not_stop_is_shown_and_charged(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        [request] = await sandbox.fal.wait_for_requests()
        sandbox.fal.start(request)
        await sandbox.fal.wait_for(lambda: calls(sandbox.fal, "stream"), what="the watching")
        await ada.sends("/cancel")
        await ada.chat.wait_for_text("I have asked fal to stop")
        assert request.cancel_asked
        sandbox.fal.complete(request)
        await ada.chat.wait_for_media("photo")
        [job] = await running.all_shown()
        assert job.state == JobState.DELIVERED
        assert await spent(ada) == (25_000_000, 0)
        await assert_books(running.connection)


@pytest.mark.parametrize(("billed", "cost_nanos"), [(False, 0), (True, 25_000_000)])
async def test_a_running_job_that_fal_stops_costs_what_is_billed(
    sandbox: Sandbox, ada: Person, database_url: str, billed: bool, cost_nanos: int
) -> None:
    sandbox.fal.cancel_stops_running, sandbox.fal.bills_cancelled = True, billed
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        [request] = await sandbox.fal.wait_for_requests()
        sandbox.fal.start(request)
        await sandbox.fal.wait_for(lambda: calls(sandbox.fal, "stream"), what="the watching")
        await ada.sends("/cancel")
        [job] = await running.all_shown()
        assert job.state == JobState.CANCELLED
        assert await spent(ada) == (cost_nanos, 0)
        assert sandbox.fal.bill_total_nanos == cost_nanos
        status = await ada.chat.wait_for(lambda m: m.id == job.status_message_id)
        assert ("$0.025" if cost_nanos else "It cost nothing") in status.text
        await assert_books(running.connection)


async def test_a_job_that_fal_has_not_got_yet_is_never_sent(
    sandbox: Sandbox, world: TelegramWorld, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        world.faults.add("hang", "sendMessage", ada.id)
        await ada.sends("/image a red fox")
        await world.wait_for(lambda: world.called("sendMessage"), what="the status message")
        await ada.sends("/cancel")
        await ada.chat.wait_for_text(r"Cancelled\. It cost nothing")
        world.faults.release()
        [job] = await running.all_shown()
        assert (job.state, sandbox.fal.requests) == (JobState.CANCELLED, [])
        assert await spent(ada) == (0, 0)
        await assert_books(running.connection)


async def test_a_job_that_is_just_being_sent_is_cancelled_once_it_is_known_where_it_is(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add(Fault("answer_hangs"), "submit")
        await ada.sends("/image a red fox")
        [request] = await sandbox.fal.wait_for_requests()
        await ada.sends("/cancel")
        await ada.chat.wait_for_text("I have asked fal to stop")
        sandbox.fal.faults.release()  # the answer is lost; fal's list has it once it runs
        sandbox.fal.start(request)
        await sandbox.fal.wait_for(lambda: request.cancel_asked, what="the wish at fal")
        sandbox.fal.complete(request)
        [job] = await running.all_shown()
        assert job.state == JobState.DELIVERED
        assert await spent(ada) == (25_000_000, 0)


async def test_it_is_too_late_for_what_is_finished(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    sandbox.fal.pace = "instant"
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        [job] = await running.all_shown()
        await ada.sends("/cancel")
        await ada.chat.wait_for_text("Nothing of yours is under way")
        picture = ada.chat.from_bot[0]
        query = await ada.presses(picture, f"cancel:{job.id}", stale=True)
        assert query.text is not None
        assert "Too late" in query.text
        assert await spent(ada) == (25_000_000, 0)


async def test_what_fal_refuses_to_cancel_goes_on(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        [request] = await sandbox.fal.wait_for_requests()
        await sandbox.fal.wait_for(lambda: calls(sandbox.fal, "stream"), what="the watching")
        sandbox.fal.faults.add("refused", "cancel")
        await ada.sends("/cancel")
        await ada.chat.wait_for_text("Too late")
        sandbox.fal.complete(request)
        await ada.chat.wait_for_media("photo")
        await running.all_shown()
        assert await spent(ada) == (25_000_000, 0)


async def test_a_wish_that_did_not_reach_fal_is_brought_there_later(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        [request] = await sandbox.fal.wait_for_requests()
        await sandbox.fal.wait_for(lambda: calls(sandbox.fal, "stream"), what="the watching")
        sandbox.fal.faults.add("reset", "cancel", times=2)
        await ada.sends("/cancel")
        await ada.chat.wait_for_text("I have asked fal to stop")
        await sandbox.fal.wait_for(lambda: request.cancel_asked, what="the wish at fal")
        [job] = await running.all_shown()
        assert job.state == JobState.CANCELLED
        assert await spent(ada) == (0, 0)
        await assert_books(running.connection)


async def test_a_wish_that_fal_never_hears_does_not_keep_the_result_back(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        [request] = await sandbox.fal.wait_for_requests()
        await sandbox.fal.wait_for(lambda: calls(sandbox.fal, "stream"), what="the watching")
        sandbox.fal.faults.add("unavailable", "cancel", times=None)
        await ada.sends("/cancel")
        await ada.chat.wait_for_text("I have asked fal to stop")
        sandbox.fal.complete(request)
        await ada.chat.wait_for_media("photo")
        await running.all_shown()
        assert (await ContentJob.get()).state == JobState.DELIVERED
