"""`/start`, and what is neither a command nor a picture."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.error import TelegramError
from telegram.ext import (
    BaseHandler,
    CallbackQueryHandler,
    CommandHandler,
    MessageHandler,
    filters,
)

from bot import drafts
from bot.catalog import Kind
from bot.errors import UserError
from bot.orders import LONGEST_PROMPT, Order
from db.models import Access, ContentJob
from db.sql import now
from handlers.budget import answer_amount, budget
from handlers.commands import ADMIN_COMMANDS, MEMBER_COMMANDS, command_of, set_admin_menu
from handlers.context import Context, is_group, origin_of, thread_of
from handlers.make import order_now, source_of
from handlers.results import TWICE_WITHIN

KINDS: tuple[Kind, ...] = ("image", "video")


async def start(update: Update, context: Context) -> None:
    """Welcome those who are in; ask the admins to let a stranger in."""
    if context.person.access == Access.APPROVED:
        text: str = context.voice.texts("start.welcome", name=context.person.name)
        if not is_group(update):
            text = f"{text}\n{context.voice.status_line(context.person)}"
        await context.reply(update, text, await _next_things(update, context))
        if context.person.is_admin:
            # The longer menu needs a chat, which there may be only now.
            with suppress(TelegramError):
                await set_admin_menu(context.bot, context.person.id)
        return
    asked = await context.services.access.ask(context.person)
    await context.say(update, "start.asked" if asked else "access.pending")
    context.services.notices.nudge()


async def try_it(update: Update, context: Context) -> None:
    """Make the picture that the welcome names as an example."""
    query, chat, message = update.callback_query, update.effective_chat, update.effective_message
    if query is None or chat is None or message is None:
        return
    under = f"try:{chat.id}:{message.message_id}:"
    origin = f"{under}{query.id}"
    earlier = ContentJob.filter(origin__startswith=under, created_at__gt=now() - TWICE_WITHIN)
    if await earlier.exclude(origin=origin).exists():
        await context.answer(query, "result.already")
        return
    order = Order(
        kind="image",
        prompt=context.voice.texts.plain("start.example"),
        origin=origin,
        chat_id=chat.id,
    )
    await order_now(update, context, order)
    await context.answer(query)


async def show_budget(update: Update, context: Context) -> None:
    """What `/budget` says, for the button under the welcome."""
    if update.callback_query is not None:
        await context.answer(update.callback_query)
        await budget(update, context)


async def _next_things(update: Update, context: Context) -> InlineKeyboardMarkup | None:
    """Buttons that do what the welcome talks about; in groups they would be for everybody."""
    if is_group(update):
        return None
    texts = context.voice.texts
    example = texts.plain("start.example")
    label = texts.plain("button.try", example=example)
    order = Order(kind="image", prompt=example, origin="", chat_id=context.person.id)
    return InlineKeyboardMarkup(
        [
            [InlineKeyboardButton(await _offer(context, order, label), callback_data="try")],
            [
                InlineKeyboardButton(texts.plain("button.budget"), callback_data="budget"),
                InlineKeyboardButton(texts.plain("button.settings"), callback_data="settings"),
                InlineKeyboardButton(texts.plain("button.help"), callback_data="help:make"),
            ],
        ]
    )


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
    if message.media_group_id and not prompt:
        return  # the rest of an album: its first picture carries the words
    texts, kinds, question = context.voice.texts, KINDS, "hint.make"
    source = await source_of(message, context, "image")
    if source is not None and not prompt:
        # Nobody has said what to make of it; that it moves goes without saying.
        prompt, kinds, question = texts.plain("hint.moving"), ("video",), "hint.picture"
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
            await _offer(
                context,
                replace(order, kind=kind),
                texts.plain(f"button.make_{kind}"),
            ),
            callback_data=f"draft:{draft_id}:{kind}",
        )
        for kind in kinds
    ]
    await context.reply(update, texts(question), InlineKeyboardMarkup([buttons]))


async def _offer(context: Context, order: Order, label: str) -> str:
    """What would be made and its price, which a press agrees to; what is in the way comes then."""
    try:
        offer = await context.services.desk.quote(context.person, order)
    except UserError:
        return label
    return f"{label} · {context.voice.money(offer.quote.nanos)}"


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("start", start, filters.UpdateType.MESSAGE),
    CallbackQueryHandler(try_it, pattern=r"^try$"),
    CallbackQueryHandler(show_budget, pattern=r"^budget$"),
]
# After all others: whatever no handler took.
FALLBACKS: list[BaseHandler[Update, Context, None]] = [
    MessageHandler(
        filters.UpdateType.MESSAGE & filters.ChatType.PRIVATE & filters.COMMAND, unknown_command
    ),
    MessageHandler(
        filters.UpdateType.MESSAGE & filters.ChatType.PRIVATE & ~filters.StatusUpdate.ALL,
        something_else,
    ),
]
