"""Things that are so for a while and are told once: the account locked, its balance low, …"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from db.models import Occasion
from db.outbox import NewNotice, write_notices
from db.sql import now
from db.steps import Steps, ask, at_once


async def begin(name: str, notices: Sequence[NewNotice]) -> bool:
    """It is so: write `notices` if it was not before. However many processes say so, once."""
    return await at_once(_begin(name, notices, now()))


async def end(name: str, *, known_at: datetime | None = None) -> bool:
    """It is so no more: the next time is a new occasion. False if it was not so.

    What is only known of an earlier moment (`known_at`) does not end what began after it.
    """
    occasion = Occasion.filter(name=name)
    if known_at is not None:
        occasion = occasion.filter(since__lt=known_at)
    return bool(await occasion.delete())


async def holds(name: str) -> bool:
    """Whether it is so at present."""
    return await Occasion.exists(name=name)


async def since(name: str) -> datetime | None:
    """Since when it is so, or was last tried; None if it is not."""
    occasion = await Occasion.get_or_none(name=name)
    return None if occasion is None else occasion.since


async def may_try(name: str, every: timedelta) -> bool:
    """Whether it is worth a try although it is so: once in `every`, by one of all processes."""
    moment: datetime = now()
    return bool(await Occasion.filter(name=name, since__lt=moment - every).update(since=moment))


def _begin(name: str, notices: Sequence[NewNotice], moment: datetime) -> Steps[bool]:
    rows = yield ask(
        "INSERT INTO occasion (name, since) VALUES ($1, $2) "
        "ON CONFLICT (name) DO NOTHING RETURNING name",
        name,
        moment,
    )
    if rows:
        yield from write_notices(notices, moment)
    return bool(rows)
