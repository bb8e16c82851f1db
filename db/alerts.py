"""The moment at which what remains of a budget drops below a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from db.accounts import Account
from db.outbox import NewNotice, write_notices
from db.steps import Steps, ask


def note_crossing(account: Account, percents: Sequence[int], moment: datetime) -> Steps[None]:
    """Keep what was announced in step with what remains; write the alert of a new crossing."""
    if account.budget_nanos is None:
        return
    if account.alert_percents is not None:
        percents = [int(percent) for percent in account.alert_percents.split(",") if percent]
    remaining = account.budget_nanos - account.spent_nanos
    below = [percent for percent in percents if remaining * 100 < percent * account.budget_nanos]
    crossed = min(below, default=None)
    if crossed == account.alerted_percent:
        return
    yield ask(
        "UPDATE person SET alerted_percent = $2 WHERE id = $1 RETURNING id",
        account.person_id,
        crossed,
    )
    if crossed is None or crossed > (account.alerted_percent or 100):
        return
    content: dict[str, object] = {
        "remaining_nanos": remaining,
        "budget_nanos": account.budget_nanos,
        "percent": crossed,
    }
    yield from write_notices([NewNotice(account.person_id, "alert", content)], moment)
