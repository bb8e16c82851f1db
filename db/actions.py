"""Who did what to whom, and when: the record of administrators' actions."""

from __future__ import annotations

from tortoise.backends.base.client import BaseDBAsyncClient

from db.models import AdminAction
from db.sql import now


async def record(
    admin_id: int,
    action: str,
    person_id: int | None,
    detail: str | None = None,
    *,
    connection: BaseDBAsyncClient | None = None,
) -> None:
    """Keep an action, in the transaction of `connection` if one is given."""
    await AdminAction.create(
        admin_id=admin_id,
        action=action,
        person_id=person_id,
        detail=detail,
        created_at=now(),
        using_db=connection,
    )


async def latest(count: int, about: int | None = None) -> list[AdminAction]:
    """The last actions, or those about a person, the newest first."""
    actions = AdminAction.all() if about is None else AdminAction.filter(person_id=about)
    return await actions.order_by("-id").limit(count)
