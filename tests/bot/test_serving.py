"""Starting and stopping, when Telegram and fal are not as one would wish."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bot.sandbox import Sandbox
from bot.sandbox.faults import Fault
from bot.serving import StartError
from tests.handlers.house import House
from tests.support.ports import free_ports
from tests.support.running import running_bot

LEFT = "🟢 $1.00 of $1.00 left (100 %)"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(pace="manual") as running:
        yield running


@pytest.fixture
async def house(sandbox: Sandbox, database_url: str) -> AsyncIterator[House]:
    """A bot that is not started yet."""
    async with running_bot(sandbox, database_url, start=False) as running:
        yield House(sandbox, running)


def called_back() -> dict[str, Any]:
    """The settings of a bot that is called."""
    [port] = free_ports()
    return {"public_url": "https://bot.example", "listen": f"127.0.0.1:{port}"}


@pytest.mark.sqlite_only
async def test_the_first_order_is_quoted_by_what_fal_says_now(house: House) -> None:
    bea = await house.member(dollars="1")
    price = house.fal.prices["fal-ai/flux/dev"]
    house.fal.prices["fal-ai/flux/dev"] = replace(price, unit_price=Decimal("0.04"))
    house.fal.faults.add(Fault("slow", seconds=0.3), "pricing")
    await bea.sends("/image a red fox")
    await house.running.start()
    assert "$0.04 at most\n" in (await bea.chat.next_message()).text


@pytest.mark.sqlite_only
async def test_a_price_list_that_does_not_come_keeps_nobody_waiting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.serving.PRICES_WITHIN_SECONDS", 0.1)
    bea = await house.member(dollars="1")
    house.fal.faults.add("hang", "pricing")
    await house.running.start()
    assert (await house.says(bea, "/budget")).endswith(LEFT)


@pytest.mark.sqlite_only
async def test_a_conflict_now_and_then_ends_nothing(house: House) -> None:
    """As while a process is replaced by another, three times."""
    bea = await house.member(dollars="1")
    updates = house.telegram.updates
    await house.running.start()
    for _ in range(3):
        await house.telegram.wait_for(lambda: updates.polling)
        await updates.poll()  # somebody else's
        assert (await house.says(bea, "/budget")).endswith(LEFT)
        await house.telegram.wait_until_heard()


@pytest.mark.sqlite_only
async def test_a_public_url_that_telegram_refuses_is_told(
    sandbox: Sandbox, database_url: str
) -> None:
    words = "bad webhook: failed to resolve host: Name or service not known"
    sandbox.telegram.faults.add(Fault("refused", message=words), "setWebhook")
    async with running_bot(sandbox, database_url, start=False, **called_back()) as running:
        with pytest.raises(StartError, match=r"PUBLIC_URL was refused by Telegram \(.*resolve"):
            await running.start()


@pytest.mark.sqlite_only
async def test_a_start_with_callbacks_waits_for_telegram(
    sandbox: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.screen.flood.ATTEMPTS", 1)
    sandbox.telegram.faults.add("bad_gateway", "setWebhook")
    async with running_bot(sandbox, database_url, start=True, **called_back()):
        assert sandbox.telegram.updates.webhook is not None


async def test_it_ends_in_time_while_telegram_hangs_and_leaves_no_job_behind(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    bea = await house.member(dollars="1")
    await house.running.start()
    await bea.sends("/image a red fox")
    [request] = await house.fal.wait_for_requests(1)
    await bea.chat.next_message()
    hanging = [house.telegram.faults.add("hang", m, times=None) for m in ("getUpdates", None)]
    await bea.sends("/budget")
    asked_at = time.monotonic()
    await house.running.stop()
    assert time.monotonic() - asked_at < 10
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    for order in hanging:
        order.times = 0
    house.fal.complete(request)
    await house.running.start()
    await bea.chat.wait_for_media()
    await house.running.all_shown()
    assert len(house.fal.requests) == 1
