"""A job's life, from the command to the picture in the chat, over HTTP and in a real database."""

from __future__ import annotations

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Person
from db.models import CostSource, JobState
from tests.support.running import assert_books, running_bot

DOLLAR = 10**9


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
        assert job.cost_nanos == sandbox.fal.bill_total_nanos == 25_000_000
        await assert_books(running.connection)
