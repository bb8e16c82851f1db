"""Schedules that run once, however many processes there are: each time one of them has its turn."""

from __future__ import annotations

from datetime import timedelta

from tortoise.connection import get_connection

from db.sql import fetch, now

# The clocks that wake the processes are not exact: a turn may come a little early.
EARLY = 0.1


async def take_turn(name: str, every: timedelta) -> bool:
    """Whether it is this process's turn now; the next one is `every` later."""
    moment = now()
    rows = await fetch(
        get_connection("default"),
        "INSERT INTO turn (name, due_at) VALUES ($1, $2) ON CONFLICT (name) "
        "DO UPDATE SET due_at = excluded.due_at WHERE turn.due_at <= $3 RETURNING name",
        name,
        moment + every * (1 - EARLY),
        moment,
    )
    return bool(rows)
