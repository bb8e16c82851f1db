"""The sandbox as a whole: one HTTP server on this machine with both stand-ins and the chat page."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from uvicorn.server import ServerState

from bot.sandbox.clock import Clock
from bot.sandbox.control import Control
from bot.sandbox.fal import FalWorld, Pace
from bot.sandbox.telegram import TelegramWorld
from bot.sandbox.wire import Protocol

HOST = "127.0.0.1"


class Sandbox:
    """Stand-ins for Telegram and fal, over real HTTP in the caller's event loop.

    `port` 0 takes a free one. `pace` is how fal's jobs advance: `instant`, `manual` (tests decide)
    or `paced` (as one would see it). Use it with `async with`.
    """

    def __init__(self, port: int = 0, pace: Pace = "instant", token: str | None = None) -> None:
        self.port = port
        self.clock = Clock()
        self.telegram = TelegramWorld(self.clock, token)
        self.fal = FalWorld(self.clock, pace)
        self.control = Control(self.telegram, self.fal)
        self._server: asyncio.Server | None = None
        self._state = ServerState()

    @property
    def base_url(self) -> str:
        """Where all of it is served, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def environment(self) -> dict[str, str]:
        """The settings that point a bot at this sandbox instead of the real services."""
        return {
            "TELEGRAM_BOT_TOKEN": self.telegram.token,
            "TELEGRAM_API_URL": f"{self.base_url}/telegram",
            "FAL_KEY": self.fal.account.api_key,
            "FAL_ADMIN_KEY": self.fal.account.admin_key,
            "FAL_QUEUE_URL": f"{self.base_url}/fal/queue",
            "FAL_PLATFORM_URL": f"{self.base_url}/fal/v1",
            "FAL_REST_URL": f"{self.base_url}/fal/rest",
            "FAL_CDN_URL": f"{self.base_url}/fal/cdn",
        }

    def application(self) -> Starlette:
        """The ASGI application with everything under its path."""
        return Starlette(
            routes=[
                Mount("/telegram", routes=self.telegram.routes()),
                Mount("/fal", routes=self.fal.routes()),
                *self.control.routes(),
            ]
        )

    async def __aenter__(self) -> Sandbox:
        config = uvicorn.Config(
            self.application(),
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=60,
        )
        config.load()

        def protocol() -> asyncio.Protocol:
            return Protocol(config=config, server_state=self._state, app_state={})

        # uvicorn.Server would take over the signal handlers and poll for its own end.
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(protocol, HOST, self.port, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]
        self.telegram.open(f"{self.base_url}/telegram")
        self.fal.open(f"{self.base_url}/fal", self.telegram.is_own_url)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is None:
            return
        self._server.close()
        await self.telegram.close()
        await self.fal.close()
        for connection in list(self._state.connections):
            transport: Any = connection.transport
            transport.abort()
        tasks = list(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=1)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._server.wait_closed()
