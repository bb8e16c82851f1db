"""What the ledger takes and gives: figures, movements, settlements, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from db.models import JobState
from db.outbox import NewNotice
from db.sql import Row

ACCOUNT_COLUMNS = (
    "id AS person_id, budget_nanos, spent_nanos, held_nanos, total_spent_nanos, "
    "budget_number, alerted_percent, alert_percents"
)


class NotEnough(Exception):
    """The hold is more than what is available (`available_nanos`)."""

    def __init__(self, available_nanos: int) -> None:
        super().__init__("not enough is available")
        self.available_nanos = available_nanos


class TooManyActive(Exception):
    """The person has as many jobs under way as are allowed."""


class NoSuchPerson(Exception):
    """There is no person with this id."""


@dataclass(frozen=True, slots=True)
class Account:
    """The figures of a person, as they stand after a movement.

    Raises `OverflowError` for a sum that 64 bits do not hold: PostgreSQL refuses it, SQLite would
    go on with a float.
    """

    person_id: int
    budget_nanos: int | None
    spent_nanos: int
    held_nanos: int
    total_spent_nanos: int
    budget_number: int
    alerted_percent: int | None
    alert_percents: str | None

    def __post_init__(self) -> None:
        counters: tuple[object, ...] = self.spent_nanos, self.held_nanos, self.total_spent_nanos
        if not all(isinstance(nanos, int) for nanos in counters):
            raise OverflowError("an amount beyond 64 bits is not booked")


@dataclass(frozen=True, slots=True)
class Movement:
    """What a call did. `changed` is False when it had been done before: nothing moved."""

    changed: bool
    job_id: int | None = None
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a job ends: its new state, and what is written into its row with it.

    `actor_id` is the administrator who ended it, if one did; `only_from` the state that the job
    has to be in still, or nothing is done.
    """

    state: JobState
    changes: Row = field(default_factory=dict)
    notices: Sequence[NewNotice] = ()
    actor_id: int | None = None
    only_from: JobState | None = None
