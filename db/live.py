"""The messages that follow the figures of a person, one in each chat."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from tortoise.connection import get_connection

from db.models import LiveMessage
from db.sql import fetch, rows_of


async def follow_messages(messages: Sequence[LiveMessage]) -> list[None]:
    """Let these messages take the place of the ones before in their chats."""
    last = {message.chat_id: message for message in messages}
    await fetch(
        get_connection("default"),
        "INSERT INTO live_message (chat_id, person_id, message_id, shown_version) "
        f"VALUES {rows_of(len(last), 4)} ON CONFLICT (chat_id) DO UPDATE SET "
        "person_id = excluded.person_id, message_id = excluded.message_id, "
        "shown_version = excluded.shown_version RETURNING chat_id",
        *chain.from_iterable(
            (chat_id, message.person_id, message.message_id, message.shown_version)
            for chat_id, message in sorted(last.items())
        ),
    )
    return [None] * len(messages)
