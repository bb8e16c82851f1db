"""People, and what they do in a chat with the bot."""

from __future__ import annotations

import io
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image

from bot.sandbox.telegram.chats import Chat
from bot.sandbox.telegram.files import StoredFile
from bot.sandbox.telegram.formatting import trimmed
from bot.sandbox.telegram.messages import Content, Message

if TYPE_CHECKING:
    from bot.sandbox.telegram.world import TelegramWorld


@dataclass(eq=False)
class Query:
    """A pressed button. `answers` are the parameters of answerCallbackQuery, at most one."""

    id: str
    person: Person
    message: Message
    data: str
    at: Any
    answers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str | None:
        """What the bot's answer says, if it says something."""
        return self.answers[-1].get("text") if self.answers else None

    @property
    def alert(self) -> bool:
        """Whether the answer is shown as an alert."""
        return bool(self.answers and self.answers[-1].get("show_alert"))

    @property
    def url(self) -> str | None:
        return self.answers[-1].get("url") if self.answers else None


class Person:
    """Somebody with a Telegram account."""

    def __init__(
        self,
        world: TelegramWorld,
        id: int,  # noqa: A002
        first_name: str,
        last_name: str | None = None,
        username: str | None = None,
        language: str | None = None,
    ) -> None:
        self.world = world
        self.id = id
        self.first_name = first_name
        self.last_name = last_name
        self.username = username
        self.language = language
        self.started = False
        self.blocked = False
        self.chat = Chat(world, id, "private", person=self)

    def __repr__(self) -> str:
        return f"<Person {self.id} {self.first_name}>"

    def json(self) -> dict[str, Any]:
        """As in an update (Bot API, "User")."""
        body = {
            "id": self.id,
            "is_bot": False,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "username": self.username,
            "language_code": self.language,
        }
        return {key: value for key, value in body.items() if value is not None}

    # -- writing -----------------------------------------------------------------------------

    async def sends(
        self,
        text: str,
        chat: Chat | None = None,
        reply_to: Message | None = None,
        thread_id: int | None = None,
    ) -> Message:
        """Write `text`; in the private chat unless another is given."""
        plain, entities = trimmed(text, [])
        return self._say(Content(plain, entities), chat, reply_to, thread_id)

    async def sends_photo(
        self,
        data: bytes | None = None,
        caption: str = "",
        chat: Chat | None = None,
        reply_to: Message | None = None,
        thread_id: int | None = None,
        album: str | None = None,
    ) -> Message:
        """Send a photo (a plain one, if no `data` is given) in several sizes."""
        file = self.world.files.add_photo(data if data is not None else plain_photo())
        return self._say(self._captioned(caption, file), chat, reply_to, thread_id, album)

    async def sends_document(
        self,
        data: bytes,
        name: str = "file.bin",
        mime: str = "application/octet-stream",
        caption: str = "",
        chat: Chat | None = None,
        reply_to: Message | None = None,
        size: int | None = None,
    ) -> Message:
        """Send a file; `size` bytes may be claimed without being there, to test limits."""
        file = self.world.files.add("document", data, name, mime=mime, size=size or len(data))
        return self._say(self._captioned(caption, file), chat, reply_to)

    async def sends_sticker(self, chat: Chat | None = None) -> Message:
        """Send a sticker."""
        file = self.world.files.add("sticker", plain_photo("WEBP"), None, width=512, height=512)
        return self._say(Content(media=file), chat)

    async def sends_album(
        self, pictures: list[bytes | None], caption: str = "", chat: Chat | None = None
    ) -> list[Message]:
        """Send several photos at once; the first carries the caption."""
        album = str(secrets.randbits(53))
        return [
            await self.sends_photo(data, caption if not index else "", chat, album=album)
            for index, data in enumerate(pictures)
        ]

    async def edits(self, message: Message, text: str) -> Message:
        """Change the text or caption of an own message."""
        plain, entities = trimmed(text, [])
        old = message.content
        message.show(Content(plain, entities, old.media, None, old.extra), self.world.clock.now())
        self.world.changed("edit", message)
        if self.world.bot_hears(message):
            self.world.updates.push("edited_message", message.json())
        return message

    def _captioned(self, caption: str, file: StoredFile) -> Content:
        plain, entities = trimmed(caption, [])
        return Content(plain, entities, file)

    def _say(
        self,
        content: Content,
        chat: Chat | None,
        reply_to: Message | None = None,
        thread_id: int | None = None,
        album: str | None = None,
    ) -> Message:
        chat = chat or self.chat
        if chat.private:
            self._begin()
        elif chat.migrated_to is not None:
            chat = chat.migrated_to
        chat.members.setdefault(self.id, "member")
        if thread_id is not None and reply_to is None:
            # In a topic every message answers the one that opened it, unless it answers another.
            reply_to = chat.message(thread_id)
        message = chat.add(content, self, reply_to, thread_id, album)
        if self.world.bot_hears(message):
            self.world.updates.push("message", message.json())
        return message

    def _begin(self) -> None:
        if self.blocked:
            self.unblocks_bot()
        self.started = True

    # -- pressing and leaving ------------------------------------------------------------------

    async def presses(
        self,
        message: Message,
        button: str,
        timeout: float = 10,
        stale: bool = False,
        wait: bool = True,
    ) -> Query:
        """Press the button with this text or callback data and wait for the bot's answer.

        `stale` presses callback data that the message does not show (any more); without `wait`
        the query comes back unanswered. Raises LookupError if there is no such button.
        """
        data = button if stale else message.button(button).get("callback_data")
        if data is None:
            raise LookupError(f"{button!r} is not a button that calls back")
        query = self.world.press(self, message, data)
        if wait:
            await self.world.changes.wait_for(
                lambda: query.answers, timeout, f"an answer to {data!r}"
            )
        return query

    def blocks_bot(self) -> None:
        """Stop the bot from writing to the private chat."""
        self.blocked = True
        self.world.member_changed(self, "member", "kicked")

    def unblocks_bot(self) -> None:
        """Let the bot write again."""
        self.blocked = False
        self.world.member_changed(self, "kicked", "member")


def plain_photo(kind: str = "JPEG", size: tuple[int, int] = (640, 480)) -> bytes:
    """A picture of one colour, as a file of `kind`."""
    out = io.BytesIO()
    Image.new("RGB", size, (70, 120, 160)).save(out, kind)
    return out.getvalue()
