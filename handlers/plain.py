"""What comes without a command, or with one that there is not. Behind all other handlers."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import BaseHandler, MessageHandler, filters

from bot import albums, drafts
from bot.catalog import KINDS
from bot.orders import LONGEST_PROMPT, Order
from handlers.budget import answer_amount
from handlers.commands import ADMIN_COMMANDS, MEMBER_COMMANDS, command_of
from handlers.context import Context, origin_of, thread_of
from handlers.make import source_of, with_price


async def unknown_command(update: Update, context: Context) -> None:
    """A command that there is not."""
    typed = command_of(update.message, context.bot.username) or ""
    known = MEMBER_COMMANDS + (ADMIN_COMMANDS if context.person.is_admin else ())
    nearest = get_close_matches(typed, known, n=1)
    if nearest:
        await context.say(update, "error.nearest_command", command=f"/{nearest[0]}")
    else:
        await context.say(update, "error.unknown_command")


async def something_else(update: Update, context: Context) -> None:
    """A text or a picture without a command, in the private chat: make something of it?"""
    message = update.message
    if message is None or await answer_amount(update, context):
        return
    prompt = (message.text or message.caption or "").strip()
    album = message.media_group_id
    if album and not await albums.begins(album) and not prompt:
        return
    texts, kinds, question = context.voice.texts, KINDS, "hint.make"
    source = await source_of(message, context, "image")
    if source is not None and not prompt:
        # Nobody has said what to make of it; that it moves goes without saying.
        prompt, kinds = texts.plain("hint.moving"), ("video",)
        question = "hint.pictures" if album else "hint.picture"
    elif not prompt or len(prompt) > LONGEST_PROMPT:
        await context.say(update, "hint.text")
        return
    order = Order(
        kind="image",
        prompt=prompt,
        origin=origin_of(update),
        chat_id=message.chat_id,
        thread_id=thread_of(message),
        message_id=message.message_id,
        source=source,
    )
    draft_id = await drafts.keep(context.person.id, order)
    buttons = [
        InlineKeyboardButton(
            await with_price(
                context, replace(order, kind=kind), texts.plain(f"button.make_{kind}")
            ),
            callback_data=f"draft:{draft_id}:{kind}",
        )
        for kind in kinds
    ]
    await context.reply(update, texts(question), InlineKeyboardMarkup([buttons]))


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    MessageHandler(
        filters.UpdateType.MESSAGE & filters.ChatType.PRIVATE & filters.COMMAND, unknown_command
    ),
    MessageHandler(
        filters.UpdateType.MESSAGE & filters.ChatType.PRIVATE & ~filters.StatusUpdate.ALL,
        something_else,
    ),
]
