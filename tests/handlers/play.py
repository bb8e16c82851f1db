"""Conversations written down as people read them, to be compared with what was approved.

A scene is played by `Play` and stands in `transcripts/{language}/{scene}.txt`. After a change that
is meant, `REWRITE_TRANSCRIPTS=1 python -m pytest tests/handlers/test_transcripts.py` writes them
anew: read the difference before keeping it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.i18n import load_texts
from bot.sandbox.telegram import Chat, Content, Message, Query
from bot.sandbox.telegram import Person as Visitor
from tests.handlers.house import House

FOLDER = Path(__file__).with_name("transcripts")
# Whatever day it is and however long it took: the transcript has this.
SOME_DAY, SOME_TIME = date(2026, 7, 14), "0:04"
_ELAPSED = re.compile(r"(?<= · )\d+:\d\d$", re.MULTILINE)
_CLOCK = re.compile(rf"(?<={SOME_DAY.year}, )\d\d:\d\d")


class Play:
    """Plays one scene in one language and writes it down as it goes."""

    def __init__(self, house: House, language: str) -> None:
        self.house = house
        self.language = language
        self.lines: list[str] = []
        self._told: set[int] = set()

    def __call__(self, english: str, french: str) -> str:
        """What a person types in the language of the scene."""
        return english if self.language == "en" else french

    def scene(self, english: str) -> None:
        """A heading for those who read it."""
        self.lines += [f"=== {english}", ""]

    # ------------------------------------------------------------------------- what people do

    async def says(
        self, person: Visitor, text: str, chat: Chat | None = None, **how: Any
    ) -> Message:
        """A person writes; the bot's answer follows."""
        where = chat or person.chat
        message = await person.sends(text, where, **how)
        self._line(person.first_name, where, text, _about(how.get("reply_to")))
        return message

    async def asks(
        self, person: Visitor, text: str, chat: Chat | None = None, **how: Any
    ) -> Message:
        """A person writes, and the bot answers."""
        await self.says(person, text, chat, **how)
        return await self.hears(chat or person.chat)

    async def shows(self, person: Visitor, caption: str = "") -> Message:
        """A person sends a photo, and the bot answers."""
        message = await person.sends_photo(caption=caption)
        self._line(person.first_name, person.chat, "\n".join(["(a photo)", *caption.splitlines()]))
        await self.hears(person.chat)
        return message

    async def presses(self, person: Visitor, message: Message, button: str) -> Query:
        """A person presses a button; what the bot answers to the press follows."""
        label = str(message.button(button)["text"])
        query = await person.presses(message, button)
        self._line(person.first_name, message.chat, f"[{label}]")
        if query.text:
            self._line("bot", message.chat, f"({query.text})")
        return query

    # ---------------------------------------------------------------------------- what the bot does

    async def hears(self, chat: Chat) -> Message:
        """The bot's next new message in this chat, as it is first shown."""
        message = await chat.next_message()
        self._told.add(id(message))
        self._shown(message, message.versions[0])
        return message

    async def becomes(
        self, message: Message, fits: Callable[[Message], bool] | None = None
    ) -> Message:
        """What a message of the bot is edited into."""
        wanted = fits or (lambda shown: shown.kind != "text")
        await message.chat.wait_for(lambda shown: shown is message and wanted(shown))
        self._shown(message, message.content, "(the message becomes)")
        return message

    async def result(self, chat: Chat) -> Message:
        """The bot's next message, and the picture or video that it becomes."""
        return await self.becomes(await self.hears(chat))

    # -------------------------------------------------------------------------------- on paper

    def text(self) -> str:
        """The whole scene. Nothing that the bot said may be missing."""
        chats = self.house.telegram.chats.values()
        said = [message for chat in chats for message in chat.messages if message.from_bot]
        missing = [message for message in said if id(message) not in self._told]
        assert not missing, f"the scene leaves out {missing}"
        assert self.house.telegram.complaints == []
        return self._same_every_day("\n".join(self.lines).rstrip() + "\n")

    def _shown(self, message: Message, content: Content, remark: str = "") -> None:
        """What a message shows, or showed, with its buttons row by row."""
        media = {"photo": "(a picture)", "video": "(a video)", "document": "(a file)"}
        parts = [remark] if remark else []
        if content.media is not None:
            parts.append(media[content.media.kind])
        parts += content.text.splitlines()
        rows = (content.markup or {}).get("inline_keyboard", [])
        parts += [" ".join(f"[{button['text']}]" for button in row) for row in rows]
        self._line("bot", message.chat, "\n".join(parts), _about(message.reply_to))

    def _line(self, who: str, chat: Chat, text: str, about: str = "") -> None:
        where = "" if chat.private else f" in {chat.title}"
        to = f" to {chat.person.first_name}" if who == "bot" and chat.person else ""
        self.lines.append(f"{who}{to}{where}{about}:")
        self.lines += [f"    {line}".rstrip() for line in text.splitlines()]
        self.lines.append("")

    def _same_every_day(self, text: str) -> str:
        texts = load_texts(self.language)
        today = datetime.now(UTC).date()
        for day in (today, today - timedelta(days=1)):
            text = text.replace(texts.date(day), texts.date(SOME_DAY))
        return _CLOCK.sub("12:00", _ELAPSED.sub(SOME_TIME, text))


def _about(message: Message | None) -> str:
    """Which message a reply is to, unless it stands right above anyway."""
    if message is None or (message.chat.private and not message.from_bot):
        return ""
    who = "the bot" if message.sender is None else message.sender.first_name
    return f", replying to {who}"


def compare(scene: str, language: str, played: str) -> None:
    """Hold a scene against what was approved, or write it anew if that is asked for."""
    path = FOLDER / language / f"{scene}.txt"
    if os.environ.get("REWRITE_TRANSCRIPTS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(played, encoding="utf-8")
    approved = path.read_text(encoding="utf-8") if path.exists() else ""
    assert played == approved, f"{path.name} differs; see tests/handlers/play.py"
