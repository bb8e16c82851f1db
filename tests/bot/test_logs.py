from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
import pytest_asyncio
import telegram

from bot.logs import Redactor, configure_logging
from bot.settings import load_settings

TOKEN = "123456789:AAF-abcdefghijklmnopqrstuvwxyz_12345"
FAL_KEY = "0b1c2d3e-aaaa-bbbb-cccc-0123456789ab:0123456789abcdef0123456789abcdef"
ADMIN_KEY = "admin-key-of-the-team"
PASSWORD = "p/w @rd%"
QUOTED_PASSWORD = "p%2Fw%20%40rd%25"
SECRETS = (TOKEN, FAL_KEY, ADMIN_KEY, PASSWORD, QUOTED_PASSWORD)

Configure = Callable[..., io.StringIO]

pytestmark = pytest.mark.usefixtures("logging_as_before")


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Configures logging with these settings and returns what it writes to."""

    def configured(**environment: str) -> io.StringIO:
        settings = load_settings(
            None,
            {
                "TELEGRAM_BOT_TOKEN": TOKEN,
                "FAL_KEY": FAL_KEY,
                "FAL_ADMIN_KEY": ADMIN_KEY,
                "ADMIN_IDS": "1",
                "DATABASE_URL": f"postgres://bot:{QUOTED_PASSWORD}@127.0.0.1/bot",
            }
            | environment,
        )
        output = io.StringIO()
        monkeypatch.setattr(sys, "stderr", output)
        configure_logging(settings)
        return output

    yield configured
    assert logging.getLogger().handlers, "pytest's own handlers are put back afterwards"


@pytest_asyncio.fixture
async def bot_api() -> AsyncIterator[str]:
    """A Bot API on this machine that knows files, and refuses what is not asked for one."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if "getFile" in head:
            body = (
                b'{"ok":true,"result":{"file_id":"f","file_unique_id":"u","file_path":"a/b.jpg"}}'
            )
            status = "200 OK"
        else:
            body = b'{"ok":false,"error_code":401,"description":"Unauthorized"}'
            status = "401 Unauthorized"
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1")
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def assert_clean(text: str) -> None:
    for secret in SECRETS:
        assert secret not in text


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_the_libraries_that_log_everything_give_no_secret_away(
    configure: Configure, bot_api: str, log_format: str
) -> None:
    output = configure(LOG_LEVEL="DEBUG", LOG_FORMAT=log_format)
    foreign = io.StringIO()
    foreign_handler = logging.StreamHandler(foreign)
    logging.getLogger("httpx").addHandler(foreign_handler)
    try:
        bot = telegram.Bot(TOKEN, base_url=f"{bot_api}/bot", base_file_url=f"{bot_api}/file/bot")
        with pytest.raises(telegram.error.InvalidToken) as refused:
            await bot.get_me()
        logging.getLogger("somewhere").error("Refused: %s", refused.value, exc_info=refused.value)
        file = await bot.get_file("f")
        assert TOKEN in str(file.file_path)
        logging.getLogger("somewhere").debug("The file is at %s", file.file_path)
        async with httpx.AsyncClient(headers={"Authorization": f"Key {FAL_KEY}"}) as client:
            response = await client.get(f"{bot_api}/run", params={"key": ADMIN_KEY})
        logging.getLogger("somewhere").warning("%s", dict(response.request.headers))
        await bot.shutdown()
    finally:
        logging.getLogger("httpx").removeHandler(foreign_handler)
    text = output.getvalue()
    for told in ("HTTP Request", "Set Bot API URL", "InvalidToken", "/file/bot[hidden]"):
        assert told in text
    assert "HTTP Request" in foreign.getvalue()
    assert_clean(text + foreign.getvalue())


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_hidden_wherever_it_stands(configure: Configure, secret: str) -> None:
    output = configure(LOG_FORMAT="json")
    logger = logging.getLogger("any.library")
    logger.error(f"in the text {secret}")  # noqa: G004
    logger.error("as an argument: %s", secret)
    logger.error("inside one: %r", {"headers": [secret]})
    logger.error("by name: %(key)s", {"key": secret})
    logger.error(ValueError(secret))
    try:
        try:
            raise ValueError(secret)
        except ValueError as error:
            raise RuntimeError("around it") from error
    except RuntimeError:
        logger.exception("with a traceback")
    logger.error("does not fit %d %d", secret)
    logger.error("with a stack", stack_info=True)
    lines = output.getvalue().splitlines()
    assert len(lines) == 8
    assert "around it" in lines[5]
    assert_clean(output.getvalue())


def test_what_was_learnt_later_is_hidden_too(configure: Configure) -> None:
    output = configure()
    redactor = configure_logging(
        load_settings(None, {"TELEGRAM_BOT_TOKEN": TOKEN, "FAL_KEY": FAL_KEY, "ADMIN_IDS": "1"})
    )
    redactor.add("the webhook's secret")
    logging.getLogger("bot").warning(
        "%s / %s", "the webhook's secret", "the%20webhook%27s%20secret"
    )
    assert output.getvalue().endswith("bot: [hidden] / [hidden]\n")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("GET http://h/bot1:a-B_9/getMe", "GET http://h/bot[hidden]/getMe"),
        ("http://h/file/bot1:a/x/y.jpg 200", "http://h/file/bot[hidden] 200"),
        ("http://h/bot1%3Aabc/getMe", "http://h/bot[hidden]/getMe"),
        (f"the token `{TOKEN}` was", "the token `[hidden]` was"),
        ("postgres://me:pw@host/db", "postgres://me:[hidden]@host/db"),
        ("postgres://me@host:5432/db", "postgres://me@host:5432/db"),
        ("http://h:80/a@b", "http://h:80/a@b"),
        (f"Authorization: Key {FAL_KEY}", "Authorization: Key [hidden]"),
        ("Key (person_id)=(5) already exists", "Key (person_id)=(5) already exists"),
        ("/bottle/1:2", "/bottle/1:2"),
        ("at 12:30:45", "at 12:30:45"),
    ],
)
def test_the_form_of_a_secret_gives_it_away_and_nothing_else_is_touched(
    text: str, clean: str
) -> None:
    assert Redactor().redact(text) == clean


def test_of_a_secret_that_contains_another_nothing_is_left() -> None:
    redactor = Redactor()
    redactor.add("secret")
    redactor.add("secret-and-more", "abc")
    assert redactor.redact("<secret-and-more> <secret> abc") == "<[hidden]> <[hidden]> abc"


def test_chatter_is_for_those_who_look_for_a_fault(configure: Configure) -> None:
    output = configure(LOG_LEVEL="INFO")
    logging.getLogger("httpx").info("HTTP Request")
    logging.getLogger("telegram.ext").info("Application started")
    logging.getLogger("bot").debug("detail")
    assert output.getvalue() == ""
    logging.getLogger("bot").info("said")
    logging.getLogger("httpx").warning("said too")
    assert len(output.getvalue().splitlines()) == 2

    output = configure(LOG_LEVEL="DEBUG")
    logging.getLogger("httpx").debug("HTTP Request")
    logging.getLogger("matplotlib.font_manager").debug("a font")
    assert len(output.getvalue().splitlines()) == 1


def test_json_is_one_line_each_whatever_is_in_it(configure: Configure) -> None:
    output = configure(LOG_FORMAT="json")
    logging.getLogger("bot.jobs").error('two\nlines "é"', stack_info=True)
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("bot.jobs").exception("failed")
    first, second = (json.loads(line) for line in output.getvalue().splitlines())
    assert first["at"].endswith("+00:00")
    assert first["message"] == 'two\nlines "é"'
    assert "test_json_is_one_line" in first["stack"]
    assert (second["level"], second["logger"], second["message"]) == ("ERROR", "bot.jobs", "failed")
    assert second["traceback"].endswith("ValueError: no")


def test_warnings_and_what_nobody_caught_are_logged_and_clean(configure: Configure) -> None:
    output = configure()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn(f"warned of {ADMIN_KEY}", stacklevel=1)
    error = ValueError(f"nobody caught {ADMIN_KEY}")
    sys.excepthook(ValueError, error, None)
    thread = threading.Thread(target=_raise, args=[f"in a thread {ADMIN_KEY}"])
    thread.start()
    thread.join()
    text = output.getvalue()
    for told in ("warned of [hidden]", "nobody caught [hidden]", "in a thread [hidden]"):
        assert told in text
    assert_clean(text)


def test_to_interrupt_is_no_fault(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    output = configure()
    passed_on = []
    monkeypatch.setattr(sys, "__excepthook__", lambda *report: passed_on.append(report[0]))
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert passed_on == [KeyboardInterrupt]
    assert output.getvalue() == ""


def _raise(text: str) -> None:
    raise ValueError(text)
