"""`/history`: what was made, with its cost, a page at a time, and all of it as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from decimal import Decimal

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import BaseHandler, CallbackQueryHandler, CommandHandler, filters

from bot.i18n import shortened
from bot.money import NANOS_PER_DOLLAR
from bot.voice import Voice
from db.models import ContentJob, JobState, Person
from handlers.albums import SMALLEST_ALBUM, send_again, send_album
from handlers.context import Context, thread_of
from handlers.pages import KIND_MARKS, in_rows, page_buttons, page_within

# No more than an album may have (Bot API, `sendMediaGroup`: 2 to 10).
PAGE_SIZE = 8
SHOWN_PROMPT = 60

MARKS = {
    JobState.DELIVERED: "✅",
    JobState.FINISHED: "📤",
    JobState.FAILED: "✖️",
    JobState.CANCELLED: "🚫",
}
CSV_COLUMNS = (
    "job",
    "created_at",
    "kind",
    "endpoint",
    "state",
    "quote_usd",
    "cost_usd",
    "cost_source",
    "prompt",
)
# A cell that begins so is run as a formula by spreadsheet programs (OWASP, "CSV Injection").
# The last ones are the same signs in full width, which some take for them.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


async def history(update: Update, context: Context) -> None:
    """The first page."""
    text, buttons = await _page(context, 0)
    await context.reply(update, text, buttons)


async def turn_page(update: Update, context: Context) -> None:
    """Another page, in the same message."""
    query = update.callback_query
    if query is None or context.match is None:
        return
    await context.answer(query)
    text, buttons = await _page(context, int(context.match[1]))
    await context.edit(query, text, buttons)


async def show_again(update: Update, context: Context) -> None:
    """The result of one of the person's jobs once more, by its file at Telegram."""
    query, chat = update.callback_query, update.effective_chat
    if query is None or chat is None or context.match is None:
        return
    job = await ContentJob.get_or_none(id=int(context.match[1]), person_id=context.person.id)
    if job is None or job.file_id is None:
        await context.answer(query, "history.gone")
        return
    await context.answer(query)
    await send_again(update, context, job)


async def show_page(update: Update, context: Context) -> None:
    """The results of a page once more, as an album, by their files at Telegram."""
    query, chat = update.callback_query, update.effective_chat
    if query is None or chat is None or context.match is None:
        return
    jobs = [job for job in await _jobs_of(context, int(context.match[1])) if job.file_id]
    if not jobs:
        await context.answer(query, "history.gone")
        return
    await context.answer(query)
    await send_album(update, context, jobs[::-1])


async def export(update: Update, context: Context) -> None:
    """All jobs of the person as CSV."""
    query, chat = update.callback_query, update.effective_chat
    if query is None or chat is None:
        return
    await context.answer(query)
    jobs = await ContentJob.filter(person_id=context.person.id).order_by("id")
    await context.bot.send_document(
        chat.id,
        to_csv(jobs).encode("utf-8-sig"),
        filename="history.csv",
        message_thread_id=thread_of(update.effective_message),
    )


async def _page(context: Context, number: int) -> tuple[str, InlineKeyboardMarkup | None]:
    voice = context.voice
    person = await Person.get(id=context.person.id)
    count = await ContentJob.filter(person_id=person.id).count()
    number = page_within(number, count, PAGE_SIZE)
    jobs = await _jobs_of(context, number)
    if not jobs:
        return f"{voice.texts('history.empty')}\n{voice.status_line(person)}", None
    title = voice.texts("history.title", count=count)
    lines = [_line(job, voice) for job in jobs]
    text = "\n".join([title, "", *lines, "", voice.status_line(person)])
    return text, _buttons(voice, jobs, number, count)


async def _jobs_of(context: Context, number: int) -> list[ContentJob]:
    """The jobs of a page, the newest first."""
    return (
        await ContentJob.filter(person_id=context.person.id)
        .order_by("-id")
        .offset(number * PAGE_SIZE)
        .limit(PAGE_SIZE)
    )


def _line(job: ContentJob, voice: Voice) -> str:
    cost = job.cost_nanos if job.cost_nanos is not None else job.quote_nanos
    return voice.texts(
        "history.line",
        mark=MARKS.get(job.state, "⏳"),
        number=str(job.id),
        date=job.created_at.date(),
        cost=voice.money(cost),
        prompt=shortened(" ".join(job.prompt.split()), SHOWN_PROMPT),
    )


def _buttons(
    voice: Voice, jobs: Sequence[ContentJob], number: int, count: int
) -> InlineKeyboardMarkup:
    results = [
        InlineKeyboardButton(f"{KIND_MARKS[job.kind]} {job.id}", callback_data=f"again:{job.id}")
        for job in jobs
        if job.file_id
    ]
    pages = page_buttons("history", number, count, PAGE_SIZE)
    csv_button = InlineKeyboardButton(voice.texts.plain("button.csv"), callback_data="csv")
    rows = in_rows(results, 4)
    if len(results) >= SMALLEST_ALBUM:
        all_of_them = voice.texts.plain("button.album")
        rows.append([InlineKeyboardButton(all_of_them, callback_data=f"album:{number}")])
    return InlineKeyboardMarkup([*rows, [*pages, csv_button]])


def to_csv(jobs: Sequence[ContentJob]) -> str:
    """Jobs as CSV (RFC 4180): amounts in US dollars, moments in UTC, no cell is a formula."""
    out = io.StringIO(newline="")
    rows = csv.writer(out)
    rows.writerow(CSV_COLUMNS)
    for job in jobs:
        rows.writerow(
            [
                job.id,
                job.created_at.isoformat(timespec="seconds"),
                job.kind,
                job.endpoint,
                job.state.value,
                _dollars(job.quote_nanos),
                "" if job.cost_nanos is None else _dollars(job.cost_nanos),
                job.cost_source.value if job.cost_source else "",
                f"'{job.prompt}" if job.prompt.startswith(FORMULA_STARTS) else job.prompt,
            ]
        )
    return out.getvalue()


def _dollars(nanos: int) -> str:
    return f"{Decimal(nanos) / NANOS_PER_DOLLAR:f}"


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("history", history, filters.UpdateType.MESSAGE),
    CallbackQueryHandler(turn_page, pattern=r"^history:(\d{1,9})$"),
    CallbackQueryHandler(show_again, pattern=r"^again:(\d{1,18})$"),
    CallbackQueryHandler(show_page, pattern=r"^album:(\d{1,9})$"),
    CallbackQueryHandler(export, pattern=r"^csv$"),
]
