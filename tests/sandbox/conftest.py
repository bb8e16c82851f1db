"""The sandbox, and the real libraries that a bot would use to talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import fal_client
import fal_client.client as fal_module
import httpx
import pytest
from telegram import Bot

from bot.sandbox import Sandbox


@pytest.fixture(autouse=True)
def _durations_as_timedelta(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose what python-telegram-bot will do anyway, so that it does not warn."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
async def bot(sandbox: Sandbox) -> AsyncIterator[Bot]:
    """The real library, pointed at the sandbox."""
    url = sandbox.environment()["TELEGRAM_API_URL"]
    bot = Bot(sandbox.telegram.token, base_url=f"{url}/bot", base_file_url=f"{url}/file/bot")
    async with bot:
        yield bot


@pytest.fixture
async def client(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[fal_client.AsyncClient]:
    """The real fal-client, pointed at the sandbox."""
    environment = sandbox.environment()
    monkeypatch.setattr(fal_module, "QUEUE_URL_FORMAT", environment["FAL_QUEUE_URL"] + "/")
    monkeypatch.setattr(fal_module, "REST_URL", environment["FAL_REST_URL"])
    monkeypatch.setattr(fal_module, "CDN_URL", environment["FAL_CDN_URL"])
    made = fal_client.AsyncClient(key=environment["FAL_KEY"])
    yield made
    await (await made._client).aclose()


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client for what the libraries would never send."""
    async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False) as plain:
        yield plain


@pytest.fixture
def key(sandbox: Sandbox) -> dict[str, str]:
    """The header with the API-scope key."""
    return {"Authorization": f"Key {sandbox.fal.account.api_key}"}


@pytest.fixture
def admin_key(sandbox: Sandbox) -> dict[str, str]:
    """The header with the admin-scope key."""
    return {"Authorization": f"Key {sandbox.fal.account.admin_key}"}
