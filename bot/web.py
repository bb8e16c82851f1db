"""The HTTP side: callbacks of Telegram and fal, health, metrics."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tortoise.exceptions import BaseORMException

from bot.fal.callbacks import CallbackVerifier, Forged
from bot.fal.transport import parse_json
from bot.metrics import Metrics
from bot.settings import Address
from db.models import Person
from db.updates import number_of

logger = logging.getLogger(__name__)

LARGEST_BODY_BYTES = 1024 * 1024
LARGEST_JOB_ID = 2**63 - 1
LONGEST_JOB_ID = len(str(LARGEST_JOB_ID))
STOP_WITHIN_SECONDS = 2


class CannotListen(Exception):
    """The address is taken or not ours. The message is one sentence."""


class _TooLarge(Exception):
    """The body is larger than any callback."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What arrives over HTTP when there is a public URL, and who takes it.

    `on_update` takes an update of Telegram (JSON object) and returns once it is stored;
    `on_fal` takes a job id, the request id that fal says it is and the word in the URL, and tells
    if it knows it.
    """

    telegram_secret: str
    verifier: CallbackVerifier
    on_update: Callable[[dict[str, object]], Awaitable[bool]]
    on_fal: Callable[[int, str, str], Awaitable[bool]]


class Web:
    """The ASGI application. Without `callbacks` only health and metrics are there."""

    def __init__(
        self, metrics: Metrics, is_ready: Callable[[], bool], callbacks: Callbacks | None
    ) -> None:
        self._metrics = metrics
        self._is_ready = is_ready
        self._callbacks = callbacks

    def application(self) -> Starlette:
        """All routes."""
        routes = [
            Route("/healthz", self._health),
            Route("/readyz", self._ready),
            Route("/metrics", self._show_metrics),
        ]
        if self._callbacks is not None:
            routes.append(Route("/telegram", self._telegram, methods=["POST"]))
            routes.append(Route("/fal/{job_id}", self._fal, methods=["POST"]))
        return Starlette(routes=routes)

    async def _health(self, _: Request) -> Response:
        return PlainTextResponse("ok")

    async def _ready(self, _: Request) -> Response:
        try:
            await Person.exists(id=0)
        except (BaseORMException, OSError):
            return PlainTextResponse("the database does not answer", 503)
        if not self._is_ready():
            return PlainTextResponse("starting or stopping", 503)
        return PlainTextResponse("ready")

    async def _show_metrics(self, _: Request) -> Response:
        return Response(await self._metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def _telegram(self, request: Request) -> Response:
        """An update: the secret is compared in constant time, the rest happens afterwards."""
        callbacks = self._callbacks
        given = request.headers.get("x-telegram-bot-api-secret-token", "")
        if callbacks is None or not hmac.compare_digest(
            given.encode(), callbacks.telegram_secret.encode()
        ):
            return self._answer("telegram", "wrong secret", 401)
        try:
            update = _update(await _body(request))
        except _TooLarge:
            return self._answer("telegram", "too large", 413)
        except (ValueError, RecursionError):
            return self._answer("telegram", "malformed", 400)
        is_new = await callbacks.on_update(update)
        return self._answer("telegram", "taken" if is_new else "repeated", 200)

    async def _fal(self, request: Request) -> Response:
        """A request is complete: what it made is fetched from fal, never taken from here."""
        callbacks, job_id = self._callbacks, _job_id(request.path_params["job_id"])
        if callbacks is None or job_id is None:
            return self._answer("fal", "unexpected", 404)
        try:
            body = await _body(request)
            request_id = await callbacks.verifier.verify(request.headers, body)
        except _TooLarge:
            return self._answer("fal", "too large", 413)
        except Forged as error:
            logger.warning("a callback was refused: %s", error)
            return self._answer("fal", "forged", 401)
        if not _is_of_a_request(body):
            return self._answer("fal", "malformed", 400)
        word = request.query_params.get("word", "")
        known = await callbacks.on_fal(job_id, request_id, word)
        return self._answer("fal", "taken" if known else "unknown job", 200 if known else 404)

    def _answer(self, sender: str, outcome: str, status: int) -> Response:
        self._metrics.callbacks.labels(sender, outcome).inc()
        return PlainTextResponse(outcome, status)


def _update(body: bytes) -> dict[str, object]:
    """The update in a body. Raises `ValueError`, or `RecursionError` if it is nested too deep."""
    update = json.loads(body)
    if number_of(update) is None:
        raise ValueError("not an update")
    if not all(isinstance(update.get(kind, {}), dict) for kind in ("message", "callback_query")):
        raise ValueError("an update of nothing")
    return dict(update)


def _job_id(text: str) -> int | None:
    """The id in a path; None for what the id of no job can be."""
    if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_JOB_ID):
        return None
    number = int(text)
    return number if number <= LARGEST_JOB_ID else None


def _is_of_a_request(body: bytes) -> bool:
    """Whether a body has the form of fal's callbacks (fal documentation, "Webhooks")."""
    callback = parse_json(body)
    return isinstance(callback, dict) and isinstance(callback.get("request_id"), str)


async def _body(request: Request) -> bytes:
    """The whole body. Raises `_TooLarge` before it is in memory."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_BODY_BYTES:
            raise _TooLarge
        chunks.append(chunk)
    return b"".join(chunks)


@asynccontextmanager
async def serve(application: Starlette, address: Address) -> AsyncIterator[None]:
    """Serve on an address for the code inside. Raises `CannotListen`."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise CannotListen(
            f"LISTEN: {address.host}:{address.port} cannot be used ({error.strerror})."
        ) from error
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
    )
    server = uvicorn.Server(config)
    # The signals are ours: uvicorn's own serve() would take them.
    task = asyncio.create_task(server._serve([listener]), name="web")
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.wait([task], timeout=STOP_WITHIN_SECONDS + 1)
        task.cancel()
        listener.close()
