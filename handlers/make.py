"""`/image` and `/video`: typed, as the caption of a photo, or as a reply to one."""

from __future__ import annotations

from dataclasses import replace

from telegram import Document, Message, PhotoSize, Update
from telegram.ext import BaseHandler, CallbackQueryHandler, MessageHandler, filters

from bot import albums, drafts
from bot.catalog import Kind
from bot.errors import BadRequest, TooDear, TooDearTogether, TooManyJobs, UserError
from bot.options import parse_options
from bot.orders import Order, Source
from bot.voice import figures_of
from db.models import ContentJob
from handlers.commands import command_of
from handlers.context import (
    Context,
    origin_of,
    replied_to,
    thread_of,
    words_after_command,
)

# Bot API, `getFile`: bots can download files of up to 20 MB.
DOWNLOAD_LIMIT_BYTES = 20 * 1024 * 1024
# A picture from a photo has the photo's size, and begun megapixels are billed: of the sizes that
# Telegram offers, the largest within one megapixel is both good and cheap.
ONE_MEGAPIXEL = 1_000_000


async def make_image(update: Update, context: Context) -> None:
    """Make a picture, from text or from a picture."""
    await _make(update, context, "image")


async def make_video(update: Update, context: Context) -> None:
    """Make a video, from text or from a picture."""
    await _make(update, context, "video")


async def _make(update: Update, context: Context, kind: Kind) -> None:
    message = update.message
    if message is None:
        return
    if message.media_group_id:
        await albums.begins(message.media_group_id)  # the rest of it asks for nothing
    text = words_after_command(message)
    prompt, options = parse_options(text, context.services.settings.max_active_jobs)
    order = Order(
        kind=kind,
        prompt=prompt,
        origin=origin_of(update),
        chat_id=message.chat_id,
        thread_id=thread_of(message),
        message_id=message.message_id,
        source=await source_of(message, context, kind),
        options=options,
    )
    await order_now(update, context, order)
    if message.media_group_id and message.photo:
        await context.say(update, "hint.first_photo")


async def order_now(update: Update, context: Context, order: Order) -> None:
    """Order it, or ask first if the person wants to be asked before amounts like this."""
    person, services = context.person, context.services
    offer = await services.desk.quote(person, order)
    total = offer.quote.nanos * order.options.count
    if order.options.count > 1 and not await ContentJob.exists(origin=order.origin):
        # After a crash in between it goes on with the rest of those that it began with.
        _refuse_in_part(context, total, order.options.count)
    if context.wants_to_be_asked(total) and not order.origin.startswith("draft:"):
        draft_id = await drafts.keep(person.id, order)
        await context.ask_first(update, total, f"draft:{draft_id}:{order.kind}")
        return
    await services.jobs.place(person, offer)
    await _place_others(update, context, order)


async def _place_others(update: Update, context: Context, order: Order) -> None:
    """All but the first of several, the same with other seeds."""
    person, services = context.person, context.services
    for number in range(2, order.options.count + 1):
        # Each picture is a job of its own: it comes when it is ready, and surely once.
        seed = order.options.seed
        options = replace(order.options, seed=None if seed is None else seed + number - 1)
        origin = albums.origin_in_album(order.origin, number)
        another = replace(order, origin=origin, options=options)
        try:
            await services.jobs.place(person, await services.desk.quote(person, another))
        except (TooDear, TooManyJobs):
            # Something else was faster; what is under way stays so.
            all_ = str(order.options.count)
            await context.say(update, "make.in_part", count=number - 1, all=all_)
            return


async def with_price(context: Context, order: Order, label: str) -> str:
    """What a button says that makes something; what is in the way is said when it is pressed."""
    try:
        offer = await context.services.desk.quote(context.person, order)
    except UserError:
        return label
    return f"{label} · {context.voice.money(offer.quote.nanos)}"


def _refuse_in_part(context: Context, total_nanos: int, count: int) -> None:
    """Refuse several at once when not all of them can be made, before the first one is.

    Raises `TooDear`, `TooManyJobs` or `BadRequest`.
    """
    person, most = context.person, context.services.settings.max_active_jobs
    room = most - person.active_jobs
    if room <= 0:
        raise TooManyJobs(count=most)
    if count > room:
        raise BadRequest("too_many_at_once", count=room, most=str(most))
    available = figures_of(person).available_nanos
    if available is not None and total_nanos > available:
        enough_for = available * count // total_nanos
        amounts = {"quote_nanos": total_nanos, "available_nanos": available}
        if enough_for > 0:
            raise TooDearTogether(count=enough_for, **amounts)
        raise TooDear(**amounts)


async def draft_button(update: Update, context: Context) -> None:
    """Order what was kept for a button: confirmed, or chosen to be a picture or a video."""
    query = update.callback_query
    if query is None or context.match is None:
        return
    kind: Kind = "video" if context.match[2] == "video" else "image"
    order = await drafts.take(int(context.match[1]), context.person.id, kind)
    if order is None:
        await context.answer(query, "error.stale_button")
        return
    await order_now(update, context, order)
    await context.answer(query)
    await context.edit(query, context.voice.texts("confirm.done"))


async def source_of(message: Message, context: Context, kind: Kind) -> Source | None:
    """The picture that is attached, or that the message replies to. Raises `BadRequest`."""
    for candidate in (message, replied_to(message)):
        if candidate is None:
            continue
        if candidate.photo:
            return _from_photo(candidate.photo, kind)
        if candidate.document and not candidate.animation:
            return await _from_document(candidate.document, context)
        if candidate.sticker or candidate.video or candidate.animation or candidate.video_note:
            raise BadRequest("no_picture")
    return None


def _from_photo(sizes: tuple[PhotoSize, ...], kind: Kind) -> Source:
    if any((size.file_size or 0) > DOWNLOAD_LIMIT_BYTES for size in sizes):
        raise BadRequest("picture_too_large")
    by_area = sorted(sizes, key=lambda size: size.width * size.height)
    within = [size for size in by_area if size.width * size.height <= ONE_MEGAPIXEL]
    chosen = (within or by_area[:1])[-1] if kind == "image" else by_area[-1]
    return Source(chosen.file_id, chosen.width, chosen.height)


async def _from_document(document: Document, context: Context) -> Source:
    if not (document.mime_type or "").startswith("image/"):
        raise BadRequest("no_picture")
    if (document.file_size or 0) > DOWNLOAD_LIMIT_BYTES:
        raise BadRequest("picture_too_large")
    width, height = await context.services.screen.picture_size(document.file_id)
    return Source(document.file_id, width, height)


class _Command(filters.MessageFilter):
    """Messages and captions that begin with a command of ours.

    `CommandHandler` knows only texts; here a caption counts as well.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=f"command {name}")
        self.command = name

    def filter(self, message: Message) -> bool:
        """Whether the message begins with the command."""
        return command_of(message, message.get_bot().username) == self.command


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    MessageHandler(filters.UpdateType.MESSAGE & _Command("image"), make_image),
    MessageHandler(filters.UpdateType.MESSAGE & _Command("video"), make_video),
    CallbackQueryHandler(draft_button, pattern=r"^draft:(\d{1,18}):(image|video)$"),
]
