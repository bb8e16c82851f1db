"""The entries of the ledger, which are only ever added."""

from __future__ import annotations

from db.accounts import Account
from db.actions import record
from db.models import EntryKind
from db.sql import now
from db.steps import Steps, ask


def enter(
    account: Account,
    kind: EntryKind,
    amount_nanos: int | None,
    *,
    job_id: int | None = None,
    number: int | None = None,
    held_delta_nanos: int = 0,
    spent_delta_nanos: int = 0,
    total_delta_nanos: int = 0,
    actor_id: int | None = None,
    origin: str | None = None,
) -> Steps[None]:
    """Add an entry to the ledger, in the transaction of its movement.

    What an administrator did is recorded with it; one's own budget is nobody's decision.
    """
    yield ask(
        "INSERT INTO ledger_entry (person_id, job_id, number, kind, amount_nanos, "
        "held_delta_nanos, spent_delta_nanos, total_delta_nanos, budget_number, actor_id, "
        "origin, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        account.person_id,
        job_id,
        number,
        kind.value,
        amount_nanos,
        held_delta_nanos,
        spent_delta_nanos,
        total_delta_nanos,
        account.budget_number,
        actor_id,
        origin,
        now(),
    )
    is_own = kind == EntryKind.BUDGET and actor_id == account.person_id
    if actor_id is not None and not is_own:
        detail = None if job_id is None else str(job_id)
        yield from record(actor_id, kind.value, account.person_id, detail)
