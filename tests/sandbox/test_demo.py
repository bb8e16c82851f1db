"""The demo, as a newcomer starts it, and the tour."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from bot.__main__ import main
from bot.sandbox import tour
from bot.sandbox.demo import demo, stage
from bot.sandbox.fal import Price

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("logging_as_before")


@asynccontextmanager
async def demo_process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m bot demo` as a process, which is gone at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "demo",
        *arguments,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "CI": "true"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def lines_until(process: asyncio.subprocess.Process, wanted: str) -> list[str]:
    """What the process says, up to the line with `wanted`."""
    assert process.stdout is not None
    said: list[str] = []
    async with asyncio.timeout(60):
        while not said or wanted not in said[-1]:
            line = await process.stdout.readline()
            assert line, f"it said {said} and ended"
            said.append(line.decode().rstrip("\n"))
    return said


async def test_the_tour_plays_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert await demo(port=0, tour=True) == 0
    said, complaints = capsys.readouterr()
    assert complaints == ""
    story = [
        "/start",
        "presses [✅ Approve]",
        "You are in!",
        "Spent: $0.00",
        "/setbudget 1.00",
        "[photo 1024x768] 🖼 Your picture",
        "🟢 $0.945 of $1.00 left (94 %)",
        "(in reply to photo 1024x768) /video",
        "[video] 🎬 Your video",
        "🟡 $0.445 of $1.00 left (44 %)",
        "🔴 $0.235 of $1.00 left (23 %)",
        "Your budget is running low",
        "$0.50 at most, and $0.235 is available",
        "🟢 $5.00 of $5.00 left (100 %)",
        "[Open the fal.ai dashboard]",
        "fal got 4 requests and billed $0.765",
    ]
    at = 0
    for part in story:
        assert part in said[at:], f"{part!r} is missing, or too early, in\n{said}"
        at = said.index(part, at) + len(part)


async def test_a_tour_that_goes_wrong_says_what_was_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tour, "PATIENCE_SECONDS", 1.0)
    said: list[str] = []
    async with stage(pace="manual") as on:
        with pytest.raises(tour.TourError, match=r"not within 1\.0 s: .*a photo with the status"):
            await tour.play(on.sandbox, on.admin, on.member, said.append)
    assert "/image a lighthouse at dawn" in said[-2] + said[-1]


async def test_a_tour_that_goes_wrong_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(*_: object) -> None:
        raise tour.TourError("the bot said nothing.")

    monkeypatch.setattr("bot.sandbox.demo.play", play)
    assert await demo(port=0, tour=True) == 1
    assert "The tour ends here: the bot said nothing." in capsys.readouterr().err


async def test_the_prices_of_the_sandbox_are_the_ones_the_tour_counts_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tour, "PATIENCE_SECONDS", 1.0)
    async with stage(pace="instant") as on:
        on.sandbox.fal.prices["fal-ai/flux/dev"] = Price("images", Decimal("0.03"))
        with pytest.raises(tour.TourError):
            await tour.play(on.sandbox, on.admin, on.member, lambda _: None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_the_chat_until_a_signal_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path
) -> None:
    async with demo_process("--port", "0") as process:
        (line,) = await lines_until(process, "The chat is at")
        url = line.split()[4]
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            page = await http.get("/")
            assert page.headers["content-type"].startswith("text/html")
            assert "default-src 'none'" in page.headers["content-security-policy"]
            state = (await http.get("/control/state")).json()
        assert [person["name"] for person in state["telegram"]["people"]] == ["Ada", "Ben"]
        assert state["fal"]["pace"] == "paced"
        process.send_signal(number)
        said, complaints = await asyncio.wait_for(process.communicate(), 15)
        assert (process.returncode, said, complaints) == (0, b"", b"")


async def test_a_taken_port_is_told_and_the_next_one_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with demo_process("--port", str(port)) as process:
            first, *_, last = await lines_until(process, "The chat is at")
    assert first.startswith(f"Port {port} is taken, so it is port ")
    assert f"127.0.0.1:{port}/" not in last


def test_a_port_that_cannot_be_had_is_told_in_a_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--port", "65536"]) == 2
    assert capsys.readouterr().err == "There is no port 65536: it is a number up to 65535.\n"


def test_the_page_needs_nothing_from_elsewhere_and_fits_in_the_head() -> None:
    own = {"http://www.w3.org/2000/svg", "https://t.me/"}
    for path in (ROOT / "bot" / "sandbox" / "page").rglob("*.*"):
        source = path.read_text("utf-8")
        assert len(source.splitlines()) <= 400, path
        assert set(re.findall(r"https?://[\w./]*", source)) <= own, path
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(", source), path
