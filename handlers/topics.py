"""`/help`: what can be typed, all at a glance, and by topic behind buttons."""

from __future__ import annotations

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import BaseHandler, CallbackQueryHandler, CommandHandler, filters

from db.models import Access
from handlers.context import Context
from handlers.pages import in_rows

TOPICS = ("make", "results", "money", "groups", "privacy")
ADMIN_TOPIC = "admins"


async def help_(update: Update, context: Context) -> None:
    """What can be typed, by role."""
    if context.person.access != Access.APPROVED:
        await context.say(update, "help.stranger")
        return
    await context.reply(update, _overview(context), _buttons(context, None))


async def topic(update: Update, context: Context) -> None:
    """One topic, or the overview again, in the same message."""
    query = update.callback_query
    if query is None or context.match is None:
        return
    name = context.match[1]
    if name != "all" and name not in _topics(context):
        await context.answer(query, "error.stale_button")
        return
    await context.answer(query)
    text = _overview(context) if name == "all" else context.voice.texts(f"help.{name}")
    await context.edit(query, text, _buttons(context, name))


def _overview(context: Context) -> str:
    texts = context.voice.texts
    parts = [texts("help.member")]
    if context.person.is_admin:
        parts.append(texts("help.admin"))
    return "\n\n".join(parts)


def _topics(context: Context) -> tuple[str, ...]:
    return (*TOPICS, ADMIN_TOPIC) if context.person.is_admin else TOPICS


def _buttons(context: Context, present: str | None) -> InlineKeyboardMarkup:
    """The other topics, two in a row."""
    names = [name for name in _topics(context) if name != present]
    if present not in (None, "all"):
        names.append("all")
    texts = context.voice.texts
    buttons = [
        InlineKeyboardButton(texts.plain(f"help.about_{name}"), callback_data=f"help:{name}")
        for name in names
    ]
    return InlineKeyboardMarkup(in_rows(buttons, 2))


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("help", help_, filters.UpdateType.MESSAGE),
    CallbackQueryHandler(topic, pattern=r"^help:([a-z]{1,16})$"),
]
