"""A whole day at DEBUG, with all going wrong that can: no secret is where it should not be.

What people typed is private too: it stands in no record above DEBUG.
"""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import pytest
from pydantic import SecretStr
from tortoise.backends.base.client import BaseDBAsyncClient

from bot.balance import LOCKED
from bot.logs import configure_logging
from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Person as Visitor
from bot.sandbox.telegram import TelegramWorld, plain_photo
from db import occasions
from db.connection import is_sqlite
from db.models import ContentJob
from handlers.commands import ADMIN_COMMANDS, MEMBER_COMMANDS
from tests.handlers.house import House
from tests.replicas.balancer import RoundRobin
from tests.support.ports import free_ports
from tests.support.running import Running, running_bot

TOKEN = "7771234567:AAF-a-token_that-nobody-may-ever-see-0123"
API_KEY = "0b1c2d3e-aaaa-4bbb-8ccc-0123456789ab:00api00of00fal00nobody00may00see00"
ADMIN_KEY = "0b1c2d3e-dddd-4eee-8fff-0123456789ab:00admin00of00fal00nobody00may00see"
WRONG_KEY = "0b1c2d3e-1111-4222-8333-0123456789ab:00wrong00of00fal00nobody00may00se"
PASSWORD = "p/w of the @database%"
WORDS = "a-prompt-that-is-private"

pytestmark = pytest.mark.usefixtures("logging_as_before")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting for it."""
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("bot.screen.flood.FIRST_PAUSE_SECONDS", 0.01)


class Overheard(logging.Handler):
    """Keeps what a team that logs at INFO would read."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record, with its traceback."""
        self.lines.append(self.format(record))


@asynccontextmanager
async def talkative(database_url: str) -> AsyncIterator[tuple[House, Overheard]]:
    """A bot that logs all it can; on PostgreSQL with callbacks and a password, else by polling."""
    [port] = free_ports()
    settings: dict[str, object] = {
        "log_level": "DEBUG",
        "listen": f"127.0.0.1:{port}",
        "commands_per_minute": 1000,
        "default_budget": "5",
    }
    async with Sandbox(token=TOKEN) as sandbox:
        sandbox.fal.account.api_key, sandbox.fal.account.admin_key = API_KEY, ADMIN_KEY
        if not is_sqlite(database_url):
            database_url = _with_password(database_url)
            settings["public_url"] = "https://bot.example"
            for world in (sandbox.telegram.updates, sandbox.fal.webhooks):
                world._client = httpx.AsyncClient(transport=RoundRobin([port]))
        async with running_bot(sandbox, database_url, start=False, **settings) as running:
            configure_logging(running.settings)
            heard = Overheard()
            logging.getLogger().addHandler(heard)
            await running.start()
            yield House(sandbox, running), heard
            await running.stop()


def _with_password(url: str) -> str:
    parts = urlsplit(url)
    assert parts.password is None
    user, _, host = parts.netloc.partition("@")
    netloc = f"{user}:{quote(PASSWORD, safe='')}@{host}"
    return urlunsplit(parts._replace(netloc=netloc))


# ------------------------------------------------------------------------------------ the day


async def the_day(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that there is is used, and everything fails once."""
    ada, mal = await house.admin(), house.stranger()
    await house.answer(mal, "/start")
    request = await ada.chat.next_message()
    await ada.presses(request, "✅ Approve")
    await mal.chat.wait_for_text("You are in")
    for command in MEMBER_COMMANDS:
        await house.answer(mal, f"/{command} {WORDS}")
    for command in ADMIN_COMMANDS:
        await house.answer(ada, f"/{command}")
    await _pictures(house, mal)
    await _faults(house, mal)
    await _defects(house, mal, monkeypatch)


async def _pictures(house: House, mal: Visitor) -> None:
    """From a photo, again, animated, as a file, as CSV; a draft; a model chosen; forgotten."""
    await mal.sends_photo(plain_photo(), f"/image {WORDS}")
    jobs = await house.running.all_shown(3)
    picture = mal.chat.message(jobs[-1].status_message_id or 0)
    assert picture is not None
    for button in ("redo", "vary", "animate", "file"):
        await mal.presses(picture, f"{button}:{jobs[-1].id}")
    await house.running.all_shown(6)
    page = await mal.sends("/history")
    history = await mal.chat.wait_for_text("jobs", after=page)
    await mal.presses(history, "csv")
    await mal.presses(history, f"again:{jobs[-1].id}")
    hint = await mal.sends(WORDS)
    offer = await mal.chat.wait_for_text("Shall I make something", after=hint)
    await mal.presses(offer, str(offer.buttons[0]["callback_data"]))
    await house.running.all_shown(7)


async def _faults(house: House, mal: Visitor) -> None:
    """The wire, Telegram and fal fail at all the places where something secret goes along."""
    telegram, fal = house.telegram.faults, house.fal.faults
    count = await ContentJob.all().count()
    for fault, method in (
        ("server_error", "sendMessage"),
        ("reset", "editMessageMedia"),
        ("answer_lost", "getFile"),
        ("answer_lost", "file"),
        ("bad_gateway", "editMessageMedia"),
    ):
        telegram.add(fault, method)
    for fault, operation in (
        ("unauthorized", "submit"),
        ("answer_lost", "submit"),
        ("unauthorized", "requests"),
        ("reset", "upload"),
        ("unauthorized", "token"),
        ("garbage", "result"),
        ("unauthorized", "result"),
        ("reset", "media"),
        ("locked", "submit"),
        ("unauthorized", "billing"),
        ("unauthorized", "billing_events"),
    ):
        fal.add(Fault(fault), operation)
    for number in range(3):
        await mal.sends_photo(plain_photo(), f"/image {WORDS}")
        await house.running.all_shown(count + number + 1)
    await mal.sends(f"/image {WORDS}")
    await mal.chat.wait_for_text("out of credit")


async def _defects(house: House, mal: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that has all secrets in its text escapes from a handler."""
    secrets = house.running.settings.secrets

    async def broken(*_: object) -> None:
        raise RuntimeError(f"{sorted(secrets)} {house.telegram.base_url}/file/bot{TOKEN}/a.jpg")

    monkeypatch.setattr("handlers.history._page", broken)
    asked = await mal.sends("/history")
    await mal.chat.wait_for_text("went wrong", after=asked)


async def _with_wrong_keys(house: House) -> None:
    """Another start, with keys that fal refuses."""
    running = house.running
    await running.stop()
    keys = {"fal_key": SecretStr(WRONG_KEY), "fal_admin_key": SecretStr(WRONG_KEY)}
    running.settings = running.settings.model_copy(update=keys)
    configure_logging(running.settings)
    await occasions.end(LOCKED)
    await running.start()
    ada = await house.admin()
    house.fal.calls.clear()
    asked = await ada.sends(f"/image {WORDS}")
    await ada.chat.wait_for_text("did not accept the key", after=asked)
    for command in ("/balance", "/reconcile"):
        asked = await ada.sends(command)
        await ada.chat.wait_for_text("fal", after=asked)
    assert any(WRONG_KEY in call.headers["authorization"] for call in house.fal.calls)
    await running.stop()


# ------------------------------------------------------------------------------- where to look


def secrets_of(house: House) -> set[str]:
    """All that nobody may see, whole and in part."""
    keys = {API_KEY, ADMIN_KEY, WRONG_KEY}
    settings = house.running.settings
    made = {*house.fal.storage.tokens, settings.telegram_secret, settings.callback_secret}
    parts = {TOKEN.partition(":")[2], *(key.partition(":")[2] for key in keys)}
    return {TOKEN, *keys, *parts, *made, PASSWORD, quote(PASSWORD, safe="")}


def all_said(world: TelegramWorld) -> str:
    """Everything that the bot said and showed, and the answers to presses."""
    shown = [
        f"{version.text} {json.dumps(version.markup)} {version.entities}"
        + ("" if version.media is None else f" {version.media.data!r}")
        for chat in world.chats.values()
        for message in chat.messages
        if message.from_bot
        for version in message.versions
    ]
    return "\n".join([*shown, *(str(query.answers) for query in world.queries.values())])


def all_told_to_telegram(world: TelegramWorld) -> str:
    """Every parameter of every call; the secret of the webhook belongs there."""
    return "\n".join(str(call.given) for call in world.calls if call.method != "setWebhook")


def all_sent_to_fal(house: House) -> str:
    """Every URL, header and argument that fal got, but for the headers that carry its keys."""
    calls = [
        f"{call.url} { {k: v for k, v in call.headers.items() if k != 'authorization'} }"
        for call in house.fal.calls
    ]
    return "\n".join([*calls, *(str(request.arguments) for request in house.fal.requests)])


async def all_stored(connection: BaseDBAsyncClient) -> str:
    """Every value of every table."""
    listing = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if connection.capabilities.dialect == "sqlite"
        else "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
    )
    rows = []
    for table in await connection.execute_query_dict(listing):
        rows += await connection.execute_query_dict(f'SELECT * FROM "{table["name"]}"')  # noqa: S608
    return str(rows)


async def on_the_web(running: Running) -> str:
    listen = running.settings.listen
    assert listen is not None
    async with httpx.AsyncClient(base_url=f"http://{listen.host}:{listen.port}") as client:
        paths = ("/metrics", "/healthz", "/readyz", "/telegram", "/fal/1", "/")
        answers = [await client.get(path) for path in paths]
        answers.append(await client.post("/telegram", content=b"{}"))
        answers.append(await client.post("/fal/1", content=b"{}"))
    return str([(answer.headers, answer.text) for answer in answers])


def assert_none(secrets: set[str], text: str, where: str) -> None:
    found = {secret for secret in secrets if secret in text}
    assert found == set(), f"found in {where}"
    assert "/file/bot" not in text.replace("/file/bot[hidden]", ""), f"found in {where}"


async def test_a_day_at_debug_gives_no_secret_away(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    async with talkative(database_url) as (house, heard):
        await the_day(house, monkeypatch)
        web = await on_the_web(house.running)
        stored = await all_stored(house.running.connection)
        await _with_wrong_keys(house)
    text = written.getvalue()
    for told in ("Calling Bot API endpoint", "HTTP Request", "RuntimeError", "[hidden]", "SELECT"):
        assert told in text, f"{told} is not logged: the test looks at too little"
    assert WORDS in text
    assert WORDS in stored
    secrets = secrets_of(house)
    assert_none(secrets, text, "the log")
    assert_none(secrets, all_said(house.telegram), "the chats")
    assert_none(secrets, all_told_to_telegram(house.telegram), "the calls to Telegram")
    assert_none(secrets, all_sent_to_fal(house), "the requests to fal")
    assert_none(secrets, stored, "the database")
    assert_none(secrets, web, "the answers over HTTP")
    assert [line for line in heard.lines if WORDS in line and " DEBUG " not in line] == []
