"""The alert of a budget that runs low: one at each crossing."""

from __future__ import annotations

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Person
from db.models import Notice
from tests.support.running import running_bot
from tests.support.waiting import eventually

DOLLAR = 10**9


async def test_each_crossing_is_announced_once_and_armed_again_by_a_new_budget(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    def alerts() -> list[str]:
        return [m.text.split("\n")[0] for m in ada.chat.from_bot if "running low" in m.text]

    async def all_told() -> bool:
        return not await Notice.filter(closed_at=None).exists()

    async with running_bot(sandbox, database_url, max_active_jobs=10) as running:
        await running.let_in(ada, budget_nanos=DOLLAR // 10)  # four pictures
        for number in range(4):
            await ada.sends(f"/image fox {number}")
            await running.all_shown(number + 1)
        await eventually(all_told, what="all alerts")
        assert alerts() == ["🔴 $0.00 of $0.10 left (0 %)"]

        await ada.sends("/setbudget 0.10")
        await ada.chat.wait_for_text("Your budget is now")
        for number in range(4, 8):
            await ada.sends(f"/image fox {number}")
        await running.all_shown(8)
        await eventually(all_told, what="all alerts")
        assert alerts() == ["🔴 $0.00 of $0.10 left (0 %)"] * 2


async def test_an_alert_of_two_crossings_comes_as_two_and_of_one_leap_as_one(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=32_000_000)
        await ada.sends("/image a red fox")
        alert = await ada.chat.wait_for_text("running low")
        assert alert.text.startswith("🔴 $0.007 of $0.032 left (21 %)")
        await running.all_shown()
        assert await Notice.filter(kind="alert").count() == 1
