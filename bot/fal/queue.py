"""fal's queue: submit a request once, watch it, fetch its result, cancel it.

On top of `fal_client.AsyncClient`, which submits and uploads. What it has no way to tell
(billable units, the status stream) is asked through its own HTTP client.
Facts: fal documentation, "Queue API".
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

import fal_client
import httpx
from fal_client import Completed, InProgress, Queued
from fal_client.auth import AuthCredentials
from fal_client.client import USER_AGENT, AsyncCDNTokenManager, StorageSettings
from httpx_sse import SSEError, aconnect_sse

from bot.fal import files
from bot.fal.errors import Refused, Unavailable
from bot.fal.transport import (
    FalTransport,
    FalUrls,
    OnError,
    Spread,
    billable_units,
    is_of_fal,
    parse_json,
    refusal,
    retry_after,
    unwatched,
)

logger = logging.getLogger(__name__)

# An answer that takes longer is looked up, which finds it as surely.
SUBMIT_TIMEOUT_SECONDS = 30
ASK_TIMEOUT = httpx.Timeout(20, connect=10)
# Each piece of an answer may come in time, and the whole of it never.
LONGEST_ANSWER_SECONDS = 60.0
# What these answer is about the key, the rate or the moment, not about the job.
ABOUT_THE_ASKING = (401, 403, 408, 425, 429)
# A stream that says nothing for so long may be dead without knowing it: polling takes over.
STREAM_TIMEOUT = httpx.Timeout(90, connect=10)
POLL_FIRST_SECONDS, POLL_SLOWEST_SECONDS, POLL_FACTOR = 2.0, 5.0, 1.25
# A request that is unknown so many times in a row is not coming back; its result decides.
POLLS_UNKNOWN = 10
DATA_URI_LIMIT_BYTES = 8 * 1024 * 1024
# fal-client tries its storage again and again, for minutes if that hangs.
UPLOAD_TIMEOUT_SECONDS = 60

UPLOAD_ERRORS = (httpx.HTTPError, fal_client.FalClientError, KeyError, ValueError, TimeoutError)

T = TypeVar("T")

Status = Queued | InProgress | Completed


@dataclass(frozen=True, slots=True)
class Request:
    """A request that fal has accepted, with the URLs that came back."""

    request_id: str
    status_url: str
    response_url: str
    cancel_url: str


@dataclass(frozen=True, slots=True)
class Media:
    """One picture or video of a result. The size in pixels is None where fal does not say it."""

    url: str
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a job made, and the units that fal bills for it (None: it did not say)."""

    media: tuple[Media, ...]
    units: Decimal | None


class _Client(fal_client.AsyncClient):
    """fal-client with our transport below it and the configured hosts.

    It makes its HTTP clients in the members that are overridden here.
    """

    def __init__(self, key: str, urls: FalUrls, on_error: OnError = unwatched) -> None:
        super().__init__(key=key, default_timeout=SUBMIT_TIMEOUT_SECONDS)
        auth = AuthCredentials("Key", key)
        tokens = AsyncCDNTokenManager(auth)
        tokens._url = urls.directed(tokens._url)
        transport = FalTransport(urls, on_error=on_error)
        self.__dict__.update(
            tokens=tokens,
            http=httpx.AsyncClient(
                transport=transport,
                headers={"Authorization": auth.header_value, "User-Agent": USER_AGENT},
                timeout=ASK_TIMEOUT,
            ),
            http_streams=httpx.AsyncClient(
                transport=FalTransport(urls, Spread(), on_error),
                headers={"Authorization": auth.header_value, "User-Agent": USER_AGENT},
            ),
            # Without the key: result files are public, uploads carry a token of their own.
            # Its addresses are what a model answered.
            http_files=httpx.AsyncClient(
                transport=FalTransport(
                    urls, files.OutsideTransport(urls), on_error, is_bounded=False
                ),
                headers={"User-Agent": USER_AGENT},
                timeout=ASK_TIMEOUT,
                follow_redirects=True,
            ),
        )

    tokens: AsyncCDNTokenManager
    http: httpx.AsyncClient
    http_streams: httpx.AsyncClient
    http_files: httpx.AsyncClient

    @property
    async def _client(self) -> httpx.AsyncClient:
        return self.http

    @property
    async def _token_manager(self) -> AsyncCDNTokenManager:
        return self.tokens

    @asynccontextmanager
    async def _cdn_client(self) -> AsyncIterator[httpx.AsyncClient]:
        yield self.http_files


class Queue:
    """The queue of one fal account. `key` is an API key; call `aclose()` at the end."""

    def __init__(
        self,
        key: str,
        urls: FalUrls,
        *,
        retention_seconds: int | None = None,
        on_error: OnError = unwatched,
    ) -> None:
        self._urls = urls
        self._fal = _Client(key, urls, on_error)
        self._http = self._fal.http
        self._headers = {}
        # fal documentation, "Media expiration": pictures of people and results are deleted after
        # so many seconds.
        self._expiry = StorageSettings(expires_in=retention_seconds)
        if retention_seconds is not None:
            self._headers["X-Fal-Object-Lifecycle-Preference"] = json.dumps(
                {"expiration_duration_seconds": retention_seconds}
            )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._fal.http.aclose()
        await self._fal.http_streams.aclose()
        await self._fal.http_files.aclose()

    async def submit(
        self, endpoint: str, arguments: Mapping[str, object], *, webhook_url: str | None = None
    ) -> Request:
        """Send a request, once.

        Raises `NotSent` (may be tried again), `AnswerLost` (must be looked up first) or
        `Refused` (nothing was accepted).
        """
        handle = await self._fal.submit(
            endpoint, dict(arguments), webhook_url=webhook_url, headers=self._headers
        )
        of_queue = self._urls.of_queue
        return Request(
            handle.request_id,
            of_queue(handle.status_url),
            of_queue(handle.response_url),
            of_queue(handle.cancel_url),
        )

    def request(self, endpoint: str, request_id: str) -> Request:
        """A request that was found by its id; its URLs name only owner and app."""
        owner, app = endpoint.split("/")[:2]
        url = f"{self._urls.queue}/{owner}/{app}/requests/{request_id}"
        return Request(request_id, f"{url}/status", url, f"{url}/cancel")

    async def upload(self, data: bytes, content_type: str, file_name: str) -> str:
        """Hand a file to fal; return what an argument takes as its URL.

        A small file that fal's storage does not take goes as a `data:` URI. Raises
        `Unavailable` otherwise.
        """
        try:
            async with asyncio.timeout(UPLOAD_TIMEOUT_SECONDS):
                return await self._fal.upload(data, content_type, file_name, lifecycle=self._expiry)
        except UPLOAD_ERRORS as error:
            if len(data) > DATA_URI_LIMIT_BYTES:
                raise Unavailable(f"upload: {type(error).__name__}") from error
            logger.warning(
                "fal storage refused a file (%s), sending it inline", type(error).__name__
            )
            return f"data:{content_type};base64,{base64.b64encode(data).decode()}"

    async def watch(self, request: Request) -> AsyncIterator[Status]:
        """The states of a request until `Completed`, which is not yet success.

        Read from the status stream; where there is none, or it breaks, asked again and again.
        """
        try:
            async for status in self._stream(request):
                yield status
                if isinstance(status, Completed):
                    return
        except (httpx.HTTPError, SSEError, Unavailable) as error:
            logger.debug("status stream ended: %s", type(error).__name__)
        async for status in self._poll(request):
            yield status

    async def status(self, request: Request) -> Status:
        """The present state. Raises `Unavailable`, or `Refused` when fal knows no such request."""
        response = await self._ask("GET", request.status_url, params={"logs": "1"})
        answer = parse_json(response.content)
        if response.status_code == 404 and is_of_fal(answer):
            raise refusal(404, response.headers, answer)
        status = _status(answer) if response.is_success else None
        if status is None:
            raise _unavailable(response)
        return status

    async def result(self, request: Request) -> Result:
        """What the job made. Its own HTTP status decides, not the status `COMPLETED`.

        Raises `Refused` if the job failed, `Unavailable` if fal's answer cannot be read or
        is about the asking (key, rate, not ready yet) rather than the job.
        """
        response = await self._ask("GET", request.response_url)
        answer = parse_json(response.content)
        if response.is_success and response.status_code != 202 and isinstance(answer, dict):
            return Result(_media(answer), billable_units(response.headers))
        if response.is_error and is_of_fal(answer):
            error = refusal(response.status_code, response.headers, answer)
            if error.status not in ABOUT_THE_ASKING and not await self._is_early(error, request):
                raise error
        raise _unavailable(response)

    async def _is_early(self, error: Refused, request: Request) -> bool:
        """Whether a refusal only means that the job is not done, which fal says in words alone.

        A model may say no in words alone too: then the status is `COMPLETED`.
        """
        if error.status != 400 or error.types:
            return False
        return "in progress" in error.detail or not isinstance(
            await self.status(request), Completed
        )

    async def cancel(self, request: Request) -> bool:
        """Ask fal to stop; True if it will. Raises `Unavailable`."""
        response = await self._ask("PUT", request.cancel_url)
        if response.status_code in (400, 404):
            return False
        if response.is_error:
            raise _unavailable(response)
        return True

    async def fetch(self, url: str, *, limit_bytes: int) -> bytes:
        """The bytes of a result's file.

        Raises `Unavailable`, or `MediaTooLarge` for more than `limit_bytes`.
        """
        return await files.fetch(self._fal.http_files, url, limit_bytes)

    async def _ask(
        self, method: str, url: str, params: dict[str, str] | None = None
    ) -> httpx.Response:
        try:
            async with asyncio.timeout(LONGEST_ANSWER_SECONDS):
                return await self._http.request(method, url, params=params)
        except (httpx.HTTPError, TimeoutError) as error:
            raise Unavailable(type(error).__name__) from error

    async def _stream(self, request: Request) -> AsyncIterator[Status]:
        async with aconnect_sse(
            self._fal.http_streams,
            "GET",
            f"{request.status_url}/stream",
            params={"logs": "1"},
            timeout=STREAM_TIMEOUT,
        ) as events:
            if not events.response.is_success:
                raise _unavailable(events.response)
            async for event in events.aiter_sse():
                status = _status(parse_json(event.data.encode()))
                if status is not None:
                    yield status

    async def _poll(self, request: Request) -> AsyncIterator[Status]:
        pause, unknown = POLL_FIRST_SECONDS, 0
        while True:
            wait = pause
            try:
                status = await self.status(request)
                unknown = 0
                yield status
                if isinstance(status, Completed):
                    return
            except Unavailable as error:
                wait = max(pause, error.retry_after_seconds or 0)
            except Refused:
                unknown += 1
                if unknown >= POLLS_UNKNOWN:
                    yield Completed(logs=None, metrics={})
                    return
            await asyncio.sleep(wait)
            pause = min(pause * POLL_FACTOR, POLL_SLOWEST_SECONDS)


def _status(answer: object) -> Status | None:
    """The state that a status object describes (fal documentation, "Queue API")."""
    if not isinstance(answer, dict):
        return None
    match answer.get("status"):
        case "IN_QUEUE":
            position = answer.get("queue_position")
            return Queued(position if isinstance(position, int) else 0)
        case "IN_PROGRESS":
            logs = answer.get("logs")
            return InProgress(logs if isinstance(logs, list) else [])
        case "COMPLETED":
            return Completed(logs=None, metrics={})
    return None


def _media(answer: dict[str, object]) -> tuple[Media, ...]:
    """The files of a result: `images: […]`, `image: {…}` or `video: {…}`."""
    flags = answer.get("has_nsfw_concepts")
    flags = flags if isinstance(flags, list) else []
    found = answer.get("images")
    files = found if isinstance(found, list) else [answer.get("image"), answer.get("video")]
    return tuple(
        Media(
            file["url"],
            _typed(file, "content_type", str),
            _typed(file, "width", int),
            _typed(file, "height", int),
            flagged=number < len(flags) and flags[number] is True,
        )
        for number, file in enumerate(files)
        if isinstance(file, dict) and isinstance(file.get("url"), str)
    )


def _typed(file: dict[str, object], key: str, kind: type[T]) -> T | None:
    value = file.get(key)
    return value if isinstance(value, kind) else None


def _unavailable(response: httpx.Response) -> Unavailable:
    return Unavailable(f"HTTP {response.status_code}", retry_after(response.headers))


__all__ = ["Completed", "InProgress", "Media", "Queue", "Queued", "Request", "Result", "Status"]
