"""The HTTP client under python-telegram-bot.

Its own transport (httpx) spends about 3 ms of CPU on a request; the same client on aiohttp's
connections a fraction of that (`docs/performance.md`).
"""

from __future__ import annotations

import aiohttp
from httpx_aiohttp import AiohttpTransport
from telegram import Bot
from telegram.error import InvalidToken, TelegramError
from telegram.request import HTTPXRequest

CONNECT_TIMEOUT_SECONDS = 10.0
# Long enough that a slow answer is not taken for a lost one.
READ_TIMEOUT_SECONDS = 30.0
CONNECTIONS = 256


def telegram_request() -> HTTPXRequest:
    """A request object for `ApplicationBuilder`, on connections of its own."""
    return HTTPXRequest(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        write_timeout=READ_TIMEOUT_SECONDS,
        pool_timeout=READ_TIMEOUT_SECONDS,
        httpx_kwargs={"transport": AiohttpTransport(client=_session)},
    )


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS))


async def introduce(token: str, api_url: str) -> str:
    """Ask Telegram who the bot is; return its @name.

    Raises `LookupError` with a few words without secrets if Telegram does not say.
    """
    bot = Bot(
        token,
        base_url=f"{api_url}/bot",
        base_file_url=f"{api_url}/file/bot",
        request=telegram_request(),
        get_updates_request=telegram_request(),
    )
    try:
        async with bot:
            return f"@{bot.username}"
    except InvalidToken:
        raise LookupError("TELEGRAM_BOT_TOKEN was refused") from None
    except TelegramError as error:
        raise LookupError(f"cannot be reached ({type(error).__name__})") from None
