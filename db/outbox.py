"""Notices: what the bot owes people, written in the transaction that causes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tortoise.connection import get_connection

from db.sql import fetch, now
from db.steps import Steps, ask, at_once

CLAIMED_FOR = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class NewNotice:
    """A notice to be written in the transaction that causes it."""

    person_id: int
    kind: str
    content: dict[str, object]
    occasion: str | None = None
    chat_id: int | None = None


def write_notices(notices: Sequence[NewNotice], moment: datetime) -> Steps[None]:
    """Write notices that are due at `moment`; an occasion that was written before is left."""
    for notice in notices:
        yield ask(
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
    await at_once(write_notices(notices, now()))


async def claim_due(limit: int) -> list[int]:
    """Take up to `limit` notices that are due, oldest first; return their ids.

    Nobody else gets them for a while: several processes never send the same one, and what a
    process that dies has taken is due again. People who blocked the bot are left alone.
    """
    moment = now()
    connection = get_connection("default")
    skip = "" if connection.capabilities.dialect == "sqlite" else "FOR UPDATE OF n SKIP LOCKED"
    rows = await fetch(
        connection,
        "UPDATE notice SET due_at = $2 WHERE id IN (SELECT n.id FROM notice n "
        "JOIN person p ON p.id = n.person_id WHERE n.closed_at IS NULL AND n.due_at <= $1 "
        f"AND p.blocked_at IS NULL ORDER BY n.id LIMIT $3 {skip}) RETURNING id",
        moment,
        moment + CLAIMED_FOR,
        limit,
    )
    return sorted(row["id"] for row in rows)
