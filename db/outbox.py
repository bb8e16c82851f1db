"""Notices: what the bot owes people, written in the transaction that causes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.transactions import in_transaction

from db.sql import fetch, now


@dataclass(frozen=True, slots=True)
class NewNotice:
    """A notice to be written in the transaction that causes it."""

    person_id: int
    kind: str
    content: dict[str, object]
    occasion: str | None = None
    chat_id: int | None = None


async def write_notices(
    transaction: BaseDBAsyncClient, notices: Sequence[NewNotice], moment: datetime
) -> None:
    """Write notices that are due at `moment`; an occasion that was written before is left."""
    for notice in notices:
        await fetch(
            transaction,
            "INSERT INTO notice (person_id, chat_id, kind, content, occasion, attempts, due_at, "
            "created_at) VALUES ($1, $2, $3, $4, $5, 0, $6, $6) "
            "ON CONFLICT (occasion) DO NOTHING RETURNING id",
            notice.person_id,
            notice.person_id if notice.chat_id is None else notice.chat_id,
            notice.kind,
            json.dumps(notice.content),
            notice.occasion,
            moment,
        )


async def write_notices_now(notices: Sequence[NewNotice]) -> None:
    """Write notices that no movement causes, in a transaction of their own."""
    async with in_transaction() as transaction:
        await write_notices(transaction, notices, now())
