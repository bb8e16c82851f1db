"""Jobs whose answers, results or bills are not as expected: told in a sentence, booked exactly."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Person, TelegramWorld
from db.models import CostSource, JobState
from db.models import Person as StoredPerson
from tests.support.fal import calls
from tests.support.running import ADMIN_ID, assert_books, running_bot

DOLLAR = 10**9
IMAGE_NANOS = 25_000_000

# The databases make no difference here.
pytestmark = pytest.mark.sqlite_only


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting for it."""
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)


async def spent(person: Person) -> int:
    stored = await StoredPerson.get(id=person.id)
    return int(stored.total_spent_nanos)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("rate_limited", "too many requests"),
        ("unavailable", "fal failed while making this"),
        ("unauthorized", "did not accept the key"),
        ("unprocessable", "fal does not take this request"),
    ],
)
async def test_a_refused_submit_is_told_in_a_sentence_and_costs_nothing(
    sandbox: Sandbox, ada: Person, database_url: str, kind: str, says: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add(kind, "submit")
        await ada.sends("/image a red fox")
        told = await ada.chat.wait_for_text(says)
        assert "It cost nothing" in told.text
        [job] = await running.all_shown()
        assert (job.state, calls(sandbox.fal, "submit"), await spent(ada)) == (
            JobState.FAILED,
            1,
            0,
        )
        await assert_books(running.connection)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (422, "content_policy_violation", "content policy"),
        (422, "image_load_error", "picture could not be used"),
        (504, "startup_timeout", "did not start on this in time"),
        (500, "internal_server_error", "fal failed while making this"),
        (400, "something_new", "fal does not take this request"),
    ],
)
async def test_a_job_that_fails_at_fal_is_told_in_a_sentence(
    sandbox: Sandbox, ada: Person, database_url: str, status: int, kind: str, says: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add(Fault("fails", status=status, message=kind), "job")
        await ada.sends("/image a red fox")
        told = await ada.chat.wait_for_text(says)
        assert "It cost nothing" in told.text
        await running.all_shown()
        assert await spent(ada) == sandbox.fal.bill_total_nanos == 0


@pytest.mark.parametrize("kind", ["html", "garbage", "cut", "bad_gateway", "bad_gateway_after"])
async def test_a_result_that_says_nothing_of_the_job_is_asked_for_again_and_charged_once(
    sandbox: Sandbox, ada: Person, database_url: str, kind: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add(kind, "result", times=2)
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_media("photo")
        [job] = await running.all_shown()
        assert (job.state, calls(sandbox.fal, "result")) == (JobState.DELIVERED, 3)
        assert calls(sandbox.fal, "submit") == 1
        assert await spent(ada) == sandbox.fal.bill_total_nanos == IMAGE_NANOS
        await assert_books(running.connection)


async def test_a_lost_request_is_found_within_seconds_although_the_list_is_busy(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 60.0)
    monkeypatch.setattr("bot.jobs.asyncio", SimpleNamespace(sleep=sleep))
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add("answer_lost", "submit")
        for kind in ("rate_limited", "html", "garbage"):
            sandbox.fal.faults.add(Fault(kind, retry_after=0), "requests")
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_media("photo")
        await running.all_shown()
    assert (calls(sandbox.fal, "submit"), calls(sandbox.fal, "requests")) == (1, 4)
    assert pauses == [1.0, 2.0, 4.0]


async def test_a_failed_job_costs_what_fal_bills_for_it(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add(Fault("fails", status=422, units="0.4"), "job")
        await ada.sends("/image a red fox")
        told = await ada.chat.wait_for_text("content policy")
        assert "$0.01" in told.text
        await running.all_shown()
        assert await spent(ada) == sandbox.fal.bill_total_nanos == 10_000_000
        await assert_books(running.connection)


async def test_a_locked_account_is_not_the_persons_budget_and_the_admins_hear_of_it_once(
    sandbox: Sandbox, world: TelegramWorld, ada: Person, database_url: str
) -> None:
    grace = world.person(id=ADMIN_ID, name="Grace", started=True)
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.account.locked = "TOP_UP"
        await ada.sends("/image a red fox")
        told = await ada.chat.wait_for_text("not your budget")
        await grace.chat.wait_for_text("fal has locked the account")
        await ada.sends("/image a blue fox")
        await ada.chat.wait_for_text("the admins have been told", after=told)
        await running.all_shown()
        assert calls(sandbox.fal, "submit") == 1
        assert len([m for m in grace.chat.from_bot if "locked the account" in m.text]) == 1
        assert await spent(ada) == 0
        await assert_books(running.connection)


async def test_a_result_without_units_is_charged_its_quote(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add("no_units", "result")
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_media("photo")
        [job] = await running.all_shown()
        assert (job.cost_source, job.cost_nanos) == (CostSource.QUOTE, job.quote_nanos)


async def test_more_than_the_quote_is_booked_and_told_to_the_admins(
    sandbox: Sandbox, world: TelegramWorld, ada: Person, database_url: str
) -> None:
    grace = world.person(id=ADMIN_ID, name="Grace", started=True)
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=30_000_000)
        sandbox.fal.faults.add(Fault("units", units="2"), "job")
        await ada.sends("/image a red fox")
        picture = await ada.chat.wait_for_media("photo")
        assert "🔴 -$0.02 of $0.03 left" in picture.text
        told = await grace.chat.wait_for_text("fal billed more than was quoted")
        assert "$0.025" in told.text
        assert "$0.05" in told.text
        await running.all_shown()
        assert await spent(ada) == sandbox.fal.bill_total_nanos == 50_000_000
        await assert_books(running.connection)


async def test_a_blackened_picture_is_shown_as_such_and_charged(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=DOLLAR)
        sandbox.fal.faults.add("flagged", "job")
        await ada.sends("/image a red fox")
        picture = await ada.chat.wait_for_media("photo")
        assert "safety filter" in picture.text
        await running.all_shown()
        assert await spent(ada) == IMAGE_NANOS
