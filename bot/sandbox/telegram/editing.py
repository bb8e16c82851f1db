"""Methods that change or remove messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bot.sandbox.telegram.account import Handler
from bot.sandbox.telegram.calls import Call
from bot.sandbox.telegram.chats import Chat
from bot.sandbox.telegram.errors import NOT_MODIFIED, bad_request
from bot.sandbox.telegram.markup import check_markup
from bot.sandbox.telegram.messages import Content, Message
from bot.sandbox.telegram.sending import read_caption, read_media, read_message
from bot.sandbox.telegram.targets import find_chat, find_message

if TYPE_CHECKING:
    from bot.sandbox.telegram.world import TelegramWorld

DELETABLE = timedelta(hours=48)


def _target(world: TelegramWorld, call: Call) -> Message:
    """The message to edit; raises Refusal."""
    if "chat_id" not in call.params:
        raise bad_request("chat_id is empty")
    chat = find_chat(world, call.params["chat_id"])
    if "message_id" not in call.params:
        raise bad_request("message identifier is not specified")
    message = find_message(chat, call.params["message_id"], "message to edit not found")
    if not message.from_bot:
        raise bad_request("message can't be edited")
    return message


def _change(world: TelegramWorld, message: Message, content: Content) -> Any:
    world.flood.check(message.chat, world.clock.now())
    if content.same_as(message.content):
        raise bad_request(NOT_MODIFIED)
    message.show(content, world.clock.now())
    world.changed("edit", message)
    return message.json()


async def edit_text(world: TelegramWorld, call: Call) -> Any:
    message = _target(world, call)
    if "text" not in call.params:
        raise bad_request("message text is empty")
    content = read_message(call.params)
    if message.content.media is not None:
        raise bad_request("there is no text in the message to edit")
    return _change(world, message, content)


async def edit_caption(world: TelegramWorld, call: Call) -> Any:
    message = _target(world, call)
    text, entities = read_caption(call.params)
    if message.content.media is None:
        raise bad_request("there is no caption in the message to edit")
    markup = check_markup(call.params.get("reply_markup"))
    content = replace(message.content, text=text, entities=entities, markup=markup)
    return _change(world, message, content)


async def edit_media(world: TelegramWorld, call: Call) -> Any:
    message = _target(world, call)
    item = call.params["media"]
    text, entities = read_caption(item)
    if item["type"] not in ("photo", "video", "document"):
        raise bad_request("the sandbox shows photos, videos and documents only")
    if message.album and (item["type"] == "document") != (message.kind == "document"):
        raise bad_request("message media of an album can be replaced by its own kind only")
    markup = check_markup(call.params.get("reply_markup"))
    file = await read_media(world, call, item["type"], item["media"], item)
    return _change(world, message, Content(text, entities, file, markup))


async def edit_markup(world: TelegramWorld, call: Call) -> Any:
    message = _target(world, call)
    markup = check_markup(call.params.get("reply_markup"))
    return _change(world, message, replace(message.content, markup=markup))


def _delete(chat: Chat, message: Message) -> None:
    if not message.from_bot and not chat.private:
        raise bad_request("message can't be deleted")
    if message.date < chat.world.clock.now() - DELETABLE:
        raise bad_request("message can't be deleted for everyone")
    chat.delete(message)


async def delete_message(world: TelegramWorld, call: Call) -> Any:
    chat = find_chat(world, call.params["chat_id"])
    message = find_message(chat, call.params["message_id"], "message to delete not found")
    _delete(chat, message)
    return True


async def delete_messages(world: TelegramWorld, call: Call) -> Any:
    chat = find_chat(world, call.params["chat_id"])
    ids = call.params["message_ids"]
    if not 1 <= len(ids) <= 100:
        raise bad_request("message identifiers are not specified")
    for message_id in ids:
        message = chat.message(message_id)
        # Those that cannot be found are skipped (Bot API, deleteMessages).
        if message is not None:
            _delete(chat, message)
    return True


EDITING: dict[str, Handler] = {
    "editMessageText": edit_text,
    "editMessageCaption": edit_caption,
    "editMessageMedia": edit_media,
    "editMessageReplyMarkup": edit_markup,
    "deleteMessage": delete_message,
    "deleteMessages": delete_messages,
}
