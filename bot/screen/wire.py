"""The HTTP client under python-telegram-bot, on aiohttp.

Its own (httpx) spends about 3 ms of CPU on a request, this one a tenth of that
(`docs/performance.md`).
"""

from __future__ import annotations

import json
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson
from telegram import Bot
from telegram.error import BadRequest, InvalidToken, NetworkError, TelegramError, TimedOut
from telegram.request import BaseRequest, RequestData
from yarl import URL

CONNECT_TIMEOUT_SECONDS = 10.0
# Long enough that a slow answer is not taken for a lost one.
READ_TIMEOUT_SECONDS = 30.0
CONNECTIONS = 256


class NoAnswer(NetworkError):
    """The connection broke while a call was on its way: nobody knows whether it was done."""


class AiohttpRequest(BaseRequest):
    """Sends calls of the Bot API as forms, as python-telegram-bot's own client does."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """The answer of a call. Raises `TelegramError` for what is none.

        python-telegram-bot's own logs a proxy's page, all of it, as an error of the program.
        """
        try:
            answer: dict[str, Any] = read_json(payload)
        except ValueError as error:
            raise TelegramError("the answer is no JSON") from error
        return answer

    @property
    def read_timeout(self) -> float:
        """How many seconds an answer is waited for, unless a call says otherwise."""
        return READ_TIMEOUT_SECONDS

    async def initialize(self) -> None:
        """Open; the connections come when they are needed."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self.USER_AGENT},
            )

    async def shutdown(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: object = BaseRequest.DEFAULT_NONE,
        write_timeout: object = BaseRequest.DEFAULT_NONE,
        connect_timeout: object = BaseRequest.DEFAULT_NONE,
        pool_timeout: object = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Send a call; return the HTTP status and the body.

        Raises `TimedOut`, `NoAnswer`, `NetworkError` when surely nothing was sent, or `BadRequest`
        for what is too large. The texts of aiohttp's errors stay out of it: the URL has the token
        in it.
        """
        if self._session is None:
            raise NetworkError("the connections to Telegram are closed")
        # Of the time to send and the time to the answer aiohttp measures the sum.
        timeout = _timeout(
            _seconds(connect_timeout, CONNECT_TIMEOUT_SECONDS),
            _seconds(read_timeout) + _seconds(write_timeout, 0.0),
        )
        try:
            data, headers = _body(request_data)
            response = await self._session.request(
                method, url, data=data, headers=headers, timeout=timeout
            )
            # Read to the end, or cut off, it gives its connection back.
            status, body = response.status, await response.read()
        except TimeoutError as error:
            raise TimedOut from error
        except aiohttp.ClientConnectorError as error:
            raise NetworkError(type(error).__name__) from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(type(error).__name__) from error
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            # python-telegram-bot takes it for a fault of the network, which passes. It may come
            # from a proxy in front of a Bot API server, with a lower limit.
            raise BadRequest("Request Entity Too Large")
        return status, body


def read_json(text: bytes) -> Any:
    """What Telegram says. Raises `ValueError`, or `RecursionError`, for what cannot be read.

    orjson takes a third of the time that the standard library does, which reads more: half a
    surrogate pair, for one.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def telegram_request() -> AiohttpRequest:
    """A request object for `ApplicationBuilder`, on connections of its own."""
    return AiohttpRequest()


def _seconds(timeout: object, otherwise: float = READ_TIMEOUT_SECONDS) -> float:
    return float(timeout) if isinstance(timeout, int | float) else otherwise


@lru_cache
def _timeout(connect_seconds: float, read_seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(sock_connect=connect_seconds, sock_read=read_seconds)


def _body(data: RequestData | None) -> tuple[bytes | aiohttp.FormData | None, dict[str, str]]:
    """Body and headers of a call (Bot API, "Making requests")."""
    if data is None:
        return None, {}
    if not data.contains_files:
        # A form is written like a query, and by this library in a third of the time that `urllib`
        # takes. Half a surrogate pair, which no client sends and no answer fails for, is left out.
        values = {
            name: value if isinstance(value, str) or type(value) is int else json.dumps(value)
            for name, value in data.parameters.items()
        }
        form = URL.build(query=values).raw_query_string
        return form.encode("ascii"), {"Content-Type": "application/x-www-form-urlencoded"}
    parts = aiohttp.FormData(quote_fields=False)
    for name, value in data.json_parameters.items():
        parts.add_field(name, value)
    for name, (file_name, content, content_type) in data.multipart_data.items():
        parts.add_field(name, content, filename=file_name, content_type=content_type)
    return parts, {}


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
