"""The buttons under a result: again, variation, animate, original file, all of them together."""

from __future__ import annotations

from datetime import timedelta

from telegram import CallbackQuery, Update
from telegram.ext import BaseHandler, CallbackQueryHandler

from bot.albums import album_of, is_awaited
from bot.errors import BadRequest
from bot.i18n import shortened
from bot.orders import Offer, Order, Source
from bot.screen.jobwords import SHOWN_PROMPT
from bot.settling import file_of
from db.models import ContentJob
from db.sql import now
from handlers.albums import SMALLEST_ALBUM, send_album
from handlers.context import Context, origin_of, thread_of

# Who wants two of it presses again; who presses twice within this wants one.
TWICE_WITHIN = timedelta(seconds=2)


async def again(update: Update, context: Context) -> None:
    """The same once more; `vary` with another seed."""
    query, job = await _pressed(update, context)
    if query is None or job is None or context.match is None:
        return
    source = None
    if job.source_file_id and job.source_width and job.source_height:
        source = Source(job.source_file_id, job.source_width, job.source_height)
    order = _order(update, job, source)
    is_new = context.match[2] == "vary"
    offer = await context.services.desk.quote_again(job, order, new_seed=is_new)
    await _go(update, context, query, offer)


async def animate(update: Update, context: Context) -> None:
    """A video from the picture."""
    query, job = await _pressed(update, context)
    if query is None or job is None:
        return
    if job.file_id is None or job.kind != "image":
        raise BadRequest("result_gone")
    width, height = _size(job)
    order = _order(update, job, Source(job.file_id, width, height), kind="video")
    offer = await context.services.desk.quote(context.person, order)
    await _go(update, context, query, offer)


async def original(update: Update, context: Context) -> None:
    """The file as fal made it."""
    query, job = await _pressed(update, context)
    if query is None or job is None:
        return
    await context.answer(query)
    if not await context.services.screen.send_original(job, context.person):
        raise BadRequest("result_gone")


async def together(update: Update, context: Context) -> None:
    """All that was asked for by one command, as one album in answer to it; it costs nothing."""
    query, job = await _pressed(update, context)
    if query is None or job is None:
        return
    album = await album_of(job)
    ready = [one for one in album if one.file_id]
    if any(is_awaited(one) for one in album):
        done, all_ = str(len(ready)), str(len(album))
        await context.answer(query, "result.some_ready", done=done, all=all_)
    elif len(ready) < SMALLEST_ALBUM:
        await context.answer(query, "result.only_one")
    else:
        await context.answer(query)
        caption = context.voice.texts(
            "result.album",
            prompt=shortened(job.prompt, SHOWN_PROMPT),
            amount=context.voice.money(sum(one.cost_nanos or 0 for one in ready)),
        )
        reply_to = job.command_message_id
        await send_album(update, context, ready, caption=caption, reply_to=reply_to)


async def _pressed(
    update: Update, context: Context
) -> tuple[CallbackQuery | None, ContentJob | None]:
    """The job of the button, if it is the person's own; else they are told."""
    query = update.callback_query
    if query is None or context.match is None:
        return None, None
    job = await ContentJob.get_or_none(id=int(context.match[3]))
    if job is None or job.person_id != context.person.id:
        await context.answer(query, "access.not_for_you")
        return query, None
    if not job.prompt:
        raise BadRequest("result_gone")
    return query, job


async def _go(update: Update, context: Context, query: CallbackQuery, offer: Offer) -> None:
    """Start on it and state the price; ask first if the person wants that for such amounts."""
    match, nanos = context.match, offer.quote.nanos
    if match is None:
        return
    is_sure, button = match[1] is not None, f"{match[2]}:{match[3]}"
    if not is_sure and context.wants_to_be_asked(nanos):
        await context.answer(query)
        await context.ask_first(update, nanos, f"sure:{button}")
        return
    if await pressed_twice(f"{button}:", offer.order.origin):
        await context.answer(query, "result.already")
        return
    await context.services.jobs.place(context.person, offer)
    await context.answer(query, "result.started", amount=context.voice.money(nanos))
    if is_sure:
        await context.edit(query, context.voice.texts("confirm.done"))


async def pressed_twice(under: str, origin: str) -> bool:
    """Whether the button whose orders begin with `under` has ordered a moment ago.

    Then `origin` is the order of a nervous finger, unless it is that very order.
    """
    orders = ContentJob.filter(origin__startswith=under, created_at__gt=now() - TWICE_WITHIN)
    return await orders.exclude(origin=origin).exists()


def _order(
    update: Update, job: ContentJob, source: Source | None, kind: str | None = None
) -> Order:
    message, query = update.effective_message, update.callback_query
    origin = origin_of(update)
    if query is not None:
        origin = f"{query.data}:{query.id}"
    if query is not None and message is not None and str(query.data).startswith("sure:"):
        # The question is answered once, however often its button is pressed.
        origin = f"sure:{message.chat_id}:{message.message_id}"
    return Order(
        kind="video" if (kind or job.kind) == "video" else "image",
        prompt=job.prompt,
        origin=origin,
        chat_id=job.chat_id,
        thread_id=thread_of(message),
        message_id=job.status_message_id,
        source=source,
    )


def _size(job: ContentJob) -> tuple[int, int]:
    """Width and height of a result in pixels; a square where fal did not say."""
    file = file_of(job)
    width, height = file.get("width"), file.get("height")
    if isinstance(width, int) and isinstance(height, int):
        return width, height
    return 1024, 1024


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CallbackQueryHandler(again, pattern=r"^(sure:)?(redo|vary):(\d{1,18})$"),
    CallbackQueryHandler(animate, pattern=r"^(sure:)?(animate):(\d{1,18})$"),
    CallbackQueryHandler(original, pattern=r"^(sure:)?(file):(\d{1,18})$"),
    CallbackQueryHandler(together, pattern=r"^(sure:)?(together):(\d{1,18})$"),
]
