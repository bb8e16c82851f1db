"""A load balancer for tests: one public address, in turn each process that answers."""

from __future__ import annotations

import httpx


class RoundRobin(httpx.AsyncBaseTransport):
    """Sends requests for the public URL to the processes, the next one each time.

    One that does not answer is passed over, as nginx does.
    """

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self._turn = 0
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Forward a request. Raises `httpx.ConnectError` if no process answers."""
        body = await request.aread()
        for _ in self.ports:
            self._turn += 1
            port = self.ports[self._turn % len(self.ports)]
            url = request.url.copy_with(scheme="http", host="127.0.0.1", port=port)
            headers = {name: value for name, value in request.headers.items() if name != "host"}
            forwarded = httpx.Request(
                request.method,
                url,
                headers=headers,
                content=body,
                extensions=request.extensions,
            )
            try:
                response = await self._inner.handle_async_request(forwarded)
                await response.aread()
            except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
                continue
            return response
        raise httpx.ConnectError("no process answers")

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()
