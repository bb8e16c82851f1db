"""A stand-in for the Telegram Bot API."""

from __future__ import annotations

from bot.sandbox.telegram.calls import Call, Upload
from bot.sandbox.telegram.chats import Chat
from bot.sandbox.telegram.messages import Content, Message
from bot.sandbox.telegram.people import Person, Query, plain_photo
from bot.sandbox.telegram.world import TelegramWorld

__all__ = [
    "Call",
    "Chat",
    "Content",
    "Message",
    "Person",
    "Query",
    "TelegramWorld",
    "Upload",
    "plain_photo",
]
