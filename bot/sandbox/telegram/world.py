"""Telegram as far as a bot can see it: people, chats, files, updates."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.routing import BaseRoute

from bot.sandbox.changes import Changes
from bot.sandbox.clock import Clock
from bot.sandbox.telegram.calls import Call
from bot.sandbox.telegram.chats import Chat
from bot.sandbox.telegram.dispatch import Dispatch
from bot.sandbox.telegram.faults import TelegramFaults
from bot.sandbox.telegram.files import Files
from bot.sandbox.telegram.flood import Flood
from bot.sandbox.telegram.messages import Content, Message
from bot.sandbox.telegram.people import Person, Query
from bot.sandbox.telegram.profile import Profile
from bot.sandbox.telegram.updates import Updates

Result = TypeVar("Result")

TOKEN = "110201543:AAsandbox-token-that-opens-nothing0"  # noqa: S105 - opens nothing but this
BOT_NAME = "fal budget bot"
BOT_USERNAME = "fal_budget_bot"


class TelegramWorld:
    """The Telegram side of the sandbox.

    `calls` has every call that the bot made, `complaints` every parameter that Telegram would
    have ignored (with `strict`, they are refused as well). Everything belongs to one event loop.
    """

    def __init__(self, clock: Clock | None = None, token: str | None = None) -> None:
        self.clock = clock or Clock()
        self.token = token or TOKEN
        self.bot_id = int(self.token.partition(":")[0])
        self.username = BOT_USERNAME
        self.base_url = ""
        self.strict = True
        self.privacy = True
        self.query_seconds = 900.0
        self.changes = Changes()
        self.people: dict[int, Person] = {}
        self.chats: dict[int, Chat] = {}
        self.queries: dict[str, Query] = {}
        self.calls: list[Call] = []
        self.complaints: list[str] = []
        self.files = Files()
        self.updates = Updates(self.changes)
        self.faults = TelegramFaults()
        self.flood = Flood()
        self.profile = Profile()
        self.failed_urls: set[str] = set()
        self._message_ids = itertools.count(1)
        self._group_ids = itertools.count(4_000_001)

    # -- the HTTP side -----------------------------------------------------------------------

    def routes(self) -> list[BaseRoute]:
        """The Bot API and the file downloads, relative to where they are mounted."""
        return Dispatch(self).routes()

    def open(self, base_url: str) -> None:
        """Know under which URL all this is served."""
        self.base_url = base_url

    async def close(self) -> None:
        """Let go of everybody who waits."""
        self.faults.release()
        await self.updates.close()

    def is_own_url(self, url: str) -> bool:
        """Whether `url` leads to Telegram, real or not: it would give the bot's token away."""
        return (
            "api.telegram.org" in url
            or self.token in url
            or bool(self.base_url and url.startswith(self.base_url))
        )

    # -- who is there ------------------------------------------------------------------------

    def person(
        self,
        id: int | None = None,  # noqa: A002
        name: str = "Ada",
        username: str | None = None,
        language: str | None = "en",
        started: bool = False,
        last_name: str | None = None,
    ) -> Person:
        """The person with this id, who is made if there is none. `started`: wrote before."""
        number = id if id is not None else 5_000_000_001 + len(self.people)
        if number not in self.people:
            person = Person(self, number, name, last_name, username, language)
            person.started = started
            self.people[number] = person
            self.chats[number] = person.chat
            self.changes.notify({"type": "people"})
        return self.people[number]

    def group(
        self,
        title: str,
        members: list[Person],
        supergroup: bool = False,
        forum: bool = False,
        id: int | None = None,  # noqa: A002
    ) -> Chat:
        """A new group with the bot and `members` in it; a forum is always a supergroup."""
        supergroup = supergroup or forum
        number = id
        if number is None:
            number = -next(self._group_ids) - (1_000_000_000_000 if supergroup else 0)
        chat = Chat(self, number, "supergroup" if supergroup else "group", title, forum=forum)
        chat.members = {member.id: "member" for member in members}
        if members:
            chat.members[members[0].id] = "creator"
        self.chats[number] = chat
        self.changes.notify({"type": "people"})
        return chat

    def migrate(self, chat: Chat) -> Chat:
        """Turn a group into a supergroup with a new id; the bot hears of it twice."""
        if chat.type != "group" or chat.migrated_to is not None:
            raise ValueError("only a group can become a supergroup, and once")
        owner = self.people[next(iter(chat.members))]
        new = self.group(chat.title or "", [], supergroup=True)
        new.members = dict(chat.members)
        for where, extra in (
            (chat, {"migrate_to_chat_id": new.id}),
            (new, {"migrate_from_chat_id": chat.id}),
        ):
            service = where.add(Content(extra=extra), owner)
            self.updates.push("message", service.json())
        chat.migrated_to = new
        return new

    def chat_named(self, chat_id: int | str) -> Chat | None:
        """The chat with this id or @username."""
        if isinstance(chat_id, str) and not re.fullmatch(r"-?\d+", chat_id):
            return None
        return self.chats.get(int(chat_id))

    def bot_json(self) -> dict[str, Any]:
        """The bot as a user (Bot API, "User")."""
        return {
            "id": self.bot_id,
            "is_bot": True,
            "first_name": self.profile.name or BOT_NAME,
            "username": self.username,
        }

    def next_message_id(self) -> int:
        return next(self._message_ids)

    # -- what happens ------------------------------------------------------------------------

    def changed(self, what: str, message: Message) -> None:
        """Tell everyone that `message` is new, edited or deleted."""
        event = {"type": what, "chat_id": message.chat.id, "message_id": message.id}
        self.changes.notify(event)

    def bot_hears(self, message: Message) -> bool:
        """Whether the bot is told of `message`: in groups only of what is meant for it."""
        chat = message.chat
        if chat.private or not self.privacy:
            return True
        if not chat.bot_inside:
            return False
        if message.reply_to is not None and message.reply_to.from_bot:
            return True
        text = message.text
        if f"@{self.username}".lower() in text.lower():
            return True
        return any(
            entity["type"] == "bot_command" and "@" not in text.split()[0]
            for entity in message.content.entities
            if entity["offset"] == 0
        )

    def press(self, person: Person, message: Message, data: str) -> Query:
        """A press of a button with `data`, as an update; does not wait."""
        query = Query(str(secrets.randbits(62)), person, message, data, self.clock.now())
        self.queries[query.id] = query
        self.updates.push(
            "callback_query",
            {
                "id": query.id,
                "from": person.json(),
                "message": message.inaccessible_json() if message.deleted else message.json(),
                "chat_instance": str(abs(message.chat.id) * 7919),
                "data": data,
            },
        )
        return query

    def member_changed(self, person: Person, old: str, new: str) -> None:
        """The bot's place in a private chat changed: blocked or let back in."""

        def standing(status: str) -> dict[str, Any]:
            extra = {"until_date": 0} if status == "kicked" else {}
            return {"user": self.bot_json(), "status": status, **extra}

        self.updates.push(
            "my_chat_member",
            {
                "chat": person.chat.json(),
                "from": person.json(),
                "date": int(self.clock.now().timestamp()),
                "old_chat_member": standing(old),
                "new_chat_member": standing(new),
            },
        )
        self.changes.notify({"type": "people"})

    def push_update(self, update: dict[str, Any]) -> dict[str, Any]:
        """Deliver `update` as it is; with an update_id from before, it comes again."""
        return self.updates.push_raw(update)

    # -- looking back ------------------------------------------------------------------------

    def called(self, method: str) -> list[Call]:
        """The bot's calls of `method`, oldest first."""
        return [call for call in self.calls if call.method == method]

    async def wait_for(
        self, predicate: Callable[[], Result | None], timeout: float = 10, what: str = ""
    ) -> Result:
        """The first truthy value of `predicate`, tried after every change in this world."""
        return await self.changes.wait_for(predicate, timeout, what)

    async def wait_until_heard(self, timeout: float = 10) -> None:
        """Return when the bot has confirmed all updates."""
        await self.wait_for(lambda: not self.updates.pending, timeout, "all updates confirmed")
