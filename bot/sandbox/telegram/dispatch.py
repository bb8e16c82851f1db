"""The Bot API over HTTP: from a request to a method and back, and the faults in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.sandbox.faults import Fault
from bot.sandbox.telegram import description
from bot.sandbox.telegram.account import ACCOUNT
from bot.sandbox.telegram.calls import Call, read_call
from bot.sandbox.telegram.editing import EDITING
from bot.sandbox.telegram.errors import (
    NOT_MODIFIED,
    Refusal,
    bad_request,
    forbidden,
    too_many_requests,
)
from bot.sandbox.telegram.sending import SENDING
from bot.sandbox.wire import Cut, first_of, gone

if TYPE_CHECKING:
    from bot.sandbox.telegram.world import TelegramWorld

METHODS = {**ACCOUNT, **SENDING, **EDITING}
BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


class Dispatch:
    """Answers the bot's requests for one world."""

    def __init__(self, world: TelegramWorld) -> None:
        self.world = world

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/bot{token}/{method}", self.call, methods=["GET", "POST"]),
            Route("/file/bot{token}/{path:path}", self.download),
            Route("/{rest:path}", self.nothing, methods=["GET", "POST"]),
        ]

    async def nothing(self, request: Request) -> Response:
        """Anything that is no method at all."""
        return _refused(Refusal(404, "Not Found"))

    async def call(self, request: Request) -> Response:
        """One method call."""
        if request.path_params["token"] != self.world.token:
            return _refused(Refusal(401, "Unauthorized"))
        method = description.method_named(request.path_params["method"])
        if method is None or method not in METHODS:
            self.world.complaints.append(f"unknown method {request.path_params['method']}")
            return _refused(Refusal(404, "Not Found: method not found"))
        try:
            call = await read_call(request, method, self.world.clock.now())
        except ValueError:
            return _refused(bad_request("can't parse the request body"))
        if method != "getUpdates":
            self.world.calls.append(call)
        try:
            return await self._answer(call, request)
        finally:
            self.world.changes.notify()

    async def _answer(self, call: Call, request: Request) -> Response:
        chat = self.world.chats.get(call.chat_id or 0)
        group = chat is not None and chat.type == "group" and chat.migrated_to is None
        fault = self.world.faults.next(call.method, call.chat_id, group)
        if fault is not None:
            call.fault = fault.kind
            refused = self._strike(fault, call)
            if refused is not None:
                return refused
        try:
            call.result = await self._run(call, request)
        except Refusal as refusal:
            call.error = refusal.description
            return _refused(refusal)
        after = self._after(fault, call)
        return after or JSONResponse({"ok": True, "result": call.result})

    def _strike(self, fault: Fault, call: Call) -> Response | None:
        """What `fault` does before the call is processed; None lets it go on."""
        if fault.kind in ("reset", "hang"):
            call.error = fault.kind
            return Cut(self.world.faults.held() if fault.kind == "hang" else None)
        if fault.kind == "bad_gateway":
            call.error = fault.kind
            return HTMLResponse(BAD_GATEWAY, 502)
        refusals = {
            "flood": too_many_requests(fault.retry_after),
            "server_error": Refusal(500, "Internal Server Error"),
            "blocked": forbidden("bot was blocked by the user"),
            "refused": bad_request(fault.message or "refused"),
        }
        if fault.kind in refusals:
            call.error = refusals[fault.kind].description
            return _refused(refusals[fault.kind])
        chat = self.world.chats.get(call.chat_id or 0)
        if fault.kind == "migrated" and chat is not None:
            self.world.migrate(chat)
        if fault.kind == "message_deleted" and chat is not None:
            message = chat.message(int(call.given.get("message_id", 0)))
            if message is not None:
                chat.delete(message)
        return None

    def _after(self, fault: Fault | None, call: Call) -> Response | None:
        """What `fault` does with the answer to a call that was processed."""
        if fault is None:
            return None
        if fault.kind == "answer_lost":
            return Cut()
        if fault.kind == "answer_hangs":
            return Cut(self.world.faults.held())
        if fault.kind == "not_modified":
            return _refused(bad_request(NOT_MODIFIED))
        return None

    async def _run(self, call: Call, request: Request) -> Any:
        try:
            call.params = description.check(call.method, call.given, set(call.uploads))
        except description.Unknown as error:
            self.world.complaints.append(str(error))
            if self.world.strict:
                raise bad_request(str(error)) from error
            known = description.description()["methods"][call.method]
            call.params = description.check(
                call.method,
                {name: value for name, value in call.given.items() if name in known},
                set(call.uploads),
            )
        except Refusal as refusal:
            self.world.complaints.append(f"{call.method}: {refusal.description}")
            raise
        if call.method != "getUpdates":
            return await METHODS[call.method](self.world, call)
        polling = asyncio.ensure_future(METHODS[call.method](self.world, call))
        try:
            # A poller that went away must not keep the place of the one that comes after it.
            await first_of(asyncio.wait([polling]), gone(request.receive))
            return polling.result() if polling.done() else []
        finally:
            polling.cancel()

    async def download(self, request: Request) -> Response:
        """A file, under the path that getFile gave."""
        if request.path_params["token"] != self.world.token:
            return _refused(Refusal(404, "Not Found"))
        fault = self.world.faults.take(method="file")
        if fault is not None and fault.kind == "hang":
            return Cut(self.world.faults.held())
        if fault is not None and fault.kind == "server_error":
            return _refused(Refusal(500, "Internal Server Error"))
        file = self.world.files.at(request.path_params["path"])
        if file is None or (fault is not None and fault.kind == "refused"):
            return _refused(Refusal(404, "Not Found"))
        answer = Response(file.data, media_type="application/octet-stream")
        return Cut(partial=answer) if fault is not None else answer


def _refused(refusal: Refusal) -> JSONResponse:
    return JSONResponse(refusal.json(), refusal.code)
