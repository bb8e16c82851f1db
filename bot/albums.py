"""Several asked for by one command (`--n 3`): jobs of their own that belong together.

Each has a status message, a cost and an end of its own, so that none waits for another. That they
are one album tells their origin: `message:5:7`, `message:5:7#2`, `message:5:7#3`.
"""

from __future__ import annotations

from bot.options import MOST_AT_ONCE
from db.models import ContentJob, JobState


def origin_in_album(origin: str, number: int) -> str:
    """The origin of the `number`th (from 1) of several that `origin` asked for."""
    return origin if number == 1 else f"{origin}#{number}"


async def album_of(job: ContentJob) -> list[ContentJob]:
    """All jobs of the command that asked for this one, in their order; the job alone, mostly."""
    first = job.origin.partition("#")[0]
    origins = [origin_in_album(first, number) for number in range(1, MOST_AT_ONCE + 1)]
    return await ContentJob.filter(person_id=job.person_id, origin__in=origins).order_by("id")


def is_awaited(job: ContentJob) -> bool:
    """Whether a job of an album is on its way still.

    One that nobody knows the whereabouts of may be so for a day, which nobody waits for.
    """
    return job.shown_at is None and job.state != JobState.UNKNOWN
