"""A server that answers every request with the same bytes: for what no honest server says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class Answering:
    """Where it is, and the head of each request that it got."""

    url: str = ""
    heads: list[str] = field(default_factory=list)

    @property
    def authorized(self) -> list[str]:
        """The requests that carried a key."""
        return [head for head in self.heads if "authorization:" in head.lower()]


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[Answering]:
    """Serve `answer`, a whole HTTP response, on a free port of this machine."""
    server = Answering()
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:  # it was connected to, and asked nothing
            writer.close()
            await writer.wait_closed()
            return
        server.heads.append(head)
        for line in head.splitlines():
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                await reader.readexactly(int(value))
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield server
    await asyncio.gather(*(task for task in serving if task is not None))


@asynccontextmanager
async def dripping() -> AsyncIterator[Answering]:
    """Serve an answer that goes on and on, a little at a time, and never comes to its end."""
    server = Answering()
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        server.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        with suppress(OSError):
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), 0.01)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield server
    await asyncio.gather(*(task for task in serving if task is not None))


def response(status: str, body: str = "", **headers: str) -> bytes:
    """A response that ends its connection; header names have `_` for `-`."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body]).encode()
