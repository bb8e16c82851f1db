"""Reconciliation: the books are brought in line with fal's bills, to the nano-dollar."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tortoise.functions import Count

from bot.balance import charged_nanos, outside_nanos
from bot.errors import NeedsAdminKey
from bot.fal.platform import Bill, Platform
from bot.settling import Settler
from db.models import BalanceReading, ContentJob, CostSource, JobState, OutsideBill
from db.sql import now

logger = logging.getLogger(__name__)

# Jobs settled so long ago are looked up no more.
LOOK_BACK = timedelta(days=7)
# A bill that is not there after so long is marked as missing, and still looked for.
EXPECTED_WITHIN = timedelta(hours=24)
# Bills carry the time of the request, which can be a while before its job was settled.
MARGIN = timedelta(days=1)
IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Report:
    """What a reconciliation found. Amounts in nano-dollars; `unexplained` only with a balance."""

    jobs_by_source: Mapping[str, int]
    adjustments: int
    adjusted_nanos: int
    missing: int
    charged_nanos: int
    outside_nanos: int
    unexplained_nanos: int | None


class Reconciler:
    """Compares jobs with fal's billing events. `platform` is None without an admin key."""

    def __init__(self, platform: Platform | None, settler: Settler) -> None:
        self._platform = platform
        self._settler = settler
        self._running = asyncio.Lock()

    async def reconcile(self) -> Report:
        """Look up the bills of the last days and adjust what differs; again is harmless.

        Raises `NeedsAdminKey`, or `FalError` when fal does not say; what was found until then
        is booked.
        """
        if self._platform is None:
            raise NeedsAdminKey
        async with self._running:
            first = await ContentJob.all().order_by("id").first()
            if first is None:
                return await _report([])
            since = max(first.created_at, now() - LOOK_BACK - MARGIN)
            bills = await self._platform.bills_since(since)
            unbilled = await self._unbilled()
            ids = [str(job.request_id) for job in unbilled if job.request_id not in bills]
            bills |= await self._platform.bills_of(ids, since)
            deltas = await self._book(bills, await _jobs_of(bills))
            await _mark_missing(job for job in unbilled if job.request_id not in bills)
            return await _report(deltas)

    async def _unbilled(self) -> list[ContentJob]:
        return await ContentJob.filter(
            is_held=False,
            billed_at=None,
            request_id__isnull=False,
            settled_at__gte=now() - LOOK_BACK,
        )

    async def _book(
        self, bills: Mapping[str, Bill], jobs: Mapping[str, ContentJob]
    ) -> Sequence[int]:
        """Adjust the jobs that were billed differently; keep the bills of no job."""
        deltas = []
        for request_id, bill in bills.items():
            job = jobs.get(request_id)
            if job is None:
                await _keep_outside(bill)
            elif not job.is_held and (job.billed_at is None or job.cost_nanos != bill.cost_nanos):
                before = job.cost_nanos or 0
                if await self._settler.adjust(job, bill.cost_nanos):
                    deltas.append(bill.cost_nanos - before)
        return deltas


async def _jobs_of(bills: Mapping[str, Bill]) -> dict[str, ContentJob]:
    """The jobs that bills belong to, by request id."""
    ids = list(bills)
    jobs: dict[str, ContentJob] = {}
    for start in range(0, len(ids), IDS_AT_ONCE):
        found = await ContentJob.filter(request_id__in=ids[start : start + IDS_AT_ONCE])
        jobs |= {str(job.request_id): job for job in found}
    # A request that was lost and found meanwhile is not outside of the bot any more.
    if jobs:
        await OutsideBill.filter(request_id__in=list(jobs)).delete()
    return jobs


async def _keep_outside(bill: Bill) -> None:
    await OutsideBill.update_or_create(
        request_id=bill.request_id,
        defaults={
            "endpoint": bill.endpoint,
            "cost_nanos": bill.cost_nanos,
            "billed_at": bill.billed_at,
        },
    )


async def _mark_missing(unbilled: Iterable[ContentJob]) -> None:
    """Mark paid jobs whose bill is late. A job that failed is often not billed at all."""
    late = [
        job.id
        for job in unbilled
        if job.cost_nanos and job.settled_at and now() - job.settled_at > EXPECTED_WITHIN
    ]
    if late:
        logger.warning("%d bills are missing after %s", len(late), EXPECTED_WITHIN)
        await ContentJob.filter(id__in=late).update(bill_missing=True)


async def _report(deltas: Sequence[int]) -> Report:
    rows = (
        await ContentJob.exclude(state__in=[JobState.HELD, JobState.SUBMITTING])
        .filter(cost_source__isnull=False)
        .annotate(count=Count("id"))
        .group_by("cost_source")
        .values("cost_source", "count")
    )
    return Report(
        jobs_by_source={CostSource(row["cost_source"]).value: row["count"] for row in rows},
        adjustments=len(deltas),
        adjusted_nanos=sum(deltas),
        missing=await ContentJob.filter(bill_missing=True, billed_at=None).count(),
        charged_nanos=await charged_nanos(),
        outside_nanos=await outside_nanos(),
        unexplained_nanos=await _unexplained(),
    )


async def _unexplained() -> int | None:
    """`balance then − charges − outside − balance now`: zero when everything is accounted for."""
    then = await BalanceReading.get_or_none(name="then")
    last = await BalanceReading.get_or_none(name="now")
    if then is None or last is None:
        return None
    charges = await charged_nanos() - then.charged_nanos
    outside = await outside_nanos() - then.outside_nanos
    return int(then.balance_nanos - charges - outside - last.balance_nanos)
