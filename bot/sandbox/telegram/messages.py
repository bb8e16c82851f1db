"""Messages and what became of them: every edit is kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.sandbox.telegram.files import StoredFile

if TYPE_CHECKING:
    from bot.sandbox.telegram.chats import Chat
    from bot.sandbox.telegram.people import Person


@dataclass(frozen=True)
class Content:
    """What a message shows at one time. `text` is the caption when there is `media`."""

    text: str = ""
    entities: list[dict[str, Any]] = field(default_factory=list)
    media: StoredFile | None = None
    markup: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    at: datetime | None = None

    def same_as(self, other: Content) -> bool:
        """Whether Telegram would call an edit from the one to the other "not modified"."""
        return replace(self, at=None) == replace(other, at=None)


@dataclass(eq=False)
class Message:
    """One message in a chat. `sender` None is the bot; `versions` are oldest first."""

    id: int
    chat: Chat
    sender: Person | None
    date: datetime
    versions: list[Content]
    reply_to: Message | None = None
    thread_id: int | None = None
    album: str | None = None
    deleted: bool = False
    reactions: list[dict[str, Any]] = field(default_factory=list)

    def __repr__(self) -> str:
        who = self.sender.first_name if self.sender else "bot"
        return f"<Message {self.id} of {who} in {self.chat.id}: {self.kind} {self.text!r}>"

    @property
    def content(self) -> Content:
        """What it shows now."""
        return self.versions[-1]

    @property
    def text(self) -> str:
        """The text or caption that it shows now."""
        return self.content.text

    @property
    def kind(self) -> str:
        """`text`, `photo`, `video`, `document`, `sticker` or `service`."""
        if self.content.media is not None:
            return self.content.media.kind
        return "service" if self.content.extra else "text"

    @property
    def media(self) -> bytes | None:
        """The bytes of the photo (largest size), video or document."""
        return self.content.media.data if self.content.media else None

    @property
    def from_bot(self) -> bool:
        return self.sender is None

    @property
    def buttons(self) -> list[dict[str, Any]]:
        """All buttons of the inline keyboard, row by row (Bot API, "InlineKeyboardButton")."""
        rows = (self.content.markup or {}).get("inline_keyboard", [])
        return [button for row in rows for button in row]

    @property
    def button_texts(self) -> list[str]:
        return [button["text"] for button in self.buttons]

    def button(self, wanted: str) -> dict[str, Any]:
        """The button with this text, part of a text, or callback data; raises LookupError."""
        for fits in (
            lambda b: b["text"] == wanted,
            lambda b: b.get("callback_data") == wanted,
            lambda b: wanted in b["text"],
        ):
            found = [button for button in self.buttons if fits(button)]
            if found:
                return found[0]
        raise LookupError(f"no button {wanted!r} among {self.button_texts} in {self!r}")

    def show(self, content: Content, at: datetime) -> None:
        """Become `content`, as of now."""
        self.versions.append(replace(content, at=at))

    def json(self, reply: bool = True) -> dict[str, Any]:
        """As in an update (Bot API, "Message"); the replied-to message comes one level deep."""
        content = self.content
        body: dict[str, Any] = {
            "message_id": self.id,
            "date": int(self.date.timestamp()),
            "chat": self.chat.json(),
            "from": self.sender.json() if self.sender else self.chat.world.bot_json(),
        }
        if self.thread_id is not None:
            body |= {"message_thread_id": self.thread_id, "is_topic_message": True}
        if reply and self.reply_to is not None:
            body["reply_to_message"] = self.reply_to.json(reply=False)
        if len(self.versions) > 1 and content.at is not None:
            body["edit_date"] = int(content.at.timestamp())
        if self.album:
            body["media_group_id"] = self.album
        text, entities = ("caption", "caption_entities") if content.media else ("text", "entities")
        if content.text:
            body[text] = content.text
            if content.entities:
                body[entities] = content.entities
        if content.media is not None:
            body[content.media.kind] = content.media.in_message()
        if content.markup:
            body["reply_markup"] = content.markup
        return body | content.extra

    def inaccessible_json(self) -> dict[str, Any]:
        """As Telegram shows a message that is gone (Bot API, "InaccessibleMessage")."""
        return {"chat": self.chat.json(), "message_id": self.id, "date": 0}
