"""Every movement of money: set a budget, hold, charge, release, adjust, and the proof of it all.

Each function is one transaction: a conditional UPDATE of the counters whose result is checked,
the job's own change, and an entry that is only ever added. The person's row is always changed
first, so that movements of one person wait for each other. Amounts are nano-US-dollars.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tortoise.connection import get_connection
from tortoise.exceptions import IntegrityError

from db.accounts import (
    ACCOUNT_COLUMNS,
    Account,
    Movement,
    NoSuchPerson,
    NotEnough,
    Settlement,
    TooManyActive,
)
from db.alerts import note_crossing
from db.entries import enter
from db.models import ContentJob, CostSource, EntryKind
from db.outbox import NewNotice, write_notices
from db.sql import assignments, fetch, now
from db.steps import Steps, ask, at_once, insertion

JOB_OF_ORIGIN = "SELECT id FROM content_job WHERE origin = $1"


class _LostRace(Exception):
    """Another process moved the same job or account first; the transaction is rolled back."""


async def set_budget(
    person_id: int,
    budget_nanos: int | None,
    *,
    actor_id: int | None,
    origin: str,
    follows: bool = False,
) -> Movement:
    """Set (or with None remove) a budget; `spent` starts at zero, holds under way stay.

    With `follows` the amount is fal's balance, and `follow` brings what remains to it.
    `origin` names the command: the same one again changes nothing. Raises `NoSuchPerson`.
    """
    steps = _set_budget(person_id, budget_nanos, actor_id, origin, follows)
    try:
        return await at_once(steps)
    except IntegrityError:
        # The same command on another process: its entry with this origin came first.
        return Movement(changed=False)


async def hold(job: ContentJob, *, max_active_jobs: int) -> Movement:
    """Set `job.quote_nanos` aside and store the new job, if it is available.

    `job` is not saved yet, and stays so: the stored one has the id that is returned. Its
    `origin` makes the call repeatable. Raises `NotEnough`, `TooManyActive` or `NoSuchPerson`, and
    then nothing is stored.
    """
    while True:
        try:
            return await at_once(_hold(job, max_active_jobs))
        except _LostRace:
            known = await _job_of_origin(job.origin)
            if known is not None:
                return Movement(changed=False, job_id=known)


async def charge(
    job_id: int,
    cost_nanos: int,
    source: CostSource,
    settlement: Settlement,
    *,
    alert_percents: Sequence[int] = (),
) -> Movement:
    """Replace the hold of a job by what it cost, once.

    When what remains drops below one of `alert_percents` (integers, percent of the budget),
    the alert is written as a notice in the same transaction.
    """
    steps = _end_hold(job_id, EntryKind.CHARGE, cost_nanos, source, settlement, alert_percents)
    return await _once(job_id, steps)


async def release(job_id: int, settlement: Settlement) -> Movement:
    """Give the hold of a job back, once, because nothing is owed."""
    return await _once(job_id, _end_hold(job_id, EntryKind.RELEASE, 0, None, settlement, ()))


async def adjust(
    job_id: int,
    billed_nanos: int,
    *,
    alert_percents: Sequence[int] = (),
    notices: Sequence[NewNotice] = (),
) -> Movement:
    """Correct the cost of a settled job to what fal billed, if it differs.

    The difference counts against the budget only if the job was settled under the present
    one; always against the total. A job still held changes nothing.
    """
    while True:
        try:
            return await at_once(_adjust(job_id, billed_nanos, alert_percents, notices))
        except _LostRace:
            continue


async def follow(
    person_id: int,
    balance_nanos: int,
    *,
    counted_until: datetime,
    alert_percents: Sequence[int] = (),
) -> Movement:
    """Bring what remains of a budget that follows fal's balance to a new reading of it.

    What was charged after `counted_until` can be in the balance or not. So what remains is no
    more than the balance, no less than the balance without that, and in between it stays as it
    is: a job counts twice for a while rather than not at all.

    The difference is an entry like any other, but nothing that the person spent: the total
    stays. A budget that follows none is left alone.
    """
    return await at_once(_follow(person_id, balance_nanos, counted_until, alert_percents))


def _set_budget(
    person_id: int, budget_nanos: int | None, actor_id: int | None, origin: str, follows: bool
) -> Steps[Movement]:
    if (yield ask("SELECT 1 FROM ledger_entry WHERE origin = $1", origin)):
        return Movement(changed=False)
    before = yield ask(
        "UPDATE person SET version = version + 1 WHERE id = $1 RETURNING spent_nanos", person_id
    )
    if not before:
        raise NoSuchPerson
    rows = yield ask(
        "UPDATE person SET budget_nanos = $2, budget_set_at = $3, spent_nanos = 0, "
        "budget_number = budget_number + 1, alerted_percent = NULL, "
        f"followed_balance_nanos = $4 WHERE id = $1 RETURNING {ACCOUNT_COLUMNS}",
        person_id,
        budget_nanos,
        now(),
        budget_nanos if follows else None,
    )
    account = Account(**rows[0])
    yield from enter(
        account,
        EntryKind.BUDGET,
        budget_nanos,
        spent_delta_nanos=-before[0]["spent_nanos"],
        actor_id=actor_id,
        origin=origin,
    )
    return Movement(changed=True, account=account)


def _follow(
    person_id: int,
    balance_nanos: int,
    counted_until: datetime,
    alert_percents: Sequence[int],
) -> Steps[Movement]:
    # From here on whoever charges this person waits.
    rows = yield ask(
        "UPDATE person SET version = version "
        "WHERE id = $1 AND followed_balance_nanos IS NOT NULL AND budget_nanos IS NOT NULL "
        "RETURNING budget_nanos - spent_nanos AS remaining",
        person_id,
    )
    if not rows:
        return Movement(changed=False)
    before = rows[0]["remaining"]
    lately = yield ask(
        "SELECT COALESCE(SUM(spent_delta_nanos), 0) AS nanos FROM ledger_entry "
        "WHERE person_id = $1 AND kind = $2 AND created_at > $3",
        person_id,
        EntryKind.CHARGE,
        counted_until,
    )
    unsure = int(lately[0]["nanos"])
    remaining = min(balance_nanos, max(balance_nanos - unsure, before))
    delta = before - remaining
    rows = yield ask(
        "UPDATE person SET followed_balance_nanos = $2, spent_nanos = spent_nanos + $3, "
        f"version = version + $4 WHERE id = $1 RETURNING {ACCOUNT_COLUMNS}",
        person_id,
        balance_nanos,
        delta,
        int(delta != 0),  # figures that stay as they are need not be shown anew
    )
    account = Account(**rows[0])
    if not delta:
        return Movement(changed=False, account=account)
    yield from enter(account, EntryKind.ADJUSTMENT, remaining, spent_delta_nanos=delta)
    yield from note_crossing(account, alert_percents, now())
    return Movement(changed=True, account=account)


def _hold(job: ContentJob, max_active_jobs: int) -> Steps[Movement]:
    rows = yield ask(
        "UPDATE person SET held_nanos = held_nanos + $2, active_jobs = active_jobs + 1, "
        "version = version + 1 WHERE id = $1 AND active_jobs < $3 "
        "AND (budget_nanos IS NULL OR budget_nanos - spent_nanos - held_nanos >= $2) "
        f"RETURNING {ACCOUNT_COLUMNS}",
        job.person_id,
        job.quote_nanos,
        max_active_jobs,
    )
    if not rows:
        return (yield from _known_or_refused(job, max_active_jobs))
    account = Account(**rows[0])
    stored = yield insertion(job, otherwise="ON CONFLICT (origin) DO NOTHING")
    if not stored:
        raise _LostRace
    yield from enter(
        account,
        EntryKind.HOLD,
        job.quote_nanos,
        job_id=stored[0]["id"],
        number=1,
        held_delta_nanos=job.quote_nanos,
    )
    return Movement(changed=True, job_id=stored[0]["id"], account=account)


async def _once(job_id: int, steps: Steps[Movement]) -> Movement:
    try:
        return await at_once(steps)
    except _LostRace:
        return Movement(changed=False, job_id=job_id)


def _end_hold(
    job_id: int,
    kind: EntryKind,
    cost_nanos: int,
    source: CostSource | None,
    settlement: Settlement,
    alert_percents: Sequence[int],
) -> Steps[Movement]:
    moment = now()
    rows = yield ask(
        "UPDATE person SET active_jobs = active_jobs - 1, "
        "held_nanos = held_nanos - job.quote_nanos, version = version + 1, "
        "spent_nanos = spent_nanos + $2, total_spent_nanos = total_spent_nanos + $2 "
        "FROM content_job AS job "
        "WHERE job.id = $1 AND job.is_held AND person.id = job.person_id "
        "RETURNING person.id AS person_id, budget_nanos, spent_nanos, held_nanos, "
        "total_spent_nanos, budget_number, alerted_percent, alert_percents",
        job_id,
        cost_nanos,
    )
    if not rows:
        return Movement(changed=False, job_id=job_id)
    account = Account(**rows[0])
    columns, values = assignments(
        ContentJob,
        {
            "state": settlement.state,
            "is_held": False,
            "entry_count": 2,
            "settled_at": moment,
            "settled_budget_number": account.budget_number,
            "cost_nanos": cost_nanos,
            "cost_source": source,
            **settlement.changes,
        },
        first=2,
    )
    condition = "is_held"
    if settlement.only_from is not None:
        condition += f" AND state = ${len(values) + 2}"
        values.append(settlement.only_from)
    jobs = yield ask(
        f"UPDATE content_job SET {columns} WHERE id = $1 AND {condition} RETURNING quote_nanos",
        job_id,
        *values,
    )
    if not jobs:
        raise _LostRace
    yield from enter(
        account,
        kind,
        cost_nanos,
        job_id=job_id,
        number=2,
        held_delta_nanos=-jobs[0]["quote_nanos"],
        spent_delta_nanos=cost_nanos,
        total_delta_nanos=cost_nanos,
        actor_id=settlement.actor_id,
    )
    if kind is EntryKind.CHARGE:  # a release spends nothing, and arms nothing again
        yield from note_crossing(account, alert_percents, moment)
    yield from write_notices(settlement.notices, moment)
    return Movement(changed=True, job_id=job_id, account=account)


def _adjust(
    job_id: int,
    billed_nanos: int,
    alert_percents: Sequence[int],
    notices: Sequence[NewNotice],
) -> Steps[Movement]:
    moment = now()
    jobs = yield ask(
        "SELECT person_id, cost_nanos, settled_budget_number, entry_count "
        "FROM content_job WHERE id = $1 AND NOT is_held",
        job_id,
    )
    if not jobs:
        return Movement(changed=False, job_id=job_id)
    job = jobs[0]
    delta = billed_nanos - job["cost_nanos"]
    rows = yield ask(
        "UPDATE person SET total_spent_nanos = total_spent_nanos + $2, version = version + $4, "
        "spent_nanos = spent_nanos + "
        "CASE WHEN budget_number = $3 THEN CAST($2 AS BIGINT) ELSE 0 END "
        f"WHERE id = $1 RETURNING {ACCOUNT_COLUMNS}",
        job["person_id"],
        delta,
        job["settled_budget_number"],
        int(delta != 0),
    )
    account = Account(**rows[0])
    number = job["entry_count"] + int(delta != 0)
    updated = yield ask(
        "UPDATE content_job SET cost_nanos = $2, cost_source = $3, billed_at = $4, "
        "entry_count = $5 WHERE id = $1 AND entry_count = $6 RETURNING id",
        job_id,
        billed_nanos,
        CostSource.BILLED.value,
        moment,
        number,
        job["entry_count"],
    )
    if not updated:
        raise _LostRace
    if not delta:
        return Movement(changed=False, job_id=job_id, account=account)
    counts = account.budget_number == job["settled_budget_number"]
    yield from enter(
        account,
        EntryKind.ADJUSTMENT,
        billed_nanos,
        job_id=job_id,
        number=number,
        spent_delta_nanos=delta if counts else 0,
        total_delta_nanos=delta,
    )
    if counts:
        yield from note_crossing(account, alert_percents, moment)
    yield from write_notices(notices, moment)
    return Movement(changed=True, job_id=job_id, account=account)


async def _job_of_origin(origin: str) -> int | None:
    rows = await fetch(get_connection("default"), JOB_OF_ORIGIN, origin)
    return rows[0]["id"] if rows else None


def _known_or_refused(job: ContentJob, max_active_jobs: int) -> Steps[Movement]:
    """The job that this command has made before; raises why it gets none."""
    known = yield ask(JOB_OF_ORIGIN, job.origin)
    if known:
        return Movement(changed=False, job_id=known[0]["id"])
    rows = yield ask(
        "SELECT budget_nanos - spent_nanos - held_nanos AS available_nanos, active_jobs "
        "FROM person WHERE id = $1",
        job.person_id,
    )
    if not rows:
        raise NoSuchPerson
    available_nanos, active_jobs = rows[0].values()
    if active_jobs >= max_active_jobs:
        raise TooManyActive
    if available_nanos is None or available_nanos >= job.quote_nanos:
        raise _LostRace  # there has been enough since the refusal
    raise NotEnough(available_nanos)
