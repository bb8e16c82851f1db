"""A job's life, from the command to the picture in the chat, over HTTP and in a real database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.fal import queue as queue_room
from bot.sandbox import Fault, Sandbox
from bot.sandbox.fal.world import FalCall
from bot.sandbox.telegram import Person
from bot.screen.chat import mark_blocked
from db.models import ContentJob, CostSource, JobState, Notice
from db.models import Person as StoredPerson
from tests.support.fal import calls
from tests.support.running import assert_books, running_bot
from tests.support.waiting import eventually

DOLLAR = 10**9
IMAGE_NANOS = 25_000_000


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting for it."""
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)


async def spent(person: Person) -> int:
    stored = await StoredPerson.get(id=person.id)
    return int(stored.total_spent_nanos)


async def test_a_command_becomes_a_picture_that_is_charged_as_billed(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        picture = await ada.chat.wait_for_media("photo")
        assert "🟢 $0.975 of $1.00 left (97 %)" in picture.text
        [job] = await running.all_shown()
        assert job.state == JobState.DELIVERED
        assert job.cost_source == CostSource.UNITS
        assert job.cost_nanos == sandbox.fal.bill_total_nanos == IMAGE_NANOS
        assert [message.id for message in ada.chat.from_bot] == [job.status_message_id]
        await assert_books(running.connection)


@pytest.mark.slow
async def test_of_three_hundred_at_once_exactly_those_that_are_paid_for_reach_fal(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    money = 37 * IMAGE_NANOS + IMAGE_NANOS - 1
    async with running_bot(
        sandbox, database_url, max_active_jobs=300, commands_per_minute=1000
    ) as running:
        await running.let_in(ada, budget_nanos=money)
        for number in range(300):
            await ada.sends(f"/image fox {number}")
        await sandbox.fal.wait_for_requests(37, timeout=60)
        await sandbox.telegram.wait_for(
            lambda: len([m for m in ada.chat.from_bot if "Nothing was sent" in m.text]) == 263,
            timeout=60,
            what="263 refusals",
        )
        jobs = await running.all_shown(37, timeout=60)
        assert [job.state for job in jobs] == [JobState.DELIVERED] * 37
        assert (len(sandbox.fal.requests), calls(sandbox.fal, "submit")) == (37, 37)
        assert sum(message.kind == "photo" for message in ada.chat.from_bot) == 37
        assert await spent(ada) == sandbox.fal.bill_total_nanos == 37 * IMAGE_NANOS
        await assert_books(running.connection)


async def test_only_so_many_jobs_of_a_person_are_under_way(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    sandbox.fal.pace = "manual"
    async with running_bot(sandbox, database_url, max_active_jobs=2) as running:
        await running.let_in(ada)
        for number in range(3):
            await ada.sends(f"/image fox {number}")
        await ada.chat.wait_for_text("already have 2 jobs under way")
        for request in await sandbox.fal.wait_for_requests(2):
            sandbox.fal.complete(request)
        assert len(await running.all_shown(2)) == 2


# -------------------------------------------------------------------------- answers that are lost


@pytest.mark.parametrize("kind", ["answer_lost", "cut", "html", "garbage", "bad_gateway_after"])
async def test_a_lost_answer_is_found_again_and_never_paid_twice(
    sandbox: Sandbox, ada: Person, database_url: str, kind: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add(kind, "submit")
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_media("photo")
        [job] = await running.all_shown()
        assert (len(sandbox.fal.requests), calls(sandbox.fal, "submit")) == (1, 1)
        assert job.request_id == sandbox.fal.requests[0].request_id
        assert await spent(ada) == sandbox.fal.bill_total_nanos == IMAGE_NANOS
        await assert_books(running.connection)


@pytest.mark.parametrize("kind", ["reset", "bad_gateway"])
async def test_a_request_that_never_arrived_is_given_up_once_that_is_sure(
    sandbox: Sandbox,
    ada: Person,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add(kind, "submit")
        await ada.sends("/image a red fox")
        await sandbox.fal.wait_for(lambda: calls(sandbox.fal, "requests") >= 2, what="two looks")
        job = await ContentJob.get()
        assert (job.state, job.is_held) == (JobState.UNKNOWN, True)  # it might only be late

        monkeypatch.setattr("bot.lost.SURE_AFTER", timedelta(0))
        told = await ada.chat.wait_for_text("never reached fal")
        assert "$1.00 of $1.00 left (100 %)" in told.text
        await running.all_shown()
        assert (calls(sandbox.fal, "submit"), sandbox.fal.requests) == (1, [])
        await assert_books(running.connection)


async def test_a_list_that_cannot_be_read_decides_nothing(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.lost.SURE_AFTER", timedelta(0))
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add("answer_lost", "submit")
        for kind in ("rate_limited", "html", "unauthorized", "reset", "server_error"):
            sandbox.fal.faults.add(Fault(kind, retry_after=0), "requests")
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_media("photo")
        assert calls(sandbox.fal, "requests") == 6
        assert len(sandbox.fal.requests) == 1


async def test_what_could_not_be_sent_at_all_is_tried_again_and_then_told(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.jobs.SUBMIT_ATTEMPTS", 2)
    async with running_bot(
        sandbox, database_url, fal_queue_url="http://127.0.0.1:1/nobody"
    ) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_text("fal cannot be reached just now")
        await running.all_shown()
        assert await spent(ada) == 0
        await assert_books(running.connection)


# ------------------------------------------------------------------------------ taken up again


async def test_a_stop_leaves_running_jobs_to_the_next_start(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    sandbox.fal.pace = "manual"
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        [request] = await sandbox.fal.wait_for_requests()
        await running.stop()
        sandbox.fal.complete(request)
        await running.start()
        await ada.chat.wait_for_media("photo")
        await running.all_shown()
        assert calls(sandbox.fal, "submit") == 1
        await assert_books(running.connection)


async def test_a_stop_waits_for_the_answer_to_a_submit_and_no_longer(
    sandbox: Sandbox,
    ada: Person,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("bot.serving.SUBMIT_GRACE_SECONDS", 60)
    sandbox.fal.pace = "manual"
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add(Fault("slow", seconds=0.3), "submit")
        await ada.sends("/image a red fox")
        await sandbox.fal.wait_for(lambda: calls(sandbox.fal, "submit"), what="the submit")
        await running.stop()
        job = await ContentJob.get()
        assert (job.state, job.request_id is None) == (JobState.SUBMITTED, False)
    assert "not everything could be ended in time" not in caplog.text


async def test_somebody_who_blocked_the_bot_gets_the_result_when_they_write_again(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    sandbox.fal.pace = "manual"
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        await ada.sends("/image a red fox")
        [request] = await sandbox.fal.wait_for_requests()
        ada.blocks_bot()
        sandbox.fal.complete(request)

        async def noticed() -> bool:
            return await StoredPerson.exists(id=ada.id, blocked_at__not_isnull=True)

        await eventually(noticed, what="that they blocked the bot")
        job = await ContentJob.get()
        assert (job.state, job.shown_at) == (JobState.FINISHED, None)
        await ada.sends("/budget")
        await ada.chat.wait_for_media("photo")
        await running.all_shown()
        await assert_books(running.connection)


async def test_a_result_that_took_long_is_followed_by_a_short_reply(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.jobs.READY_NOTICE_AFTER", timedelta(0))
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends("/image a red fox")
        reply = await ada.chat.wait_for_text("Your picture is ready")
        picture = await ada.chat.wait_for_media("photo")
        assert reply.reply_to is picture
        await running.all_shown()
        assert await Notice.filter(kind="ready").count() == 1


async def test_a_quick_result_is_followed_by_nothing(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends("/image a red fox")
        await running.all_shown()
        assert await Notice.all().count() == 0


async def test_progress_is_shown_while_it_is_made(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ROUND_SECONDS", "MESSAGE_SECONDS"):
        monkeypatch.setattr(f"bot.screen.painter.{name}", 0.01)
    sandbox.fal.pace = "manual"
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends("/image a red fox")
        await ada.sends("/image a blue fox")
        first, second = await sandbox.fal.wait_for_requests(2)
        await ada.chat.wait_for_text("In the queue, 1 ahead")
        sandbox.fal.start(first)
        await ada.chat.wait_for_text(r"▰.* 0:0\d")
        sandbox.fal.complete(first)
        sandbox.fal.complete(second)
        await running.all_shown(2)


async def test_more_jobs_than_streams_are_looked_at_until_it_is_their_turn(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process has only so many files that it can open."""
    monkeypatch.setattr("bot.calls.STREAMS", 1)
    monkeypatch.setattr("bot.calls.LOOK_AFTER_SECONDS", 0.05)
    sandbox.fal.pace, sandbox.fal.concurrency = "manual", 3
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        for prompt in ("red", "green", "blue"):
            await ada.sends(f"/image a {prompt} fox")
        requests = await sandbox.fal.wait_for_requests(3)
        await sandbox.fal.wait_for(lambda: len(_streams(sandbox)) == 1)
        [watched] = (one for one in requests if one.request_id in _streams(sandbox)[0].url)
        for request in requests:
            if request is not watched:
                sandbox.fal.complete(request)

        async def two_are_shown() -> bool:
            return await ContentJob.exclude(shown_at=None).count() == 2

        await eventually(two_are_shown)
        assert len(_streams(sandbox)) == 1
        sandbox.fal.complete(watched)
        await running.all_shown(3)
        await ada.sends("/image a grey fox")
        last = (await sandbox.fal.wait_for_requests(4))[-1]
        await sandbox.fal.wait_for(lambda: len(_streams(sandbox)) == 2, what="the next stream")
        sandbox.fal.complete(last)
        await running.all_shown(4)


def _streams(sandbox: Sandbox) -> list[FalCall]:
    return [call for call in sandbox.fal.calls if call.operation == "stream"]


async def test_a_stream_that_is_cut_delays_nothing(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_room, "POLL_FIRST_SECONDS", 0.01)
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        sandbox.fal.faults.add("cut", "stream")
        sandbox.fal.faults.add("reset", "status")
        sandbox.fal.faults.add("garbage", "result")
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_media("photo")
        await running.all_shown()


async def test_an_order_that_comes_twice_is_made_once(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends("/image a red fox")
        update = sandbox.telegram.updates.pending[-1]
        await running.all_shown()
        sandbox.telegram.push_update(update)
        sandbox.telegram.push_update({**update, "update_id": update["update_id"] + 1000})
        await sandbox.telegram.wait_until_heard()
        await ada.sends("/budget")
        await ada.chat.wait_for_text("Budget")
        assert (await ContentJob.all().count(), len(sandbox.fal.requests)) == (1, 1)


async def test_who_writes_again_at_the_very_moment_is_not_missed(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the job has come to rest for somebody who cannot be reached, they can be."""

    async def mark_blocked_and_hear_of_them(person_id: int) -> None:
        await mark_blocked(person_id)
        await ada.sends("/help")
        await ada.chat.wait_for_text("/image")

    monkeypatch.setattr("bot.delivery.mark_blocked", mark_blocked_and_hear_of_them)
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        sandbox.telegram.faults.add("blocked", "editMessageMedia")
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_media("photo")
        [job] = await running.all_shown()
        assert job.state == JobState.DELIVERED
