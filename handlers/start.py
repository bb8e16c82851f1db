"""`/start`: a welcome whose buttons do the next thing, or a request to be let in."""

from __future__ import annotations

from contextlib import suppress

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.error import TelegramError
from telegram.ext import BaseHandler, CallbackQueryHandler, CommandHandler, filters

from bot.orders import Order
from db.models import Access
from handlers.budget import budget
from handlers.commands import set_admin_menu
from handlers.context import Context, is_group
from handlers.make import order_now, with_price
from handlers.results import pressed_twice


async def start(update: Update, context: Context) -> None:
    """Welcome those who are in; ask the admins to let a stranger in."""
    if context.person.access == Access.APPROVED:
        text = context.voice.texts("start.welcome", name=context.person.name)
        buttons = await _next_things(update, context)
        await context.reply(update, context.with_status_line(update, text), buttons)
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
    if await pressed_twice(under, origin):
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
            [InlineKeyboardButton(await with_price(context, order, label), callback_data="try")],
            [
                InlineKeyboardButton(texts.plain("button.budget"), callback_data="budget"),
                InlineKeyboardButton(texts.plain("button.settings"), callback_data="settings"),
                InlineKeyboardButton(texts.plain("button.help"), callback_data="help:make"),
            ],
        ]
    )


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("start", start, filters.UpdateType.MESSAGE),
    CallbackQueryHandler(try_it, pattern=r"^try$"),
    CallbackQueryHandler(show_budget, pattern=r"^budget$"),
]
