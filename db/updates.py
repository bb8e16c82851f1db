"""Which updates of Telegram have been taken, and which have been acted on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain

import orjson
from tortoise.connection import get_connection

from db.models import SeenUpdate
from db.sql import fetch, now, rows_of

# Telegram keeps an update for at most 24 hours (Bot API, "Getting updates").
KEPT = timedelta(days=2)
MOST_AT_ONCE = 1000


def number_of(update: object) -> int | None:
    """The number of an update; None for what is none, or has one that cannot be kept."""
    number = update.get("update_id") if isinstance(update, dict) else None
    is_number = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**63
    return number if is_number else None


async def take(update_id: int, update: dict[str, object]) -> bool:
    """Keep an update until it has been acted on; False if it was taken or acted on before."""
    return bool(await take_all({update_id: update}))


async def take_all(updates: Mapping[int, dict[str, object]]) -> set[int]:
    """Keep updates until they have been acted on; return those that are new."""
    moment = now()
    values = ((update_id, _as_text(body), moment) for update_id, body in updates.items())
    rows = await fetch(
        get_connection("default"),
        f"INSERT INTO seen_update (id, body, seen_at) VALUES {rows_of(len(updates), 3)} "
        "ON CONFLICT (id) DO NOTHING RETURNING id",
        *chain.from_iterable(values),
    )
    return {row["id"] for row in rows}


def _as_text(update: dict[str, object]) -> str:
    try:
        return orjson.dumps(update).decode()
    except orjson.JSONEncodeError:
        # Half a surrogate pair, which it refuses, or a number that is too long for it.
        return json.dumps(update)


async def mark_done(update_ids: Sequence[int]) -> list[None]:
    """Record that updates have been acted on; their content is kept no longer."""
    moment = now()
    await fetch(
        get_connection("default"),
        f"INSERT INTO seen_update (id, seen_at) VALUES {rows_of(len(update_ids), 2)} "
        "ON CONFLICT (id) DO UPDATE SET body = NULL RETURNING id",
        *chain.from_iterable((update_id, moment) for update_id in sorted(update_ids)),
    )
    return [None] * len(update_ids)


async def left_behind(before: datetime) -> list[dict[str, object]]:
    """Updates that were taken before a moment and never acted on, because a process died.

    Each is taken anew. There may be more of them: ask until there is none.
    """
    waiting = (
        await SeenUpdate.filter(body__isnull=False, seen_at__lte=before)
        .order_by("id")
        .limit(MOST_AT_ONCE)
    )
    # Though the clock be set back, they are not found again by who asks until there is none.
    moment = max(now(), before + timedelta(microseconds=1))
    updates = []
    for row in waiting:
        # The condition makes sure that of several processes one gets it.
        mine = await SeenUpdate.filter(id=row.id, seen_at=row.seen_at).update(seen_at=moment)
        if mine and row.body is not None:
            updates.append(json.loads(row.body))
    return updates


async def forget_old() -> int:
    """Forget updates that cannot come again; return how many."""
    return await SeenUpdate.filter(seen_at__lt=now() - KEPT).delete()
