"""A request that fal's list shows only after its hold was released."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.sandbox import Sandbox
from db.audit import verify
from db.models import ContentJob, JobState, Person
from tests.support.running import running_bot
from tests.support.waiting import eventually


async def test_a_request_that_waited_out_of_sight_is_still_shown_and_booked(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.lost.SURE_AFTER", timedelta(0))
    monkeypatch.setattr("bot.serving.LOST_EVERY", timedelta(milliseconds=100))
    async with Sandbox(pace="manual") as sandbox:
        ada = sandbox.telegram.person(id=1, name="Ada", started=True)
        async with running_bot(sandbox, database_url) as running:
            await running.let_in(ada, budget_nanos=10**9)
            sandbox.fal.faults.add("answer_lost", "submit")
            await ada.sends("/image a patient fox")
            told = await ada.chat.wait_for_text("never reached fal")
            job = (await running.all_shown())[0]
            assert (job.state, job.cost_nanos, job.is_held) == (JobState.FAILED, 0, False)

            [request] = sandbox.fal.requests
            sandbox.fal.start(request)
            sandbox.fal.complete(request)
            await ada.chat.wait_for_media()

            async def booked() -> bool:
                return await ContentJob.filter(state=JobState.DELIVERED).exists()

            await eventually(booked, what="the job is delivered")
            person = await Person.get(id=1)
            assert person.total_spent_nanos == sandbox.fal.bill_total_nanos == 25_000_000
            assert person.held_nanos == 0
            assert await verify(running.connection) == []
            shown = [message for message in ada.chat.from_bot if message.kind == "photo"]
            assert [message.id for message in shown] == [told.id]
            assert len(sandbox.fal.requests) == 1


@pytest.mark.parametrize("billed_units", [None, Decimal(1)])
async def test_a_request_that_is_found_late_and_has_failed_ends_with_its_reason(
    database_url: str, monkeypatch: pytest.MonkeyPatch, billed_units: Decimal | None
) -> None:
    monkeypatch.setattr("bot.lost.SURE_AFTER", timedelta(0))
    monkeypatch.setattr("bot.serving.LOST_EVERY", timedelta(milliseconds=100))
    async with Sandbox(pace="manual") as sandbox:
        ada = sandbox.telegram.person(id=1, name="Ada", started=True)
        async with running_bot(sandbox, database_url) as running:
            await running.let_in(ada, budget_nanos=10**9)
            sandbox.fal.faults.add("answer_lost", "submit")
            await ada.sends("/image a patient fox")
            await ada.chat.wait_for_text("never reached fal")
            await running.all_shown()

            [request] = sandbox.fal.requests
            sandbox.fal.fail(request, 422, "content_policy_violation", billed_units=billed_units)
            await ada.chat.wait_for_text("content policy")
            [job] = await running.all_shown()
            assert (job.state, job.error, job.is_held) == (JobState.FAILED, "policy", False)
            person = await Person.get(id=1)
            assert person.total_spent_nanos == sandbox.fal.bill_total_nanos == job.cost_nanos
            asked = [call for call in sandbox.fal.calls if call.operation == "result"]
            assert len(asked) == 1
            assert await verify(running.connection) == []
