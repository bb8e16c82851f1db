"""`/forget`: delete what a person typed and showed."""

from __future__ import annotations

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import BaseHandler, CallbackQueryHandler, CommandHandler, filters

from bot.privacy import forget
from handlers.context import Context


async def ask(update: Update, context: Context) -> None:
    """Say what will go and what stays, and ask."""
    texts = context.voice.texts
    # The id in the button makes it the person's own, also in a group.
    button = InlineKeyboardButton(
        texts.plain("button.forget"), callback_data=f"forget:{context.person.id}"
    )
    await context.reply(update, texts("forget.ask"), InlineKeyboardMarkup([[button]]))


async def confirm(update: Update, context: Context) -> None:
    """Forget, if the button is the person's own."""
    query = update.callback_query
    if query is None or context.match is None:
        return
    texts = context.voice.texts
    if int(context.match[1]) != context.person.id:
        await context.answer(query, "access.not_for_you")
        return
    count = await forget(context.person.id)
    await context.answer(query)
    await context.edit(query, texts("forget.done", count=count))


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("forget", ask, filters.UpdateType.MESSAGE),
    CallbackQueryHandler(confirm, pattern=r"^forget:(\d{1,18})$"),
]
