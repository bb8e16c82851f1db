"""Methods that put new messages into a chat."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from bot.sandbox.telegram.account import Handler
from bot.sandbox.telegram.calls import Call
from bot.sandbox.telegram.chats import Chat
from bot.sandbox.telegram.errors import bad_request
from bot.sandbox.telegram.files import MEGABYTE, StoredFile
from bot.sandbox.telegram.formatting import read_text, units
from bot.sandbox.telegram.markup import check_markup
from bot.sandbox.telegram.messages import Content
from bot.sandbox.telegram.targets import find_chat, find_reply, find_thread

if TYPE_CHECKING:
    from bot.sandbox.telegram.world import TelegramWorld

TEXT_CHARACTERS = 4096
CAPTION_CHARACTERS = 1024
ALBUM = range(2, 11)
URL_BYTES = {"photo": 5 * MEGABYTE}
URL_BYTES_OTHERWISE = 20 * MEGABYTE


def read_message(params: dict[str, Any]) -> Content:
    """The content of a text message; raises Refusal."""
    text, entities = read_text(params["text"], params.get("parse_mode"), params.get("entities"))
    if not text:
        raise bad_request("message text is empty")
    # The documentation says characters; counted here in UTF-16, which is never the laxer way.
    if units(text) > TEXT_CHARACTERS:
        raise bad_request("message is too long")
    return Content(text, entities, markup=check_markup(params.get("reply_markup")))


def read_caption(params: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """The caption and its entities; raises Refusal."""
    text, entities = read_text(
        params.get("caption", ""), params.get("parse_mode"), params.get("caption_entities")
    )
    if units(text) > CAPTION_CHARACTERS:
        raise bad_request("message caption is too long")
    return text, entities


async def read_media(
    world: TelegramWorld, call: Call, kind: str, given: str | None, params: dict[str, Any]
) -> StoredFile:
    """The file that a call sends: uploaded with it, known by file_id, or to be fetched by URL."""
    details: dict[str, Any] = {}
    if kind == "video":
        details = {key: params[key] for key in ("width", "height", "duration") if key in params}
    name = (given or "").removeprefix("attach://") if given else kind
    if given is None or given.startswith("attach://"):
        upload = call.uploads.get(name)
        if upload is None:
            raise bad_request(f"there is no {name} in the request")
        if kind == "document":
            details["mime"] = upload.mime or "application/octet-stream"
        return world.files.store(kind, upload.data, upload.name, **details)
    if given.startswith(("http://", "https://")):
        return world.files.store(kind, await _fetch(world, kind, given), None, **details)
    file = world.files.reuse(kind, given)
    if file is None:
        raise bad_request("wrong file identifier/HTTP URL specified")
    return file


async def _fetch(world: TelegramWorld, kind: str, url: str) -> bytes:
    failure = bad_request("failed to get HTTP URL content")
    # Telegram remembers for a while that a URL could not be fetched. The sandbox never leaves
    # this machine.
    if url in world.failed_urls or urlsplit(url).hostname not in ("127.0.0.1", "localhost"):
        raise failure
    try:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            answer = await client.get(url)
            answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL):
        world.failed_urls.add(url)
        raise failure from None
    if len(answer.content) > URL_BYTES.get(kind, URL_BYTES_OTHERWISE):
        world.failed_urls.add(url)
        raise failure
    return answer.content


def _post(world: TelegramWorld, chat: Chat, call: Call, content: Content) -> Any:
    thread = find_thread(chat, call.params)
    reply = find_reply(world, chat, call.params)
    return chat.add(content, None, reply, thread).json()


async def send_message(world: TelegramWorld, call: Call) -> Any:
    chat = find_chat(world, call.params["chat_id"])
    content = read_message(call.params)
    world.flood.check(chat, world.clock.now())
    return _post(world, chat, call, content)


def _sender(kind: str) -> Handler:
    async def send(world: TelegramWorld, call: Call) -> Any:
        chat = find_chat(world, call.params["chat_id"])
        text, entities = read_caption(call.params)
        markup = check_markup(call.params.get("reply_markup"))
        world.flood.check(chat, world.clock.now())
        file = await read_media(world, call, kind, call.params.get(kind), call.params)
        return _post(world, chat, call, Content(text, entities, file, markup))

    return send


async def send_media_group(world: TelegramWorld, call: Call) -> Any:
    chat = find_chat(world, call.params["chat_id"])
    items = call.params["media"]
    if len(items) not in ALBUM:
        raise bad_request("wrong number of messages in the album: 2 to 10 are possible")
    kinds = {item["type"] for item in items}
    if not kinds <= {"photo", "video"} and kinds != {"document"}:
        raise bad_request("these types of media can't be grouped in one album")
    world.flood.check(chat, world.clock.now())
    contents = []
    for item in items:
        text, entities = read_caption(item)
        file = await read_media(world, call, item["type"], item["media"], item)
        contents.append(Content(text, entities, file))
    thread = find_thread(chat, call.params)
    reply = find_reply(world, chat, call.params)
    album = str(secrets.randbits(53))
    return [chat.add(content, None, reply, thread, album).json() for content in contents]


SENDING: dict[str, Handler] = {
    "sendMessage": send_message,
    "sendPhoto": _sender("photo"),
    "sendVideo": _sender("video"),
    "sendDocument": _sender("document"),
    "sendMediaGroup": send_media_group,
}
