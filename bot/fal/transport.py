"""The way to fal: which server stands for which of fal's, and a submit that is sent once.

fal-client has fal's hosts built in and repeats its POSTs. Both are put right here, below it:
a transport that directs fal's hosts to the configured URLs, and that answers a failed submit
with an error that fal-client does not take for a reason to try again.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import cycle
from urllib.parse import urlsplit, urlunsplit

import httpx
from fal_client.client import CDN_URL, QUEUE_URL_FORMAT, REST_URL

from bot.fal.errors import AnswerLost, NotSent, Refused

# Where fal-client sends its requests (https://queue.fal.run and so on).
OFFICIAL_QUEUE = QUEUE_URL_FORMAT.rstrip("/")
OFFICIAL_REST = REST_URL
OFFICIAL_CDN = CDN_URL

UNITS_HEADER = "x-fal-billable-units"
ACCEPTANCE = ("request_id", "response_url", "status_url", "cancel_url")
# Of 300 streams each has to do with some twenty.
POOLS = 16
# What a proxy says when it has given up waiting: 408, and nginx's 499.
UNFINISHED = (408, 499)
# No answer is longer: a page of a list with its payloads, a result with the picture itself in it.
LONGEST_ANSWER_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FalUrls:
    """Where fal's four services are: fal itself, a proxy, or a stand-in. No trailing slashes."""

    queue: str
    platform: str
    rest: str
    cdn: str

    def directed(self, url: str) -> str:
        """The URL at the configured server, for a URL at one of fal's own hosts."""
        for official, configured in (
            (OFFICIAL_QUEUE, self.queue),
            (OFFICIAL_REST, self.rest),
            (OFFICIAL_CDN, self.cdn),
        ):
            if url == official or url.startswith((official + "/", official + "?")):
                return configured + url.removeprefix(official)
        return url

    def of_queue(self, url: str) -> str:
        """The URL of a request, at the configured queue whatever host the answer named.

        The key goes to this host only.
        """
        parts = urlsplit(self.directed(url))
        queue = urlsplit(self.queue)
        path = parts.path
        if not (path + "/").startswith(queue.path.rstrip("/") + "/"):
            path = queue.path.rstrip("/") + path
        return urlunsplit((queue.scheme, queue.netloc, path, parts.query, ""))


# Told of each request that went wrong: the HTTP status, or the kind of the transport's error.
OnError = Callable[[str], None]


def unwatched(_: str) -> None:
    """What is told of errors where nobody counts them."""


@lru_cache(maxsize=1)
def certificates() -> ssl.SSLContext:
    """The authorities that HTTPS is checked against, read once: that takes a tenth of a start."""
    return httpx.create_ssl_context()


class AnswerTooLong(httpx.ReadError):
    """An answer goes on beyond all measure: the rest of it is not read."""


class AnswerPacked(httpx.DecodingError):
    """An answer is packed, though nobody asked for that.

    A few bytes can be unpacked into more than there is memory, before anybody can count them.
    """


class Watched(httpx.AsyncBaseTransport):
    """A transport that tells `on_error` what went wrong, and reads no answer beyond all measure.

    Otherwise it does what `inner` does. With `is_bounded` False whoever reads has to count.
    """

    def __init__(
        self,
        on_error: OnError,
        inner: httpx.AsyncBaseTransport | None = None,
        *,
        is_bounded: bool = True,
    ) -> None:
        self._on_error = on_error
        self._inner = inner or httpx.AsyncHTTPTransport(verify=certificates())
        self._is_bounded = is_bounded

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; raises what `inner` raises, or `AnswerPacked`.

        Reading the answer can raise `AnswerTooLong`.
        """
        request.headers["Accept-Encoding"] = "identity"
        try:
            response = await self._inner.handle_async_request(request)
            if response.headers.get("content-encoding", "identity") != "identity":
                await response.aclose()
                raise AnswerPacked("packed")
        except httpx.HTTPError as error:
            self._on_error(type(error).__name__)
            raise
        if response.is_error:
            self._on_error(str(response.status_code))
        if self._is_bounded and isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Bounded(response.stream, self._on_error)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _Bounded(httpx.AsyncByteStream):
    """The bytes of an answer, as long as they are not too many."""

    def __init__(self, stream: httpx.AsyncByteStream, on_error: OnError) -> None:
        self._stream = stream
        self._on_error = on_error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > LONGEST_ANSWER_BYTES:
                self._on_error(AnswerTooLong.__name__)
                raise AnswerTooLong(f"more than {LONGEST_ANSWER_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        """Close the connection, if there is more to come."""
        await self._stream.aclose()


class Spread(httpx.AsyncBaseTransport):
    """Many pools of connections, each request to the next one: for hundreds of them at once.

    httpcore looks through all connections of a pool at each request, so that one pool takes the
    longer for each stream the more there are.
    """

    def __init__(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=1)
        self._pools = [
            httpx.AsyncHTTPTransport(verify=certificates(), limits=limits) for _ in range(POOLS)
        ]
        self._turns = cycle(self._pools)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; raises what the pool raises."""
        return await next(self._turns).handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        for pool in self._pools:
            await pool.aclose()


class FalTransport(httpx.AsyncBaseTransport):
    """Directs requests to the configured servers and guards the submit.

    Raises `NotSent`, `AnswerLost` or `Refused` for a POST to the queue: none of them is an
    `httpx.HTTPError`, which is what fal-client would repeat.
    """

    def __init__(
        self,
        urls: FalUrls,
        inner: httpx.AsyncBaseTransport | None = None,
        on_error: OnError = unwatched,
        *,
        is_bounded: bool = True,
    ) -> None:
        self._urls = urls
        self._inner = Watched(
            on_error,
            inner
            or httpx.AsyncHTTPTransport(
                verify=certificates(),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=50),
            ),
            is_bounded=is_bounded,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request where it belongs."""
        is_submit = request.method == "POST" and str(request.url).startswith(OFFICIAL_QUEUE + "/")
        directed = httpx.URL(self._urls.directed(str(request.url)))
        request = httpx.Request(
            request.method,
            directed,
            headers={**request.headers, "host": directed.netloc.decode()},
            stream=request.stream,
            extensions=request.extensions,
        )
        if is_submit:
            return await self._submit(request)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _submit(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self._inner.handle_async_request(request)
            async with aclosing(response):
                body = await response.aread()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSent(type(error).__name__) from error
        except httpx.HTTPError as error:
            raise AnswerLost(type(error).__name__) from error
        answer = parse_json(body)
        if response.is_success:
            if not _is_acceptance(answer):
                raise AnswerLost("the answer to a submit cannot be read")
            return httpx.Response(200, content=body)
        is_definite = response.is_client_error and response.status_code not in UNFINISHED
        if is_definite or (response.is_error and is_of_fal(answer)):
            raise refusal(response.status_code, response.headers, answer)
        # A page of a proxy, a redirect: whether fal has the request cannot be told from it.
        raise AnswerLost(f"HTTP {response.status_code} without an answer of fal")


def _is_acceptance(answer: object) -> bool:
    return isinstance(answer, dict) and all(isinstance(answer.get(key), str) for key in ACCEPTANCE)


def parse_json(body: bytes | str) -> object:
    """The JSON of a body with its decimals exact, or None if it is none.

    Nor is it with numbers or nesting beyond all measure.
    """
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        return None


def is_of_fal(answer: object) -> bool:
    """Whether an error's body has the shape of fal's errors (fal documentation, "Errors")."""
    return isinstance(answer, dict) and any(key in answer for key in ("detail", "error", "message"))


def refusal(status: int, headers: httpx.Headers, answer: object) -> Refused:
    """The error that fal's answer means."""
    types: list[str] = []
    detail = ""
    if isinstance(answer, dict):
        said = answer.get("detail")
        if isinstance(said, list):
            types += [
                str(item["type"]) for item in said if isinstance(item, dict) and "type" in item
            ]
        elif isinstance(said, str):
            detail = said
        if isinstance(answer.get("error_type"), str):
            types.append(answer["error_type"])
    if "x-fal-error-type" in headers:
        types.append(headers["x-fal-error-type"])
    return Refused(status, tuple(types), detail, billable_units(headers))


def billable_units(headers: httpx.Headers) -> Decimal | None:
    """The units that fal bills for a result, or None if it does not say so sensibly."""
    try:
        units = Decimal(headers.get(UNITS_HEADER, ""))
    except InvalidOperation:
        return None
    return units if units.is_finite() and 0 <= units < 10**9 else None


def retry_after(headers: httpx.Headers) -> float | None:
    """The seconds of a `Retry-After` header, at most ten minutes; None if there is none."""
    try:
        return min(max(float(headers["retry-after"]), 0.0), 600.0)
    except (KeyError, ValueError):
        return None
