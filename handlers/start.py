"""`/start`, `/help`, and what is neither a command nor a picture."""

from __future__ import annotations

from telegram import Update
from telegram.ext import BaseHandler, CommandHandler, MessageHandler, filters

from db.models import Access
from handlers.context import Context


async def start(update: Update, context: Context) -> None:
    """Welcome those who are in; ask the admins to let a stranger in."""
    if context.person.access == Access.APPROVED:
        await context.say(update, "start.welcome", name=context.person.name, status_line=True)
        return
    asked = await context.services.access.ask(context.person)
    await context.say(update, "start.asked" if asked else "access.pending")
    context.services.notices.nudge()


async def help_(update: Update, context: Context) -> None:
    """What can be typed, by role."""
    if context.person.access != Access.APPROVED:
        await context.say(update, "help.stranger")
        return
    texts = context.voice.texts
    parts = [texts("help.member")]
    if context.person.is_admin:
        parts.append(texts("help.admin"))
    await context.reply(update, "\n\n".join(parts))


async def unknown_command(update: Update, context: Context) -> None:
    """A command that there is not."""
    await context.say(update, "error.unknown_command")


async def something_else(update: Update, context: Context) -> None:
    """A text, picture, sticker or file without a command, in the private chat."""
    message = update.effective_message
    is_picture = message is not None and (message.photo or message.document)
    await context.say(update, "hint.picture" if is_picture else "hint.text")


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("start", start, filters.UpdateType.MESSAGE),
    CommandHandler("help", help_, filters.UpdateType.MESSAGE),
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
