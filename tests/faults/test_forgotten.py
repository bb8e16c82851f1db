"""After /forget nothing that a person typed or showed is anywhere in the database."""

from __future__ import annotations

import pytest

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Content, plain_photo
from db.models import ContentJob, Person
from tests.faults.test_secrets import all_stored
from tests.handlers.house import House
from tests.support.running import assert_books, running_bot
from tests.support.waiting import eventually

WORDS = "a-prompt-that-is-private"
NAME, USERNAME = "Malvina", "malvina_the_great"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting for it."""
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)


async def test_after_forget_nothing_private_is_left_and_the_amounts_are(
    sandbox: Sandbox, database_url: str
) -> None:
    async with running_bot(sandbox, database_url, default_budget="5") as running:
        house = House(sandbox, running)
        ada = await house.admin()
        mal = sandbox.telegram.person(id=666, name=NAME, username=USERNAME, language="en")
        await house.answer(mal, "/start")
        await ada.presses(await ada.chat.next_message(), "✅ Approve")
        await mal.chat.wait_for_text("You are in")
        await mal.sends(f"/image {WORDS}")
        await mal.sends_photo(plain_photo(), f"/video {WORDS}")
        sandbox.fal.faults.add("unprocessable", "submit", endpoint="fal-ai/flux/dev")
        await mal.sends(f"/image {WORDS}")
        await mal.sends(f"{WORDS} without a command")
        await mal.chat.wait_for_text("Shall I make something")
        jobs = await running.all_shown(3)
        private = {WORDS, NAME, USERNAME, *(job.file_id for job in jobs if job.file_id)}
        private |= {job.source_file_id for job in jobs if job.source_file_id}
        before = await all_stored(running.connection)
        assert len(private) >= 5
        assert {text for text in private if text not in before} == set()

        total = (await Person.get(id=mal.id)).total_spent_nanos
        asked = mal.chat.add(Content("Shall I forget"), None)
        await mal.presses(asked, f"forget:{mal.id}", stale=True)

        async def forgotten() -> bool:
            stored = await all_stored(running.connection)
            return not any(text in stored for text in private)

        await eventually(forgotten, 10, "nothing of it in the database")
        assert (await Person.get(id=mal.id)).total_spent_nanos == total > 0
        assert await ContentJob.all().count() == 3
        await assert_books(running.connection)


async def test_results_at_fal_expire_as_the_settings_say(
    sandbox: Sandbox, database_url: str
) -> None:
    async with running_bot(sandbox, database_url, result_retention_days=3) as running:
        house = House(sandbox, running)
        bea = await house.member()
        await bea.sends_photo(plain_photo(), "/image x")
        await running.all_shown()
        for file in sandbox.fal.storage.files.values():
            assert file.expires_at is not None
            left = file.expires_at - sandbox.clock.now()
            assert 3 * 86_400 - 60 < left.total_seconds() <= 3 * 86_400
