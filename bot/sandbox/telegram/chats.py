"""Chats: who is in them, what was said, and waiting for what will be said."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.sandbox.telegram.errors import bad_request, forbidden
from bot.sandbox.telegram.messages import Content, Message

if TYPE_CHECKING:
    from bot.sandbox.telegram.people import Person
    from bot.sandbox.telegram.world import TelegramWorld


class Chat:
    """A private chat, a group or a supergroup with the bot in it."""

    def __init__(
        self,
        world: TelegramWorld,
        id: int,  # noqa: A002
        type: str,  # noqa: A002
        title: str | None = None,
        person: Person | None = None,
        forum: bool = False,
    ) -> None:
        self.world = world
        self.id = id
        self.type = type
        self.title = title
        self.person = person
        self.forum = forum
        self.members: dict[int, str] = {person.id: "member"} if person else {}
        self.topics: dict[int, str] = {}
        self.migrated_to: Chat | None = None
        self.bot_inside = True
        self.messages: list[Message] = []
        self.actions: list[tuple[str, datetime]] = []
        self._read = 0
        self._last_id = 0

    def __repr__(self) -> str:
        return f"<Chat {self.id} {self.type} {self.title or self.person!r}>"

    @property
    def private(self) -> bool:
        return self.type == "private"

    def json(self) -> dict[str, Any]:
        """As in a message (Bot API, "Chat")."""
        body: dict[str, Any] = {"id": self.id, "type": self.type}
        if self.person is not None:
            body["first_name"] = self.person.first_name
            body |= {k: v for k, v in self.person.json().items() if k in ("last_name", "username")}
        else:
            body["title"] = self.title
        if self.forum:
            body["is_forum"] = True
        return body

    def require_open(self) -> None:
        """Raise the Refusal with which Telegram keeps the bot from writing here."""
        if self.migrated_to is not None:
            raise bad_request(
                "group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=self.migrated_to.id,
            )
        if self.person is not None and self.person.blocked:
            raise forbidden("bot was blocked by the user")
        if self.person is not None and not self.person.started:
            raise forbidden("bot can't initiate conversation with a user")
        if not self.bot_inside:
            raise forbidden(f"bot was kicked from the {self.type} chat")

    def add(
        self,
        content: Content,
        sender: Person | None,
        reply_to: Message | None = None,
        thread_id: int | None = None,
        album: str | None = None,
    ) -> Message:
        """Put a new message at the end."""
        now = self.world.clock.now()
        message = Message(
            self._next_id(),
            self,
            sender,
            now,
            [Content(**{**vars(content), "at": now})],
            reply_to,
            thread_id,
            album,
        )
        self.messages.append(message)
        self.world.changed("message", message)
        return message

    def _next_id(self) -> int:
        # Supergroups count for themselves, all other chats of an account together.
        if self.type == "supergroup":
            self._last_id += 1
            return self._last_id
        return self.world.next_message_id()

    def message(self, message_id: int) -> Message | None:
        """The message, unless it was deleted or never was."""
        return next((m for m in self.messages if m.id == message_id and not m.deleted), None)

    def delete(self, message: Message) -> None:
        message.deleted = True
        self.world.changed("delete", message)

    @property
    def visible(self) -> list[Message]:
        """The messages that have not been deleted."""
        return [message for message in self.messages if not message.deleted]

    @property
    def from_bot(self) -> list[Message]:
        """The bot's messages that have not been deleted."""
        return [message for message in self.visible if message.from_bot]

    @property
    def last(self) -> Message:
        """The bot's newest message; raises LookupError if there is none."""
        if not self.from_bot:
            raise LookupError(f"the bot has said nothing in {self!r}")
        return self.from_bot[-1]

    def add_topic(self, name: str) -> int:
        """Open a forum topic; returns its message_thread_id (the id of its first message)."""
        if not self.forum:
            raise ValueError("only forums have topics")
        service = {"forum_topic_created": {"name": name, "icon_color": 7322096}}
        owner = self.world.people[next(iter(self.members))]
        message = self.add(Content(extra=service), owner)
        message.thread_id = message.id
        self.topics[message.id] = name
        return message.id

    # -- waiting -----------------------------------------------------------------------------

    async def next_message(self, timeout: float = 10) -> Message:
        """The bot's first message that an earlier call has not returned yet."""

        def unread() -> Message | None:
            for index in range(self._read, len(self.messages)):
                if self.messages[index].from_bot and not self.messages[index].deleted:
                    self._read = index + 1
                    return self.messages[index]
            return None

        return await self.world.changes.wait_for(unread, timeout, f"a message in {self!r}")

    async def wait_for(
        self, predicate: Callable[[Message], bool], timeout: float = 10, what: str = ""
    ) -> Message:
        """The bot's newest message, as it is now or will be, for which `predicate` holds."""

        def fitting() -> Message | None:
            return next((m for m in reversed(self.from_bot) if predicate(m)), None)

        try:
            return await self.world.changes.wait_for(fitting, timeout, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; the bot shows {self.from_bot}") from None

    async def wait_for_text(
        self, pattern: str, timeout: float = 10, after: Message | None = None
    ) -> Message:
        """The bot's newest message whose text or caption matches, later than `after`."""

        def fits(message: Message) -> bool:
            late = after is None or self.messages.index(message) > self.messages.index(after)
            return late and re.search(pattern, message.text) is not None

        return await self.wait_for(fits, timeout, f"/{pattern}/ in {self!r}")

    async def wait_for_media(
        self, kind: str = "photo", timeout: float = 10, after: Message | None = None
    ) -> Message:
        """The bot's newest message that shows a `photo`, `video` or `document`."""

        def fits(message: Message) -> bool:
            late = after is None or self.messages.index(message) > self.messages.index(after)
            return late and message.kind == kind

        return await self.wait_for(fits, timeout, f"a {kind} in {self!r}")
