"""Looking up requests whose answer was lost, so that none is ever sent twice.

fal documents no idempotency key. What identifies a request is the `seed` that was put into its
arguments, or, for a model that takes none, all its arguments and the time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tortoise.expressions import Q

from bot.fal.errors import Unavailable
from bot.fal.platform import ListedRequest, Platform
from db.models import ContentJob, JobState
from db.sql import now

# The clocks of fal and of this machine may differ by so much.
CLOCK_SKEW = timedelta(minutes=5)
# A request that a complete list does not have so long after it was sent never reached fal: the
# list names requests once they are sent to a runner.
SURE_AFTER = timedelta(seconds=60)
# Why a job failed that fal may have had after all: nobody found it there, or an admin ended it.
GIVEN_UP = ("lost", "given_up")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the list says: the request's id, or that it is `absent`, or neither (not yet known)."""

    request_id: str | None = None
    absent: bool = False


async def look_up(platform: Platform, job: ContentJob) -> Answer:
    """Search fal's list of requests for the request of a job.

    Two that look alike are not told apart by guessing. Raises `Unavailable` or `Refused`.
    """
    sent_at = job.submitted_at
    if sent_at is None:
        raise Unavailable("the job was never sent")
    asked_at = now()
    listed = await platform.requests(job.endpoint, sent_at - CLOCK_SKEW)
    alike = [request for request in listed if _is_of(request, job, sent_at)]
    # Of one whose arguments are not told nobody knows whether it is the one.
    hidden = [one for one in listed if not one.arguments and _is_near(one, sent_at)]
    ids = [request.request_id for request in alike + hidden]
    taken = {found.request_id for found in await ContentJob.filter(request_id__in=ids)}
    free = [request for request in alike if request.request_id not in taken]
    if not free:
        is_sure = all(request.request_id in taken for request in hidden)
        return Answer(absent=is_sure and asked_at - sent_at >= SURE_AFTER)
    if len(free) == 1 and (job.seed is not None or not await _has_twin(job)):
        return Answer(request_id=free[0].request_id)
    return Answer()


def _is_of(request: ListedRequest, job: ContentJob, sent_at: datetime) -> bool:
    if job.seed is not None:
        return bool(request.arguments.get("seed") == job.seed)
    return _is_near(request, sent_at) and _plain(request.arguments) == _plain(job.arguments)


def _is_near(request: ListedRequest, sent_at: datetime) -> bool:
    return request.sent_at is None or abs(request.sent_at - sent_at) <= CLOCK_SKEW


async def _has_twin(job: ContentJob) -> bool:
    """Whether another job is looked for that has the same arguments."""
    others = await ContentJob.filter(
        Q(state=JobState.UNKNOWN) | Q(state=JobState.FAILED, error__in=GIVEN_UP),
        endpoint=job.endpoint,
        request_id=None,
    ).exclude(id=job.id)
    return any(_plain(other.arguments) == _plain(job.arguments) for other in others)


def _plain(arguments: Mapping[str, object]) -> str:
    """Arguments for comparing: one has been through JSON with exact decimals, one without."""
    return json.dumps(arguments, sort_keys=True, default=float)
