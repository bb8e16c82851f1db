"""`/cancel` and the button under a status message."""

from __future__ import annotations

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import BaseHandler, CallbackQueryHandler, CommandHandler, filters

from bot.i18n import shortened
from bot.jobs import Cancelled
from db.models import ContentJob
from handlers.context import Context, is_group
from handlers.pages import KIND_MARKS

SHOWN_PROMPT = 40

OUTCOMES = {
    Cancelled.DONE: "cancel.done",
    Cancelled.ASKED: "cancel.asked",
    Cancelled.TOO_LATE: "cancel.too_late",
}


async def cancel(update: Update, context: Context) -> None:
    """Cancel the one job under way; offer several as buttons."""
    jobs = await context.services.jobs.cancellable(context.person.id)
    if not jobs:
        await context.say(update, "cancel.nothing")
    elif len(jobs) == 1:
        outcome = await context.services.jobs.cancel(jobs[0].id, context.person.id)
        if outcome is not Cancelled.TOO_LATE:
            context.services.screen.cancelling(jobs[0].id)
        await context.say(update, OUTCOMES[outcome], status_line=True)
    else:
        buttons = [
            [InlineKeyboardButton(_label(update, job), callback_data=f"cancel:{job.id}")]
            for job in jobs
        ]
        question = context.voice.texts("cancel.which")
        await context.reply(update, question, InlineKeyboardMarkup(buttons))


async def cancel_button(update: Update, context: Context) -> None:
    """Cancel the job of the button, if it is the person's own."""
    query = update.callback_query
    if query is None or context.match is None:
        return
    job_id = int(context.match[1])
    if not await ContentJob.exists(id=job_id, person_id=context.person.id):
        await context.answer(query, "access.not_for_you")
        return
    outcome = await context.services.jobs.cancel(job_id, context.person.id)
    if outcome is not Cancelled.TOO_LATE:
        context.services.screen.cancelling(job_id)
    await context.answer(query, OUTCOMES[outcome])


def _label(update: Update, job: ContentJob) -> str:
    """What the job is about; in a group only what was asked for in that very group."""
    chat, about = update.effective_chat, shortened(" ".join(job.prompt.split()), SHOWN_PROMPT)
    if is_group(update) and chat is not None and chat.id != job.chat_id:
        about = str(job.id)
    return f"{KIND_MARKS[job.kind]} {about}"


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("cancel", cancel, filters.UpdateType.MESSAGE),
    CallbackQueryHandler(cancel_button, pattern=r"^cancel:(\d{1,18})$"),
]
