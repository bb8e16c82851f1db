"""Buttons that nobody takes: from another time, or made up."""

from __future__ import annotations

from telegram import Update
from telegram.ext import BaseHandler, CallbackQueryHandler

from handlers.context import Context


async def stale_button(update: Update, context: Context) -> None:
    """Answer, so that the button stops spinning, and do nothing."""
    if update.callback_query is not None:
        await context.answer(update.callback_query, "error.stale_button")


HANDLERS: list[BaseHandler[Update, Context, None]] = [CallbackQueryHandler(stale_button)]
