"""The files of results: fetched from wherever a result says, so nothing about them is trusted.

Anybody can publish a model at fal, and what a model answers names the address of its file. That
address must not lead the bot into the network that it runs in (OWASP, "Server-Side Request
Forgery Prevention").
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from collections.abc import Iterable

import httpcore
import httpx

from bot.fal.errors import MediaTooLarge, Unavailable
from bot.fal.transport import FalUrls, certificates, retry_after

# As long as handing the file on may take. Each piece may come in time, and the whole of it never.
LONGEST_FETCH_SECONDS = 120.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class _Outside(httpcore.AsyncNetworkBackend):
    """Connects to public addresses, and to the hosts in `trusted` wherever they are.

    The address is looked at when it is connected to and before anything is sent: a name may stand
    for another one at every look-up, and a redirect may lead anywhere.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._trusted = frozenset(trusted)
        if self._trusted & LOOPBACK:
            # Whoever has put a server on this very machine calls it by any of these names.
            self._trusted |= LOOPBACK

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect. Raises `httpcore.ConnectError`, also for an address that is not public."""
        stream = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        if host in self._trusted or is_public(stream.get_extra_info("server_addr")):
            return stream
        await stream.aclose()
        raise httpcore.ConnectError("not a public address")

    async def sleep(self, seconds: float) -> None:
        """Sleep between two attempts."""
        await self._inner.sleep(seconds)


class OutsideTransport(httpx.AsyncHTTPTransport):
    """Reaches the internet and the configured servers of fal, and nothing else near the bot."""

    def __init__(self, urls: FalUrls) -> None:
        super().__init__(verify=certificates())
        # httpx has no argument for how to connect; its pool has.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=certificates(),
            max_connections=None,
            max_keepalive_connections=50,
            keepalive_expiry=5.0,
            network_backend=_Outside(
                httpx.URL(url).host for url in (urls.queue, urls.platform, urls.rest, urls.cdn)
            ),
        )


def is_public(address: object) -> bool:
    """Whether a socket's address, `(host, port, …)`, is one of the internet."""
    if not isinstance(address, tuple) or not address:
        return False
    try:
        ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    return ip.is_global and not ip.is_multicast


async def fetch(http: httpx.AsyncClient, url: str, limit_bytes: int) -> bytes:
    """The bytes at a URL, or in it: some models answer with the file itself (`data:`).

    Raises `Unavailable`, or `MediaTooLarge` for more than `limit_bytes`.
    """
    if url.startswith("data:"):
        return _inline(url, limit_bytes)
    try:
        async with asyncio.timeout(LONGEST_FETCH_SECONDS), http.stream("GET", url) as response:
            if not response.is_success:
                raise Unavailable(f"HTTP {response.status_code}", retry_after(response.headers))
            return await _read(response, limit_bytes)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise Unavailable(type(error).__name__) from error


async def _read(response: httpx.Response, limit_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > limit_bytes:
            raise MediaTooLarge(f"more than {limit_bytes} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _inline(url: str, limit_bytes: int) -> bytes:
    """The bytes in a `data:` URL (RFC 2397); media are in Base64."""
    head, _, text = url.partition(",")
    if not head.endswith(";base64"):
        raise Unavailable("a file in no form that is known")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Unavailable("a file that cannot be read") from error
    if len(data) > limit_bytes:
        raise MediaTooLarge(f"more than {limit_bytes} bytes")
    return data
