"""Results that are sent once more, together: a page of `/history`, or what `--n 3` asked for."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from telegram import InputMediaPhoto, InputMediaVideo, Update
from telegram.constants import ParseMode
from telegram.error import BadRequest as TelegramBadRequest

from bot.screen.chat import reply_of
from bot.voice import Voice
from db.models import ContentJob
from handlers.context import Context, thread_of

logger = logging.getLogger(__name__)

# Bot API, `sendMediaGroup`: 2 to 10.
SMALLEST_ALBUM = 2


async def send_album(
    update: Update,
    context: Context,
    jobs: Sequence[ContentJob],
    *,
    caption: str | None = None,
    reply_to: int | None = None,
) -> None:
    """Send results, which have files at Telegram, as an album; one by one where it takes none.

    Under the album stands the `caption`, in HTML. Without one each has its number and cost, which
    Telegram shows when it is looked at alone.
    """
    chat = update.effective_chat
    if chat is None:
        return
    if len(jobs) >= SMALLEST_ALBUM:
        try:
            await context.bot.send_media_group(
                chat.id,
                _album(jobs, caption, context.voice),
                message_thread_id=thread_of(update.effective_message),
                reply_parameters=reply_of(reply_to),
            )
        except TelegramBadRequest as error:
            # A picture that was too large for a photo is a file, which no album takes.
            logger.info("an album of results is not taken (%s)", error.message)
        else:
            return
    for job in jobs:
        await send_again(update, context, job, reply_to)


async def send_again(
    update: Update, context: Context, job: ContentJob, reply_to: int | None = None
) -> None:
    """Send one result by its file at Telegram."""
    chat = update.effective_chat
    if chat is None or job.file_id is None:
        return
    send = context.bot.send_video if job.kind == "video" else context.bot.send_photo
    thread_id, reply = thread_of(update.effective_message), reply_of(reply_to)
    try:
        await send(chat.id, job.file_id, message_thread_id=thread_id, reply_parameters=reply)
    except TelegramBadRequest:
        await context.bot.send_document(
            chat.id, job.file_id, message_thread_id=thread_id, reply_parameters=reply
        )


def _album(
    jobs: Sequence[ContentJob], caption: str | None, voice: Voice
) -> list[InputMediaPhoto | InputMediaVideo]:
    captions: list[str | None] = [f"{job.id} · {voice.money(job.cost_nanos or 0)}" for job in jobs]
    if caption is not None:
        # What only one of them says stands under all of them.
        captions = [caption, *[None] * (len(jobs) - 1)]
    return [_in_album(job, words) for job, words in zip(jobs, captions, strict=True)]


def _in_album(job: ContentJob, caption: str | None) -> InputMediaPhoto | InputMediaVideo:
    kind = InputMediaVideo if job.kind == "video" else InputMediaPhoto
    return kind(str(job.file_id), caption, parse_mode=ParseMode.HTML)
