"""The control API: people's hands and fal's levers, as JSON over HTTP.

For the chat page, and for tests that drive the bot as a real process. Bodies and answers are
JSON unless said otherwise; errors are `{"error": "…"}` with 400 or 404. Shapes are in `views`.

    GET  /                                   the chat page (files of `page/`)
    GET  /control/state                      {"telegram": …, "fal": …, "now": ISO 8601}
    GET  /control/events                     server-sent events: {"type": …, "chat_id": …}; types
                                             message, edit, delete (with "message"), action
                                             ("action"), answer ("person_id", "text", "alert"),
                                             people, commands, fal ("request_id")
    POST /control/people                     {"name", "id"?, "username"?, "language"?, "started"?}
    POST /control/people/{id}                {"language"?, "name"?, "blocked"?}
    POST /control/groups                     {"title", "members": [ids], "forum"?, "supergroup"?}
    POST /control/groups/{id}/topics         {"name"} -> {"thread_id"}
    POST /control/groups/{id}/migrate        -> the new chat
    GET  /control/chats/{id}/messages        {"messages": […]}; ?after=id, ?deleted=1
    GET  /control/chats/{id}/commands        ?person_id= -> {"commands": [{command, description}]}
    POST /control/chats/{id}/send            {"person_id", "text", "reply_to"?, "thread_id"?}
    POST /control/chats/{id}/photo           multipart: person_id, file, caption?, reply_to?
    POST /control/chats/{id}/document        the same; with ?sticker=1 a sticker without a file
    POST /control/chats/{id}/edit            {"message_id", "text"}
    POST /control/chats/{id}/delete          {"message_id"}: a person removes it; nobody is told
    POST /control/chats/{id}/press           {"person_id", "message_id", "data"} waits for the
                                             bot -> {"answered", "text", "alert", "url"}
    GET  /control/media/{file_id}            the bytes of a photo, video, document
    POST /control/updates                    any update, delivered as it is
    GET  /control/fal                        requests, balance, prices, bills, pace
    POST /control/fal                        {"pace"?, "balance_nanos"?, "concurrency"?, "locked"?,
                                             "discount"?, "billing_delay_seconds"?, "tempo"?}
    POST /control/fal/prices                 {"endpoint_id", "unit", "unit_price": "0.025"}
    POST /control/fal/outside                {"nanos"}: spent by somebody else
    POST /control/fal/requests/{id}/{act}    act: start, complete, fail {"status"?, "error_type"?}
    GET, POST, DELETE /control/faults        POST {"side": "telegram", "kind", "method"?,
                                             "chat_id"?, "times"?} or {"side": "fal", "kind",
                                             "operation", "endpoint"?, "times"?}; both with the
                                             details of `Fault`; DELETE clears all
    POST /control/clock                      {"advance_seconds"} -> {"now"}
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from bot.sandbox import views
from bot.sandbox.fal import FalWorld
from bot.sandbox.levers import Handler, Levers, Missing, careful
from bot.sandbox.static import ChatPage
from bot.sandbox.telegram import Chat, Message, Person, TelegramWorld
from bot.sandbox.wire import Events

PRESS_SECONDS = 10.0


class Control:
    """Serves the control API for both worlds."""

    def __init__(self, telegram: TelegramWorld, fal: FalWorld) -> None:
        self.telegram = telegram
        self.fal = fal

    def routes(self) -> list[BaseRoute]:
        """All routes, the chat page last."""
        chat = "/control/chats/{chat_id}"
        group = "/control/groups/{chat_id}"
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/control/state", self.state),
            ("GET", "/control/events", self.events),
            ("POST", "/control/people", self.add_person),
            ("POST", "/control/people/{person_id}", self.change_person),
            ("POST", "/control/groups", self.add_group),
            ("POST", f"{group}/topics", self.add_topic),
            ("POST", f"{group}/migrate", self.migrate),
            ("GET", f"{chat}/messages", self.messages),
            ("GET", f"{chat}/commands", self.commands),
            ("POST", f"{chat}/send", self.send),
            ("POST", f"{chat}/photo", self.photo),
            ("POST", f"{chat}/document", self.document),
            ("POST", f"{chat}/edit", self.edit),
            ("POST", f"{chat}/delete", self.delete),
            ("POST", f"{chat}/press", self.press),
            ("GET", "/control/media/{file_id}", self.media),
            ("POST", "/control/updates", self.update),
            *Levers(self.telegram, self.fal).table(),
        ]
        routes: list[BaseRoute] = [
            Route(path, careful(handler), methods=[method]) for method, path, handler in table
        ]
        return [*routes, Mount("/", ChatPage())]

    # -- finding -----------------------------------------------------------------------------

    def _chat(self, request: Request) -> Chat:
        chat = self.telegram.chats.get(int(request.path_params["chat_id"]))
        if chat is None:
            raise Missing("no such chat")
        return chat

    def _person(self, person_id: Any) -> Person:
        person = self.telegram.people.get(int(person_id))
        if person is None:
            raise Missing("no such person")
        return person

    def _message(self, chat: Chat, message_id: Any) -> Message | None:
        """The message, also a deleted one; None for no id."""
        if message_id in (None, ""):
            return None
        for message in chat.messages:
            if message.id == int(message_id):
                return message
        raise Missing("no such message")

    # -- telegram ----------------------------------------------------------------------------

    async def state(self, request: Request) -> Response:
        return JSONResponse(
            {
                "telegram": views.telegram_json(self.telegram),
                "fal": views.fal_json(self.fal),
                "now": self.telegram.clock.now().isoformat(),
            }
        )

    async def events(self, request: Request) -> Response:
        return Events(self._events())

    async def _events(self) -> AsyncIterator[str]:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        stops = [
            self.telegram.changes.listen(queue.put_nowait),
            self.fal.changes.listen(queue.put_nowait),
        ]
        try:
            yield 'data: {"type": "hello"}'
            while True:
                yield f"data: {json.dumps(self._filled(await queue.get()))}"
        finally:
            for stop in stops:
                stop()

    def _filled(self, event: dict[str, Any]) -> dict[str, Any]:
        if event["type"] not in ("message", "edit", "delete"):
            return event
        message = self._message(self.telegram.chats[event["chat_id"]], event["message_id"])
        return {**event, "message": views.message_json(message) if message else None}

    async def add_person(self, request: Request) -> Response:
        body = await request.json()
        person = self.telegram.person(**body)
        return JSONResponse(views.person_json(person))

    async def change_person(self, request: Request) -> Response:
        person = self._person(request.path_params["person_id"])
        body = await request.json()
        person.language = body.get("language", person.language)
        person.first_name = body.get("name", person.first_name)
        if body.get("blocked", person.blocked) != person.blocked:
            if person.blocked:
                person.unblocks_bot()
            else:
                person.blocks_bot()
        self.telegram.changes.notify({"type": "people"})
        return JSONResponse(views.person_json(person))

    async def add_group(self, request: Request) -> Response:
        body = await request.json()
        members = [self._person(one) for one in body.pop("members", [])]
        return JSONResponse(views.chat_json(self.telegram.group(members=members, **body)))

    async def add_topic(self, request: Request) -> Response:
        thread = self._chat(request).add_topic((await request.json())["name"])
        return JSONResponse({"thread_id": thread})

    async def migrate(self, request: Request) -> Response:
        return JSONResponse(views.chat_json(self.telegram.migrate(self._chat(request))))

    async def messages(self, request: Request) -> Response:
        chat = self._chat(request)
        after = int(request.query_params.get("after", 0))
        shown = chat.messages if request.query_params.get("deleted") else chat.visible
        found = [views.message_json(message) for message in shown if message.id > after]
        return JSONResponse({"messages": found})

    async def commands(self, request: Request) -> Response:
        chat = self._chat(request)
        person = self._person(request.query_params["person_id"])
        menu = self.telegram.profile.commands_for(chat.id, chat.private, person.id, person.language)
        return JSONResponse({"commands": menu})

    async def send(self, request: Request) -> Response:
        chat = self._chat(request)
        body = await request.json()
        message = await self._person(body["person_id"]).sends(
            body["text"],
            chat,
            self._message(chat, body.get("reply_to")),
            body.get("thread_id"),
        )
        return JSONResponse(views.message_json(message))

    async def photo(self, request: Request) -> Response:
        chat = self._chat(request)
        async with request.form() as form:
            person = self._person(form["person_id"])
            file = form.get("file")
            data = await file.read() if isinstance(file, UploadFile) else None
            message = await person.sends_photo(
                data,
                str(form.get("caption", "")),
                chat,
                self._message(chat, form.get("reply_to")),
            )
        return JSONResponse(views.message_json(message))

    async def document(self, request: Request) -> Response:
        chat = self._chat(request)
        async with request.form() as form:
            person = self._person(form["person_id"])
            if request.query_params.get("sticker"):
                return JSONResponse(views.message_json(await person.sends_sticker(chat)))
            file = form["file"]
            if not isinstance(file, UploadFile):
                raise ValueError("file is not a file")
            message = await person.sends_document(
                await file.read(),
                file.filename or "file.bin",
                file.content_type or "application/octet-stream",
                str(form.get("caption", "")),
                chat,
                self._message(chat, form.get("reply_to")),
            )
        return JSONResponse(views.message_json(message))

    async def edit(self, request: Request) -> Response:
        body = await request.json()
        message = self._message(self._chat(request), body["message_id"])
        if message is None or message.sender is None:
            raise Missing("no such message of a person")
        await message.sender.edits(message, body["text"])
        return JSONResponse(views.message_json(message))

    async def delete(self, request: Request) -> Response:
        chat = self._chat(request)
        message = self._message(chat, (await request.json())["message_id"])
        if message is None:
            raise Missing("no such message")
        chat.delete(message)
        return JSONResponse(views.message_json(message))

    async def press(self, request: Request) -> Response:
        body = await request.json()
        message = self._message(self._chat(request), body["message_id"])
        if message is None:
            raise Missing("no such message")
        person = self._person(body["person_id"])
        query = await person.presses(message, body["data"], stale=True, wait=False)
        try:
            await self.telegram.wait_for(lambda: query.answers, PRESS_SECONDS)
        except TimeoutError:
            return JSONResponse({"answered": False, "text": None, "alert": False, "url": None})
        return JSONResponse(
            {"answered": True, "text": query.text, "alert": query.alert, "url": query.url}
        )

    async def media(self, request: Request) -> Response:
        file = self.telegram.files.get(request.path_params["file_id"])
        if file is None:
            raise Missing("no such file")
        kinds = {"photo": "image/jpeg", "sticker": "image/webp", "video": "video/mp4"}
        kind = kinds.get(file.kind) or file.mime or "application/octet-stream"
        return Response(file.data, media_type=kind, headers={"Cache-Control": "max-age=3600"})

    async def update(self, request: Request) -> Response:
        return JSONResponse(self.telegram.push_update(await request.json()))
