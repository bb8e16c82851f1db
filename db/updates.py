"""Which updates of Telegram have been taken, and which have been acted on."""

from __future__ import annotations

import json
from datetime import timedelta

from tortoise.connection import get_connection

from db.models import SeenUpdate
from db.sql import fetch, now

# Telegram keeps an update for at most 24 hours (Bot API, "Getting updates").
KEPT = timedelta(days=2)


async def take(update_id: int, update: dict[str, object]) -> bool:
    """Keep an update until it has been acted on; False if it was taken or acted on before."""
    rows = await fetch(
        get_connection("default"),
        "INSERT INTO seen_update (id, body, seen_at) VALUES ($1, $2, $3) "
        "ON CONFLICT (id) DO NOTHING RETURNING id",
        update_id,
        json.dumps(update),
        now(),
    )
    return bool(rows)


async def is_done(update_id: int) -> bool:
    """Whether an update has been acted on."""
    return await SeenUpdate.exists(id=update_id, body=None)


async def mark_done(update_id: int) -> None:
    """Record that an update has been acted on; its content is kept no longer."""
    await fetch(
        get_connection("default"),
        "INSERT INTO seen_update (id, seen_at) VALUES ($1, $2) "
        "ON CONFLICT (id) DO UPDATE SET body = NULL RETURNING id",
        update_id,
        now(),
    )


async def left_behind(older_than: timedelta) -> list[dict[str, object]]:
    """Updates that were taken and never acted on, because a process died; each is taken anew."""
    waiting = (
        await SeenUpdate.filter(body__isnull=False, seen_at__lte=now() - older_than)
        .order_by("id")
        .limit(1000)
    )
    updates = []
    for row in waiting:
        # The condition makes sure that of several processes one gets it.
        mine = await SeenUpdate.filter(id=row.id, seen_at=row.seen_at).update(seen_at=now())
        if mine and row.body is not None:
            updates.append(json.loads(row.body))
    return updates


async def forget_old() -> int:
    """Forget updates that cannot come again; return how many."""
    return await SeenUpdate.filter(seen_at__lt=now() - KEPT).delete()
