"""The sandbox as a server in the caller's loop."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import httpx

from bot.sandbox import Sandbox
from bot.sandbox.telegram import description


async def test_it_starts_and_stops_fast_with_people_still_connected() -> None:
    before = signal.getsignal(signal.SIGINT)
    started = time.monotonic()
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        async with Sandbox() as sandbox:
            url = f"{sandbox.environment()['TELEGRAM_API_URL']}/bot{sandbox.telegram.token}"
            polling = asyncio.create_task(client.get(f"{url}/getUpdates?timeout=30"))
            sandbox.telegram.faults.add("hang", method="getMe")
            hanging = asyncio.create_task(client.get(f"{url}/getMe"))
            watching = asyncio.create_task(client.get(f"{sandbox.base_url}/control/events"))
            await sandbox.telegram.wait_for(lambda: sandbox.telegram.updates.polling)
            await sandbox.telegram.wait_for(lambda: sandbox.telegram.calls)
            await client.get(f"{sandbox.base_url}/control/state")
        results = await asyncio.gather(polling, hanging, watching, return_exceptions=True)
    assert all(isinstance(result, httpx.TransportError) for result in results), results
    assert time.monotonic() - started < 5
    assert signal.getsignal(signal.SIGINT) is before


async def test_two_sandboxes_do_not_know_each_other() -> None:
    async with Sandbox() as one, Sandbox() as two:
        one.telegram.person(id=1, name="Ada")
        assert one.port != two.port
        assert two.telegram.people == {}


async def test_a_port_can_be_chosen() -> None:
    async with Sandbox() as first:
        port = first.port
    async with Sandbox(port=port) as again:
        assert again.base_url == f"http://127.0.0.1:{port}"


def test_every_described_method_is_answered() -> None:
    from bot.sandbox.telegram.dispatch import METHODS

    assert METHODS.keys() == description.description()["methods"].keys()


def test_the_files_stay_small_enough_to_hold_in_the_head() -> None:
    room = Path(description.__file__).parents[1]
    long = {
        str(path): lines
        for path in room.rglob("*.py")
        if (lines := len(path.read_text("utf-8").splitlines())) > 400
    }
    assert long == {}
