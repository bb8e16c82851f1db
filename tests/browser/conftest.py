"""A real browser on the chat page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from telegram import Bot

from bot.sandbox import Sandbox
from bot.sandbox.demo import Stage, stage
from tests.browser import chromium
from tests.browser.chromium import Browser, Look, Page

LOOKS = {
    "desktop": Look(),
    "phone": Look(width=390, height=844, phone=True),
}


@pytest.fixture(scope="session")
def chromium_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the one Chromium of this worker is driven."""
    program = chromium.installed()
    if program is None:
        pytest.skip("there is no Chromium here (install one, or name it in CHROMIUM)")
    with chromium.running(program, tmp_path_factory.mktemp("chromium")) as url:
        yield url


@pytest.fixture
async def browser(chromium_url: str) -> AsyncIterator[Browser]:
    async with chromium.browser(chromium_url) as connected:
        yield connected


@pytest.fixture(params=list(LOOKS))
def look(request: pytest.FixtureRequest) -> Look:
    """The screen, of a desktop and of a phone."""
    return LOOKS[request.param]


@pytest.fixture
async def on(logging_as_before: None) -> AsyncIterator[Stage]:
    """The demo: the sandbox with Ada and Ben, and the bot at work. Tests say when fal is done."""
    async with stage(pace="manual") as running:
        await running.admin.sends("/start")
        yield running


@pytest.fixture
async def page(browser: Browser, on: Stage, look: Look) -> AsyncIterator[Page]:
    """The chat page of the demo."""
    async with browser.page(on.sandbox.base_url, look) as opened:
        yield opened
        assert opened.errors == []


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """The sandbox alone, with Ada in it and no bot."""
    async with Sandbox() as running:
        running.telegram.person(1001, "Ada", "ada", "en", started=True)
        yield running


@pytest.fixture
async def bot(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bot]:
    """Telegram's library, to say whatever a bot can say."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    url = sandbox.environment()["TELEGRAM_API_URL"]
    made = Bot(sandbox.telegram.token, base_url=f"{url}/bot", base_file_url=f"{url}/file/bot")
    async with made:
        yield made


@pytest.fixture
async def alone(browser: Browser, sandbox: Sandbox) -> AsyncIterator[Page]:
    """The chat page of the sandbox without a bot, on a desktop."""
    async with browser.page(sandbox.base_url, Look()) as opened:
        yield opened
        assert opened.errors == []


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo on the person's disk."""
    from bot.sandbox.fal.media import draw_scene

    path = tmp_path / "holiday.jpg"
    path.write_bytes(draw_scene("", seed=7, size=(800, 600)))
    return path
