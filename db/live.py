"""The messages that follow the figures of a person, one in each chat."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from tortoise.connection import get_connection

from db.sql import fetch, rows_of


class Shown(NamedTuple):
    """A message that shows the figures of a person, and which version of them."""

    chat_id: int
    person_id: int
    message_id: int
    version: int


async def follow_messages(messages: Sequence[Shown]) -> list[None]:
    """Let these messages take the place of the ones before in their chats."""
    last = {message.chat_id: message for message in messages}
    await fetch(
        get_connection("default"),
        "INSERT INTO live_message (chat_id, person_id, message_id, shown_version) "
        f"VALUES {rows_of(len(last), 4)} ON CONFLICT (chat_id) DO UPDATE SET "
        "person_id = excluded.person_id, message_id = excluded.message_id, "
        "shown_version = excluded.shown_version RETURNING chat_id",
        *chain.from_iterable(last[chat_id] for chat_id in sorted(last)),
    )
    return [None] * len(messages)
