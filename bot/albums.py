"""Pictures that belong together: made by one command (`--n 3`), or sent by a person as an album.

What one command asked for are jobs of their own, each with a status message, a cost and an end, so
that none waits for another. Their origin tells that they are one album: `message:5:7`,
`message:5:7#2`, `message:5:7#3`.

An album of a person's comes as a message for each picture, of which mostly the first has the words.
"""

from __future__ import annotations

from datetime import timedelta

from bot.options import MOST_AT_ONCE
from db import occasions
from db.models import ContentJob, JobState, Occasion
from db.sql import now

KEPT = timedelta(days=7)
_NAME = "album:"


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


async def begins(media_group_id: str) -> bool:
    """Whether a person's album begins with this message: of a whole album one is answered."""
    return await occasions.begin(f"{_NAME}{media_group_id}"[:32], ())


async def forget_old() -> int:
    """Forget the albums of people, all of whose messages have come; return how many."""
    return await Occasion.filter(name__startswith=_NAME, since__lt=now() - KEPT).delete()
