"""A kill between any two steps of a job, then a start: delivered once, charged once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Person as TelegramPerson
from bot.sandbox.telegram import plain_photo
from db.models import ContentJob, JobState, Notice, Person, SeenUpdate
from tests.support.dying import Mortal
from tests.support.running import Running, assert_books, running_bot
from tests.support.waiting import eventually

MOST_STEPS = 100
# Enough for one, and then less than a quarter remains.
BUDGETS = {"image": 30_000_000, "image from a photo": 36_000_000, "video": 600_000_000}
MUST_SEE = {"image": "/editMessageMedia", "image from a photo": "/upload", "video": "/stream"}


async def _order(kind: str, person: TelegramPerson, words: str) -> None:
    if kind == "image":
        await person.sends(f"/image {words}")
    elif kind == "video":
        await person.sends(f"/video {words}")
    else:
        await person.sends_photo(plain_photo(), f"/image {words}")


async def _is_over(person: TelegramPerson, update_id: int) -> bool:
    """Whether everything that a command leads to has been done and recorded."""
    return (
        await ContentJob.exists(person_id=person.id, shown_at__not_isnull=True)
        and not await Notice.exists(person_id=person.id, closed_at=None)
        and await SeenUpdate.exists(id=update_id, body=None)
    )


async def _check(running: Running, sandbox: Sandbox, person: TelegramPerson, words: str) -> None:
    job = await ContentJob.get(person_id=person.id)
    sent = [one for one in sandbox.fal.requests if one.arguments["prompt"] == words]
    shown = [message for message in person.chat.from_bot if message.kind in ("photo", "video")]
    stored = await Person.get(id=person.id)
    alerts = await Notice.filter(person_id=person.id, kind="alert").count()
    alerts_seen = [message for message in person.chat.from_bot if message.text.startswith("🔴")]
    if sent:
        assert job.state == JobState.DELIVERED
        assert [one.request_id for one in sent] == [job.request_id]
        bill = sandbox.fal.bill_of(sent[0])
        assert bill is not None
        assert stored.total_spent_nanos == job.cost_nanos == bill.total_nanos > 0
        assert (len(shown), alerts) == (1, 1)
        # A notice may come twice when the process dies between sending and recording it.
        assert len(alerts_seen) in (1, 2)
    else:
        # It died when it was about to send: fal surely has nothing, and the person is told.
        assert (job.state, job.error, job.cost_nanos) == (JobState.FAILED, "lost", 0)
        assert any("never reached fal" in message.text for message in person.chat.from_bot)
        assert (stored.total_spent_nanos, shown, alerts) == (0, [], 0)
    assert stored.held_nanos == 0
    await assert_books(running.connection)


@pytest.mark.slow
async def test_a_kill_after_any_step_loses_nothing_and_doubles_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _kill_after_each_step("image", database_url, monkeypatch)


@pytest.mark.slow
@pytest.mark.sqlite_only
@pytest.mark.parametrize("kind", ["image from a photo", "video"])
async def test_a_kill_spares_other_kinds_of_jobs_as_well(
    database_url: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    await _kill_after_each_step(kind, database_url, monkeypatch)


async def _kill_after_each_step(
    kind: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.lost.SURE_AFTER", timedelta(0))
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("db.outbox.CLAIMED_FOR", timedelta(0))
    mortal = Mortal(monkeypatch)
    steps: list[str] = []
    async with Sandbox() as sandbox, running_bot(sandbox, database_url) as running:
        for step in range(MOST_STEPS):
            person = sandbox.telegram.person(id=10_000 + step, name="Ada")
            words = f"fox number {step}"
            await running.let_in(person, budget_nanos=BUDGETS[kind])
            mortal.live(step)
            await _order(kind, person, words)
            update = sandbox.telegram.updates.pending[-1]

            async def over(
                person: TelegramPerson = person, update_id: int = update["update_id"]
            ) -> bool:
                return mortal.died.is_set() or await _is_over(person, update_id)

            await eventually(over, what=f"the end of {words}, after {mortal.steps}")
            if not mortal.died.is_set():
                steps = list(mortal.steps)
                mortal.live()
                break
            await running.kill()
            mortal.live()
            # Telegram delivers again what a dead process had not confirmed.
            sandbox.telegram.push_update(update)
            await running.start()

            async def recovered(
                person: TelegramPerson = person, update_id: int = update["update_id"]
            ) -> bool:
                return await _is_over(person, update_id)

            await eventually(recovered, what=f"the recovery of {words}, killed at {step}")
            await _check(running, sandbox, person, words)
        await _check(running, sandbox, person, words)
    assert any(MUST_SEE[kind] in words for words in steps), steps
    assert len(steps) > 12, steps
