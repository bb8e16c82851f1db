"""How jobs end in the books: charged what fal bills, or released; who is told about it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from bot.balance import BalanceWatch, count_anew
from bot.fal.errors import Refused
from bot.fal.queue import Result
from bot.money import MAX_BUDGET_NANOS
from bot.pricing import charge_for_units
from db import ledger
from db.accounts import Settlement
from db.models import ContentJob, CostSource, JobState
from db.outbox import NewNotice, write_notices, write_notices_now
from db.sql import in_transaction, now
from db.steps import within

logger = logging.getLogger(__name__)

# The states that a job may stay in for ever, unless an admin ends it; and the notice that says so.
ENDLESS = {JobState.UNKNOWN: "unresolved", JobState.SUBMITTED: "unended"}


def file_of(job: ContentJob) -> Mapping[str, Any]:
    """The file that a job's result is shown by: a `Media`, as `Settler.settle` stored it.

    Empty if there is none, or it was forgotten.
    """
    media = (job.result or {}).get("media")
    return media[0] if isinstance(media, list) and media else {}


class Settler:
    """Ends holds. `on_notice` is called when there may be a new notice."""

    def __init__(
        self,
        balance: BalanceWatch,
        alert_percents: Sequence[int],
        admin_ids: Sequence[int],
        on_notice: Callable[[], None],
    ) -> None:
        self._balance = balance
        self._alert_percents = alert_percents
        self._admin_ids = admin_ids
        self._on_notice = on_notice

    async def settle(self, job: ContentJob, result: Result) -> None:
        """Charge a job for its result. One without any file has failed, and is paid."""
        cost, source = self._cost(job, result.units)
        files = [asdict(media) for media in result.media]
        settlement = Settlement(
            JobState.FINISHED if files else JobState.FAILED,
            {
                "result": {"media": files},
                "finished_at": now(),
                "error": None if files else "no_result",
            },
            self._overrun(job, cost),
        )
        await self._book(job, cost, source, settlement)

    async def settle_failure(self, job: ContentJob, error: Refused) -> None:
        """End the hold of a job that failed at fal, by what fal bills for it, if it does."""
        cost, source = self._cost(job, error.units) if error.units else (0, None)
        # The wish may have come while the job was watched.
        was_cancelled = await ContentJob.exists(id=job.id, cancel_requested_at__isnull=False)
        state = JobState.CANCELLED if was_cancelled else JobState.FAILED
        changes = {"error": error.reason, "finished_at": now()}
        settlement = Settlement(state, changes, self._overrun(job, cost))
        await self._book(job, cost, source, settlement)

    async def _book(
        self, job: ContentJob, cost: int, source: CostSource | None, settlement: Settlement
    ) -> None:
        """Charge a job, or release what fal does not bill (`source` is None)."""
        if not job.is_held:
            await self._book_late(job, cost, source, settlement)
        elif source is None:
            await ledger.release(job.id, settlement)
        else:
            await ledger.charge(
                job.id, cost, source, settlement, alert_percents=self._alert_percents
            )
        self._on_notice()

    async def _book_late(
        self, job: ContentJob, cost: int, source: CostSource | None, settlement: Settlement
    ) -> None:
        """End a job whose hold had ended before it was found at fal after all.

        Booked first: a crash in between does all of it again, and the second time books nothing.
        """
        if cost != (job.cost_nanos or 0):
            await count_anew()
        await self.adjust(job, cost)
        await ContentJob.filter(id=job.id, state=JobState.SUBMITTED).update(
            state=settlement.state, billed_at=None, cost_source=source, **settlement.changes
        )

    async def give_up(self, job: ContentJob, reason: str) -> None:
        """Give back the hold of a job that fal does not have."""
        if reason == "account_locked":
            await self._balance.lock()
        await ledger.release(job.id, Settlement(JobState.FAILED, {"error": reason}))
        self._on_notice()

    async def resolve(self, job_id: int, state: JobState, *, charge: bool, admin_id: int) -> bool:
        """End the hold of a job that has no end of its own, as an admin decides.

        False if it is no more in the state, `unknown` or `submitted`, that the admin was told of.
        A bill that appears later corrects what was decided.
        """
        job = await ContentJob.get_or_none(id=job_id)
        if job is None:
            return False
        never_came = state == JobState.UNKNOWN and not charge
        reason = "lost" if never_came else "given_up"
        settlement = Settlement(
            JobState.FAILED, {"error": reason}, actor_id=admin_id, only_from=state
        )
        if charge:
            movement = await ledger.charge(
                job.id,
                job.quote_nanos,
                CostSource.QUOTE,
                settlement,
                alert_percents=self._alert_percents,
            )
        else:
            movement = await ledger.release(job.id, settlement)
        self._on_notice()
        return movement.changed

    async def adjust(self, job: ContentJob, billed_nanos: int) -> bool:
        """Correct a settled job to what fal billed; True if that changed an amount."""
        movement = await ledger.adjust(
            job.id,
            billed_nanos,
            alert_percents=self._alert_percents,
            notices=self._overrun(job, billed_nanos),
        )
        self._on_notice()
        return movement.changed

    async def accepted(self, job_id: int) -> None:
        """fal has taken a job, so the account is not locked."""
        await self._balance.unlock(job_id)

    async def report_unended(self, job: ContentJob) -> None:
        """Tell the admins, once, that nobody knows whether fal has a job, or how it ended there."""
        content: dict[str, object] = {
            "job": str(job.id),
            "state": job.state.value,
            "quote_nanos": job.quote_nanos,
        }
        notices = self._for_admins(ENDLESS[job.state], content, f"{job.state.value}:{job.id}")
        await write_notices_now(notices)
        self._on_notice()

    async def shown(self, job: ContentJob, state: JobState, ready: NewNotice | None) -> None:
        """Record that the outcome of a job stands in the chat, with the notice that it does.

        Unless it has another outcome by now: fal had after all what was given up.
        """
        moment = now()
        async with in_transaction() as transaction:
            first = (
                await ContentJob.filter(id=job.id, state=job.state, shown_at=None)
                .using_db(transaction)
                .update(state=state, shown_at=moment)
            )
            if first and ready is not None:
                await within(transaction, write_notices([ready], moment))
        self._on_notice()

    def _cost(self, job: ContentJob, units: Decimal | None) -> tuple[int, CostSource]:
        """What a job cost: billed units × its unit price; without units its quote."""
        if units is None:
            return job.quote_nanos, CostSource.QUOTE
        try:
            cost = charge_for_units(units, job.unit_price_nanos)
        except ValueError:
            cost = MAX_BUDGET_NANOS + 1
        if cost > MAX_BUDGET_NANOS:  # no job costs more than the largest budget
            logger.warning("job %d: fal bills %s units, taking the quote", job.id, units)
            return job.quote_nanos, CostSource.QUOTE
        return cost, CostSource.UNITS

    def _overrun(self, job: ContentJob, cost_nanos: int) -> Sequence[NewNotice]:
        if cost_nanos <= job.quote_nanos:
            return ()
        content: dict[str, object] = {
            "job": str(job.id),
            "quote_nanos": job.quote_nanos,
            "cost_nanos": cost_nanos,
        }
        return self._for_admins("overrun", content, f"overrun:{job.id}:{cost_nanos}")

    def _for_admins(
        self, kind: str, content: dict[str, object], occasion: str
    ) -> Sequence[NewNotice]:
        return [
            NewNotice(admin_id, kind, content, f"{occasion}:{admin_id}")
            for admin_id in self._admin_ids
        ]
