"""`/image` and `/video`: typed, as the caption of a photo, or as a reply to one."""

from __future__ import annotations

from telegram import Document, Message, PhotoSize, Update
from telegram.ext import BaseHandler, MessageHandler, filters

from bot.catalog import Kind
from bot.errors import BadRequest
from bot.orders import Order, Source
from handlers.commands import command_of
from handlers.context import Context, origin_of, thread_of, words_after_command

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
    order = Order(
        kind=kind,
        prompt=words_after_command(message),
        origin=origin_of(update),
        chat_id=message.chat_id,
        thread_id=thread_of(message),
        message_id=message.message_id,
        source=await _source(message, context, kind),
    )
    await context.services.jobs.place(context.person, order)


async def _source(message: Message, context: Context, kind: Kind) -> Source | None:
    """The picture that is attached, or that the message replies to. Raises `BadRequest`."""
    for candidate in (message, message.reply_to_message):
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
]
