"""A result that cannot be shown, and whose address does not fit into a message either."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Person
from bot.settling import file_of
from db.models import ContentJob, JobState
from tests.support.running import assert_books, running_bot

# The databases make no difference here.
pytestmark = pytest.mark.sqlite_only


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting for it."""
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)


async def test_a_file_that_cannot_be_fetched_and_has_no_address_to_tell_ends_with_a_sentence(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fal = sandbox.fal
    address = f"{fal.storage.cdn_url}/files/{'a' * 5000}.png"
    monkeypatch.setattr(fal.storage, "url", lambda file: address)
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=10**9)
        await ada.sends("/image a red fox")

        def tries() -> bool:
            return sum(call.operation == "media" for call in fal.calls) > 3

        await fal.wait_for(tries, what="some tries")
        assert (await ContentJob.get()).shown_at is None
        monkeypatch.setattr("bot.delivery.LINK_AFTER", timedelta(0))
        told = await ada.chat.wait_for_text("address is too long")
        [job] = await running.all_shown()
        assert f"job {job.id}" in told.text
        assert "🟢 $0.975 of $1.00 left" in told.text
        assert (job.state, job.cost_nanos) == (JobState.DELIVERED, 25_000_000)
        assert file_of(job)["url"] == address  # for the admin who looks it up
        await assert_books(running.connection)


@pytest.mark.parametrize("kind", ["image", "video"])
async def test_a_file_that_a_model_answers_itself_and_is_too_large_ends_with_a_sentence(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    address = "data:image/png;base64," + "AAAA" * 2000
    monkeypatch.setattr(sandbox.fal.storage, "url", lambda file: address)
    monkeypatch.setattr("bot.delivery.FILE_LIMIT_BYTES", 100)
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends(f"/{kind} a red fox")
        await ada.chat.wait_for_text("address is too long")
        [job] = await running.all_shown()
        assert job.state == JobState.DELIVERED
