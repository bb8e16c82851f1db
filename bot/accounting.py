"""Reconciliation: the books are brought in line with fal's bills, to the nano-dollar."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tortoise.functions import Count, Sum

from bot.balance import admin_key_needed, count_anew
from bot.errors import NeedsAdminKey
from bot.fal.platform import IDS_PER_CALL, Bill, Platform
from bot.settling import Settler
from db import occasions
from db.models import BalanceReading, ContentJob, CostSource, Occasion, OutsideBill, Person
from db.sql import now

logger = logging.getLogger(__name__)

# Since its moment nobody has read fal's list of bills to its end.
UNREAD = "bills_unread"
# Jobs settled so long ago are looked up no more.
LOOK_BACK = timedelta(days=7)
# A bill that is not there after so long is marked as missing, and still looked for.
EXPECTED_WITHIN = timedelta(hours=24)
# Bills carry the time of the request, which can be a while before its job was settled.
MARGIN = timedelta(days=1)
# The clocks of fal and of this machine may differ by so much.
CLOCK_SKEW = timedelta(minutes=5)
# fal tells no bills that are older (OpenAPI, "Date range capped at 90 days").
LONGEST_SPAN = timedelta(days=89)
IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Explanation:
    """How fal's balance came to be what it is. All amounts in nano-dollars.

    `charged_nanos` and `outside_nanos` were spent between the two readings.
    """

    since: datetime
    then_nanos: int
    charged_nanos: int
    outside_nanos: int
    now_nanos: int

    @property
    def expected_nanos(self) -> int:
        """`balance then − charges − outside`: what the balance now should be."""
        return self.then_nanos - self.charged_nanos - self.outside_nanos

    @property
    def unexplained_nanos(self) -> int:
        """What is missing from the balance: zero when everything is accounted for."""
        return self.expected_nanos - self.now_nanos


@dataclass(frozen=True, slots=True)
class Report:
    """What a reconciliation found. Amounts in nano-dollars; `balance` only once it was read."""

    jobs_by_source: Mapping[str, int]
    adjustments: int
    adjusted_nanos: int
    missing: int
    charged_nanos: int
    outside_nanos: int
    balance: Explanation | None


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
        deltas: list[int] = []
        async with self._running:
            first = await ContentJob.all().order_by("id").first()
            if first is not None:
                asked_at = now()
                since = await _unread_since(first.created_at)
                with admin_key_needed():
                    await self._go_through_list(self._platform, since, deltas)
                    await self._look_up_unbilled(self._platform, deltas)
                await _mark_missing(since)
                await Occasion.update_or_create(name=UNREAD, defaults={"since": asked_at})
            return await _report(deltas)

    async def _go_through_list(
        self, platform: Platform, since: datetime, deltas: list[int]
    ) -> None:
        """Book all bills since a moment; those of no job are kept as spent outside."""
        bills = await platform.bills_since(since)
        ours, differing = await _compare(bills)
        await _keep_outside([bill for bill in bills.values() if bill.request_id not in ours])
        for job in differing:
            # Of a request from before that moment the list may have one event and not the other.
            if job.created_at >= since:
                await self._book(job, bills[str(job.request_id)], deltas)

    async def _look_up_unbilled(self, platform: Platform, deltas: list[int]) -> None:
        """Ask by its id for every bill that is still owed."""
        unbilled = await ContentJob.filter(
            is_held=False,
            billed_at=None,
            request_id__isnull=False,
            settled_at__gte=now() - LOOK_BACK,
        ).order_by("created_at")
        for start in range(0, len(unbilled), IDS_PER_CALL):
            jobs = {str(job.request_id): job for job in unbilled[start : start + IDS_PER_CALL]}
            oldest = min(job.created_at for job in jobs.values())
            since = max(oldest - CLOCK_SKEW, now() - LONGEST_SPAN)
            for request_id, bill in (await platform.bills_of(list(jobs), since)).items():
                await self._book(jobs[request_id], bill, deltas)

    async def _book(self, job: ContentJob, bill: Bill, deltas: list[int]) -> None:
        """Adjust a settled job to its bill, and note by how much that changed it."""
        if job.is_held or (job.billed_at is not None and job.cost_nanos == bill.cost_nanos):
            return
        if job.billed_at is not None:
            await count_anew()
        if await self._settler.adjust(job, bill.cost_nanos):
            deltas.append(bill.cost_nanos - (job.cost_nanos or 0))


async def _unread_since(first_job_at: datetime) -> datetime:
    """From when on fal's bills are to be read: the last days, and what nobody has read before.

    The bot may have been off, or without an admin key, since its first job.
    """
    unread = await occasions.since(UNREAD)
    since = first_job_at if unread is None else unread - LOOK_BACK - MARGIN
    return max(since, first_job_at, now() - LONGEST_SPAN)


async def _compare(bills: Mapping[str, Bill]) -> tuple[set[str], list[ContentJob]]:
    """The bills that belong to jobs, by request id, and the jobs that are not booked like that."""
    request_ids = list(bills)
    ours: set[str] = set()
    differing: list[ContentJob] = []
    for start in range(0, len(request_ids), IDS_AT_ONCE):
        ids = request_ids[start : start + IDS_AT_ONCE]
        billed = await ContentJob.filter(request_id__in=ids, billed_at__isnull=False).values_list(
            "request_id", "cost_nanos"
        )
        settled = {str(id_) for id_, nanos in billed if bills[str(id_)].cost_nanos == nanos}
        others = await ContentJob.filter(request_id__in=[id_ for id_ in ids if id_ not in settled])
        differing += others
        ours |= settled | {str(job.request_id) for job in others}
        # A request that was lost and found meanwhile is not outside of the bot any more.
        await OutsideBill.filter(request_id__in=[id_ for id_ in ids if id_ in ours]).delete()
    return ours, differing


async def _keep_outside(bills: Sequence[Bill]) -> None:
    """Keep the bills of no job that are new or have changed."""
    for start in range(0, len(bills), IDS_AT_ONCE):
        some = bills[start : start + IDS_AT_ONCE]
        kept = await OutsideBill.filter(request_id__in=[bill.request_id for bill in some])
        known = {bill.request_id: bill.cost_nanos for bill in kept}
        for bill in some:
            if bill.request_id in known and known[bill.request_id] != bill.cost_nanos:
                await count_anew()
            if known.get(bill.request_id) != bill.cost_nanos:
                await OutsideBill.update_or_create(
                    request_id=bill.request_id,
                    defaults={
                        "endpoint": bill.endpoint,
                        "cost_nanos": bill.cost_nanos,
                        "billed_at": bill.billed_at,
                    },
                )


async def _mark_missing(since: datetime) -> None:
    """Mark paid jobs whose bill is late. A job that failed is often not billed at all."""
    late = await ContentJob.filter(
        is_held=False,
        billed_at=None,
        bill_missing=False,
        cost_nanos__gt=0,
        settled_at__gte=since,
        settled_at__lt=now() - EXPECTED_WITHIN,
    ).update(bill_missing=True)
    if late:
        logger.warning("%d more bills are missing after %s", late, EXPECTED_WITHIN)


async def _report(deltas: Sequence[int]) -> Report:
    rows = (
        await ContentJob.filter(cost_source__isnull=False)
        .annotate(count=Count("id"))
        .group_by("cost_source")
        .values("cost_source", "count")
    )
    return Report(
        jobs_by_source={CostSource(row["cost_source"]).value: row["count"] for row in rows},
        adjustments=len(deltas),
        adjusted_nanos=sum(deltas),
        missing=await ContentJob.filter(bill_missing=True, billed_at=None).count(),
        charged_nanos=await _charged_nanos(),
        outside_nanos=await _outside_nanos(),
        balance=await _explanation(),
    )


async def _charged_nanos() -> int:
    """Everything that all jobs have cost so far."""
    rows = await Person.annotate(total=Sum("total_spent_nanos")).values("total")
    return int(rows[0]["total"] or 0) if rows else 0


async def _outside_nanos() -> int:
    """Everything that was billed outside of the bot so far."""
    rows = await OutsideBill.annotate(total=Sum("cost_nanos")).values("total")
    return int(rows[0]["total"] or 0) if rows else 0


async def _explanation() -> Explanation | None:
    """What lies between the two readings that are kept; None before the first.

    What belongs between them is decided by when it was spent. When the bot came to know of it
    does not matter: a bill from before the first reading can appear after it.
    """
    then = await BalanceReading.get_or_none(name="then")
    last = await BalanceReading.get_or_none(name="now")
    if then is None or last is None:
        return None
    jobs = ContentJob.filter(settled_at__gt=then.read_at, settled_at__lte=last.read_at)
    bills = OutsideBill.filter(billed_at__gt=then.read_at, billed_at__lte=last.read_at)
    charged, outside = [
        int(rows[0]["total"] or 0)
        for rows in (
            await jobs.annotate(total=Sum("cost_nanos")).values("total"),
            await bills.annotate(total=Sum("cost_nanos")).values("total"),
        )
    ]
    return Explanation(then.read_at, then.balance_nanos, charged, outside, last.balance_nanos)
