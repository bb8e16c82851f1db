"""A job's result onto the screen: one status message, which becomes the picture or video.

Everything after the first message is an edit, and an edit can be repeated safely: the result is
never lost and shows exactly once (Bot API, `editMessageMedia` replaces a text message too).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, NoReturn

from telegram import (
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    InputMediaVideo,
    Message,
)
from telegram.constants import ParseMode
from telegram.error import BadRequest as TelegramBadRequest
from telegram.error import ChatMigrated, Forbidden, RetryAfter, TelegramError
from telegram.ext import ExtBot

from bot.albums import album_of
from bot.catalog import Catalog
from bot.errors import BadRequest
from bot.fal.errors import MediaTooLarge, Unavailable
from bot.fal.queue import Queue, Status
from bot.pictures import look_at
from bot.screen.chat import (
    edit_text,
    is_gone,
    is_no_chat,
    is_not_modified,
    mark_blocked,
    move_chat,
    send_text,
    wait_of,
)
from bot.screen.jobwords import JobWords
from bot.screen.painter import Painter
from bot.settling import file_of
from bot.spending import model_name
from bot.voice import Voices
from db.models import ContentJob, Person
from db.sql import now

logger = logging.getLogger(__name__)

# Bot API, "Sending files": photos up to 10 MB with width + height <= 10000 and a ratio of at most
# 20, other files up to 50 MB.
PHOTO_LIMIT_BYTES = 10 * 1024 * 1024
PHOTO_LIMIT_SIDES, PHOTO_LIMIT_RATIO = 10_000, 20
FILE_LIMIT_BYTES = 50 * 1024 * 1024
UPLOAD_TIMEOUT_SECONDS = 120
EXTENSIONS = frozenset(
    ("jpg", "jpeg", "png", "webp", "gif", "avif", "tiff", "bmp", "mp4", "webm", "mov", "mkv", "m4v")
)
# After so long without the file the person gets its link instead.
LINK_AFTER = timedelta(minutes=3)


class TelegramScreen:
    """Shows jobs in the chats they were asked for in (`bot.screen.Screen`)."""

    def __init__(
        self,
        bot: ExtBot[Any],
        queue: Queue,
        voices: Voices,
        catalog: Catalog,
        painter: Painter,
    ) -> None:
        self._bot = bot
        self._queue = queue
        self._voices = voices
        self._catalog = catalog
        self._painter = painter

    def _words(self, job: ContentJob, person: Person) -> JobWords:
        name = model_name(job.endpoint, self._catalog)
        return JobWords(self._voices.of(person), job, person, name)

    async def announce(self, job: ContentJob, person: Person) -> bool:
        """Send the status message and remember it. A crash in between sends a second one."""
        words = self._words(job, person)

        async def send() -> Message:
            return await send_text(
                self._bot,
                job.chat_id,
                words.waiting(),
                buttons=words.cancel_button(),
                thread_id=job.thread_id,
                reply_to=job.command_message_id,
            )

        try:
            message = await self._call(job, person, send)
        except TelegramBadRequest as error:
            if job.thread_id is None and job.chat_id == person.id:
                raise
            # A topic that was deleted or closed, a group in which the bot may not write.
            await _elsewhere(job, person, error)
        if not isinstance(message, Message):
            return False
        job.status_message_id = message.message_id
        await ContentJob.filter(id=job.id).update(status_message_id=message.message_id)
        return True

    async def source(self, job: ContentJob) -> tuple[bytes, str]:
        """The person's picture, and its type. Raises `BadRequest` if it is none."""
        try:
            data = await self._download(str(job.source_file_id))
        except TelegramBadRequest as error:
            raise BadRequest("bad_picture") from error
        except TelegramError as error:
            raise Unavailable(type(error).__name__) from error
        return data, look_at(data).content_type

    async def picture_size(self, file_id: str) -> tuple[int, int]:
        """Width and height in pixels of a file that a person sent. Raises `BadRequest`."""
        try:
            data = await self._download(file_id)
        except TelegramBadRequest as error:
            raise BadRequest("bad_picture") from error
        picture = look_at(data)
        return picture.width, picture.height

    async def _download(self, file_id: str) -> bytes:
        """A file that Telegram keeps. Raises Telegram's errors."""
        file = await self._bot.get_file(file_id)
        return bytes(await file.download_as_bytearray(read_timeout=UPLOAD_TIMEOUT_SECONDS))

    def watch(self, job: ContentJob, person: Person) -> None:
        """Keep the status message of a job up to date from now on."""
        self._painter.add(job, self._words(job, person))

    def progress(self, job_id: int, status: Status) -> None:
        """What fal says of a job, for the next look at its status message."""
        self._painter.update(job_id, status)

    def cancelling(self, job_id: int) -> None:
        """A person has asked to stop a job: its status message says so at its next look."""
        self._painter.cancelling(job_id)

    async def show(self, job: ContentJob, person: Person) -> bool:
        """Edit the status message into the result: photo or video, else document, else link."""
        await self._painter.remove(job.id)
        if job.file_id is not None:
            return True  # Telegram has taken it; only the record of that was lost
        words = self._words(job, person)
        for edit in await self._ways(job, words, file_of(job)):
            try:
                return await self._edit(job, person, edit)
            except TelegramBadRequest as error:
                logger.info("job %d: Telegram does not take it so (%s)", job.id, error.message)
        raise Unavailable("Telegram takes none of the forms of a result")

    async def tell(self, job: ContentJob, person: Person) -> bool:
        """Edit the status message into the reason why there is no result."""
        await self._painter.remove(job.id)
        words = self._words(job, person)
        return await self._edit(job, person, self._text(job, words.ended()))

    async def send_original(self, job: ContentJob, person: Person) -> bool:
        """Send the file of a result as fal made it, else as Telegram has kept it; False if gone.

        A photo of Telegram's cannot be sent again as a file (Bot API, "Sending files"): it is
        fetched first.
        """
        url = str(file_of(job).get("url", ""))
        try:
            data, caption = await self._queue.fetch(url, limit_bytes=FILE_LIMIT_BYTES), None
        except (Unavailable, MediaTooLarge):
            # fal keeps files for a while only; Telegram keeps what was shown.
            if job.file_id is None:
                return False
            try:
                data = await self._download(job.file_id)
            except TelegramBadRequest:
                return False
            caption = self._voices.of(person).texts.plain("result.kept")
        await self._bot.send_document(
            job.chat_id,
            data,
            caption=caption,
            filename=file_name(url, job),
            message_thread_id=job.thread_id,
            write_timeout=UPLOAD_TIMEOUT_SECONDS,
            read_timeout=UPLOAD_TIMEOUT_SECONDS,
        )
        return True

    async def _ways(
        self, job: ContentJob, words: JobWords, media: Mapping[str, Any]
    ) -> list[Callable[[], Awaitable[Message | bool]]]:
        """The edits that show a result, the best first."""
        url = str(media.get("url"))
        link = self._text(job, words.link(url))
        try:
            data = await self._queue.fetch(url, limit_bytes=FILE_LIMIT_BYTES)
        except MediaTooLarge:
            return [link]
        except Unavailable:
            if now() - (job.finished_at or job.created_at) < LINK_AFTER:
                raise
            return [link]
        caption = words.caption()
        name = file_name(url, job)
        html = ParseMode.HTML
        document = InputMediaDocument(data, caption, html, filename=name)
        best: InputMediaPhoto | InputMediaVideo | None = None
        if job.kind == "video":
            best = InputMediaVideo(
                data, caption, parse_mode=html, filename=name, supports_streaming=True
            )
        elif len(data) <= PHOTO_LIMIT_BYTES and _fits_photo(media):
            best = InputMediaPhoto(data, caption, html, filename=name)
        forms = [best, document] if best else [document]
        buttons = words.result_buttons(in_album=len(await album_of(job)) > 1)
        return [*(self._media(job, form, buttons) for form in forms), link]

    def _media(
        self,
        job: ContentJob,
        media: InputMediaPhoto | InputMediaVideo | InputMediaDocument,
        buttons: InlineKeyboardMarkup,
    ) -> Callable[[], Awaitable[Message | bool]]:
        async def edit() -> Message | bool:
            return await self._bot.edit_message_media(
                media,
                job.chat_id,
                job.status_message_id,
                reply_markup=buttons,
                write_timeout=UPLOAD_TIMEOUT_SECONDS,
                read_timeout=UPLOAD_TIMEOUT_SECONDS,
            )

        return edit

    def _text(self, job: ContentJob, text: str) -> Callable[[], Awaitable[Message | bool]]:
        async def edit() -> Message | bool:
            return await edit_text(self._bot, job.chat_id, job.status_message_id, text)

        return edit

    async def _edit(
        self, job: ContentJob, person: Person, edit: Callable[[], Awaitable[Message | bool]]
    ) -> bool:
        """Make an edit; if its message is gone, on a new one.

        Raises Telegram's `BadRequest`, or `Unavailable` if the new one is gone at once.
        """
        is_new = job.status_message_id is None
        if is_new and not await self.announce(job, person):
            return False
        try:
            message = await self._call(job, person, edit)
        except TelegramBadRequest as error:
            if is_not_modified(error) or _is_file(error):
                return True
            if not is_gone(error):
                raise
            if is_new:
                raise Unavailable("each new message is gone at once") from error
            job.status_message_id = None
            return await self._edit(job, person, edit)
        if isinstance(message, Message):
            await _keep_file_id(job, message)
        return message is not None

    async def _call(
        self, job: ContentJob, person: Person, call: Callable[[], Awaitable[Message | bool]]
    ) -> Message | bool | None:
        """Call Telegram; None if the person cannot be reached until they write again.

        Raises `Unavailable` for what passes, and Telegram's `BadRequest`.
        """
        try:
            return await call()
        except Forbidden as error:
            await _without(job, person, error)
            return None
        except ChatMigrated as error:
            await move_chat(job.chat_id, error.new_chat_id)
            raise Unavailable("the chat has moved", 0.0) from error
        except RetryAfter as error:
            raise Unavailable("flood control", wait_of(error).total_seconds()) from error
        except TelegramBadRequest as error:
            if is_no_chat(error):
                await _without(job, person, error)
                return None
            raise
        except TelegramError as error:
            raise Unavailable(type(error).__name__) from error


async def _without(job: ContentJob, person: Person, error: TelegramError) -> None:
    """The chat of a job is closed to the bot: the private one is left, until that is closed too.

    Raises `Unavailable` if the job goes on in the private chat.
    """
    if job.chat_id == person.id:
        await mark_blocked(person.id)
        return
    await ContentJob.filter(id=job.id).update(thread_id=None)
    job.thread_id = None
    await _elsewhere(job, person, error)


async def _elsewhere(job: ContentJob, person: Person, error: TelegramError) -> NoReturn:
    """Let a job go on outside of its topic, or else in the private chat. Raises `Unavailable`."""
    if job.thread_id is not None:
        await ContentJob.filter(id=job.id).update(thread_id=None, status_message_id=None)
        raise Unavailable("the topic is closed, going on outside of it", 0.0) from error
    await ContentJob.filter(id=job.id).update(
        chat_id=person.id, command_message_id=None, status_message_id=None
    )
    raise Unavailable("the group is closed to the bot, going on in private", 0.0) from error


async def _keep_file_id(job: ContentJob, message: Message) -> None:
    """Remember the file at Telegram, so that the result can be shown and used again."""
    file = message.video or message.document or (message.photo[-1] if message.photo else None)
    if file is not None:
        await ContentJob.filter(id=job.id).update(file_id=file.file_id)


def _is_file(error: TelegramBadRequest) -> bool:
    """The message shows the result already: a file cannot be edited into a text."""
    return "no text in the message to edit" in error.message.lower()


def _fits_photo(media: Mapping[str, Any]) -> bool:
    width, height = media.get("width"), media.get("height")
    if not isinstance(width, int) or not isinstance(height, int) or min(width, height) < 1:
        return True
    return (
        width + height <= PHOTO_LIMIT_SIDES
        and max(width, height) / min(width, height) <= PHOTO_LIMIT_RATIO
    )


def file_name(url: str, job: ContentJob) -> str:
    """What the file of a result is called. A model cannot have it called a program or a page."""
    tail = url.partition("?")[0].rpartition("/")[2]
    extension = tail.rpartition(".")[2].lower() if "." in tail else ""
    if extension not in EXTENSIONS:
        extension = "mp4" if job.kind == "video" else "jpg"
    return f"{job.kind}-{job.id}.{extension}"
