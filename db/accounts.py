"""What the ledger takes and gives: figures, movements, settlements, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from db.models import JobState
from db.outbox import NewNotice
from db.sql import Row

ACCOUNT_COLUMNS = (
    "id AS person_id, budget_nanos, spent_nanos, held_nanos, total_spent_nanos, "
    "budget_number, alerted_percent"
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
    """The figures of a person, as they stand after a movement."""

    person_id: int
    budget_nanos: int | None
    spent_nanos: int
    held_nanos: int
    total_spent_nanos: int
    budget_number: int
    alerted_percent: int | None


@dataclass(frozen=True, slots=True)
class Movement:
    """What a call did. `changed` is False when it had been done before: nothing moved."""

    changed: bool
    job_id: int | None = None
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a job ends: its new state, and what is written into its row with it."""

    state: JobState
    changes: Row = field(default_factory=dict)
    notices: Sequence[NewNotice] = ()
