"""What a person may want made: kept until they press a button, for a few days."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from bot.catalog import Kind
from bot.options import Options
from bot.orders import Order, Source
from db.models import Draft
from db.sql import now

KEPT = timedelta(days=7)


async def keep(person_id: int, order: Order) -> int:
    """Keep an order that is not decided yet; return the id for its buttons."""
    draft = await Draft.create(person_id=person_id, order=asdict(order), created_at=now())
    return int(draft.id)


async def take(draft_id: int, person_id: int, kind: Kind) -> Order | None:
    """The order behind a button, if it is the person's own and still there.

    Its origin is the draft, so that pressing twice orders once.
    """
    draft = await Draft.get_or_none(id=draft_id, person_id=person_id)
    if draft is None:
        return None
    stored: dict[str, Any] = dict(draft.order)
    source, options = stored.pop("source"), stored.pop("options")
    order = Order(
        **stored,
        source=Source(**source) if source else None,
        options=Options(**options),
    )
    return replace(order, kind=kind, origin=f"draft:{draft_id}:{kind}")


async def forget_old() -> int:
    """Delete drafts that nobody wanted; return how many."""
    return await Draft.filter(created_at__lt=now() - KEPT).delete()
