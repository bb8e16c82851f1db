"""Who did what to whom, and when: the record of administrators' actions."""

from __future__ import annotations

from db.models import AdminAction
from db.sql import now
from db.steps import Steps, insertion


def record(
    admin_id: int, action: str, person_id: int | None, detail: str | None = None
) -> Steps[None]:
    """Keep an action, in the transaction of what was done."""
    yield insertion(
        AdminAction(
            admin_id=admin_id,
            action=action,
            person_id=person_id,
            detail=detail,
            created_at=now(),
        )
    )


async def latest(count: int, about: int | None = None) -> list[AdminAction]:
    """The last actions, or those about a person, the newest first."""
    actions = AdminAction.all() if about is None else AdminAction.filter(person_id=about)
    return await actions.order_by("-id").limit(count)
