"""What both stand-ins need to speak HTTP, and to stop speaking it in the middle of a word."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

TRANSPORT = "sandbox.transport"
SPACES = b" " * 65536
MARK = f"decimal-{secrets.token_hex(8)}:"
MARKED = re.compile(f'"{MARK}([^"]+)"')


class Protocol(H11Protocol):
    """uvicorn's protocol, which also hands the connection's transport to the application."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        application: Any = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT] = self.transport
            await application(scope, receive, send)

        self.app: Any = with_transport


def reset(scope: Scope) -> None:
    """Cut the connection at once, so that the other end reads a reset and not an end."""
    transport: asyncio.Transport = scope[TRANSPORT]
    if transport.is_closing():
        return
    connection = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def gone(receive: Receive) -> None:
    """Return when the other end has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Cut(Response):
    """No answer at all: the connection is reset, after `waiting` if that is given.

    `partial` is sent first, as the beginning of an answer that never ends.
    """

    def __init__(
        self,
        waiting: Callable[[], Awaitable[object]] | None = None,
        partial: Response | None = None,
    ) -> None:
        super().__init__()
        self.waiting = waiting
        self.partial = partial

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.partial is not None:
            await self._send_half(self.partial, send)
        if self.waiting is not None:
            await first_of(self.waiting(), gone(receive))
        reset(scope)
        await gone(receive)

    async def _send_half(self, answer: Response, send: Send) -> None:
        body = bytes(answer.body)
        await send(
            {
                "type": "http.response.start",
                "status": answer.status_code,
                "headers": answer.raw_headers,
            }
        )
        half = body[: len(body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


class Endless(Response):
    """The beginning of `answer`, and then spaces for as long as the other end listens."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [pair for pair in self.answer.raw_headers if pair[0] != b"content-length"]
        status = self.answer.status_code
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await first_of(self._pour(send), gone(receive))

    async def _pour(self, send: Send) -> None:
        chunk = bytes(self.answer.body)
        while True:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await asyncio.sleep(0)  # a send that need not wait lets nobody else have a turn
            chunk = SPACES


class Exact(Response):
    """JSON in which every Decimal is written with all its digits, and never as a float."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return dumps(content).encode()


def dumps(content: Any) -> str:
    """`content` as JSON text; Decimals become JSON numbers with exactly their digits."""
    return MARKED.sub(r"\1", json.dumps(content, ensure_ascii=False, default=_mark))


def _mark(value: Any) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is not JSON")
    text = f"{value:f}"
    return MARK + (text.rstrip("0").rstrip(".") if "." in text else text)


class Events(Response):
    """Server-sent events from `source`, until it ends or the other end leaves.

    With `cut`, the connection is reset where the stream should have ended.
    """

    def __init__(self, source: AsyncIterator[str], cut: bool = False) -> None:
        super().__init__(headers={"content-type": "text/event-stream", "cache-control": "no-cache"})
        del self.headers["content-length"]
        self.source = source
        self.cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await first_of(self._pour(send), gone(receive))
        if self.cut:
            reset(scope)
            await gone(receive)
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pour(self, send: Send) -> None:
        async with contextlib.aclosing(self.source) as lines:  # type: ignore[type-var]
            async for line in lines:
                chunk = f"{line}\n\n".encode()
                await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def first_of(*ways: Awaitable[Any]) -> None:
    """Run all `ways` until the first ends, end the others, and raise what that one raised."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read_json(request: Request) -> Any:
    """The request's body as JSON; raises ValueError when it is not."""
    body = await request.body()
    return json.loads(body) if body else {}
