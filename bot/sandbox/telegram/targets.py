"""Finding what a call is about: the chat, the message, the message to reply to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.sandbox.telegram.chats import Chat
from bot.sandbox.telegram.errors import bad_request
from bot.sandbox.telegram.messages import Message

if TYPE_CHECKING:
    from bot.sandbox.telegram.world import TelegramWorld


def find_chat(world: TelegramWorld, chat_id: int | str, writing: bool = True) -> Chat:
    """The chat, if the bot may write there; raises Refusal."""
    chat = world.chat_named(chat_id)
    if chat is None or (not writing and chat.person is not None and not chat.person.started):
        raise bad_request("chat not found")
    if writing:
        chat.require_open()
    return chat


def find_message(chat: Chat, message_id: int, otherwise: str) -> Message:
    """The message; raises a Refusal that says `otherwise`."""
    message = chat.message(message_id)
    if message is None:
        raise bad_request(otherwise)
    return message


def find_thread(chat: Chat, params: dict[str, Any]) -> int | None:
    """The forum topic to write into; raises Refusal if there is no such topic."""
    thread = params.get("message_thread_id")
    if thread is None:
        return None
    if thread not in chat.topics:
        raise bad_request("message thread not found")
    return int(thread)


def find_reply(world: TelegramWorld, chat: Chat, params: dict[str, Any]) -> Message | None:
    """The message to answer; raises Refusal if it is gone and must not be."""
    reply = params.get("reply_parameters")
    if reply is None:
        return None
    where: Chat | None = chat
    if reply.get("chat_id") is not None:
        where = world.chat_named(reply["chat_id"])
    found = where.message(reply["message_id"]) if where is not None else None
    if found is None and not reply.get("allow_sending_without_reply"):
        raise bad_request("message to be replied not found")
    return found
