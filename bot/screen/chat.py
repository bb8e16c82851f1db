"""Writing into chats: texts in HTML without previews, and what Telegram's refusals mean.

Telegram tells some refusals apart only by their text (Bot API server, error descriptions).
python-telegram-bot's `Defaults` are not used: they add parameters to methods that have none such.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from telegram import ForceReply, InlineKeyboardMarkup, LinkPreviewOptions, Message, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest, RetryAfter, TelegramError
from telegram.ext import ExtBot

from db.models import ContentJob, LiveMessage, Notice, Person
from db.sql import now

NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
NO_PREVIEW_AS_SENT = NO_PREVIEW.to_json()


async def send_text(
    bot: ExtBot[Any],
    chat_id: int,
    text: str,
    *,
    buttons: InlineKeyboardMarkup | None = None,
    thread_id: int | None = None,
    reply_to: int | None = None,
    attempts: int | None = None,
) -> Message:
    """Send a text in HTML; as a reply if the message replied to is still there.

    `attempts` as in `bot.screen.flood`.
    """
    return await bot.send_message(
        chat_id,
        text,
        parse_mode=ParseMode.HTML,
        link_preview_options=NO_PREVIEW,
        reply_markup=buttons,
        message_thread_id=thread_id,
        reply_parameters=reply_of(reply_to),
        rate_limit_args=attempts,
    )


async def answer_text(
    bot: ExtBot[Any],
    chat_id: int,
    text: str,
    *,
    buttons: InlineKeyboardMarkup | ForceReply | None = None,
    thread_id: int | None = None,
    reply_to: int | None = None,
) -> int:
    """Send a text as `send_text` does; return its id.

    Telegram returns the whole message, and making python-telegram-bot's objects of it takes as
    long as sending it. Its way to raw answers warns of names that it has a method for; in this
    spelling it has none, and makes `sendMessage` of it.
    """
    sent = await bot.do_api_request(
        "send_Message",
        {
            "chat_id": chat_id,
            "text": text,
            "parse_mode": ParseMode.HTML.value,
            "link_preview_options": NO_PREVIEW_AS_SENT,
            "reply_markup": buttons,
            "message_thread_id": thread_id,
            "reply_parameters": reply_of(reply_to),
        },
    )
    return int(sent["message_id"])


async def edit_text(
    bot: ExtBot[Any],
    chat_id: int,
    message_id: int | None,
    text: str,
    *,
    buttons: InlineKeyboardMarkup | None = None,
    attempts: int | None = None,
) -> Message | bool:
    """Edit a message into a text in HTML; its buttons go unless `buttons` are given.

    `attempts` as in `bot.screen.flood`: 1 for what is a courtesy.
    """
    return await bot.edit_message_text(
        text,
        chat_id,
        message_id,
        parse_mode=ParseMode.HTML,
        link_preview_options=NO_PREVIEW,
        reply_markup=buttons,
        rate_limit_args=attempts,
    )


def reply_of(message_id: int | None) -> ReplyParameters | None:
    """A reply to a message, if there is one and it is still there."""
    if message_id is None:
        return None
    return ReplyParameters(message_id, allow_sending_without_reply=True)


def is_not_modified(error: TelegramError) -> bool:
    """An edit that changes nothing has succeeded."""
    return "not modified" in error.message.lower()


def is_gone(error: BadRequest) -> bool:
    """The message was deleted, or can be edited no more."""
    text = error.message.lower()
    return "message to edit not found" in text or "message can't be edited" in text


def is_no_chat(error: BadRequest) -> bool:
    """The chat is gone, or was never open to the bot."""
    return "chat not found" in error.message.lower()


def wait_of(error: RetryAfter) -> timedelta:
    """How long Telegram asks to wait, which python-telegram-bot has as seconds or a `timedelta`."""
    wait = error.retry_after
    return wait if isinstance(wait, timedelta) else timedelta(seconds=wait)


async def mark_blocked(person_id: int) -> None:
    """Leave a person alone until they write again."""
    await Person.filter(id=person_id, blocked_at=None).update(blocked_at=now())


async def move_chat(old_chat_id: int, new_chat_id: int) -> None:
    """A group became a supergroup: everything about it moves to its new id."""
    for model in (ContentJob, Notice):
        await model.filter(chat_id=old_chat_id).update(chat_id=new_chat_id)
    await LiveMessage.filter(chat_id=old_chat_id).delete()
