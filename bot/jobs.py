"""A job's life: start, watch, settle, resume.

    held ─▶ submitting ─▶ submitted ─▶ finished ─▶ delivered
     │           │            │
 cancelled,   unknown      failed, cancelled
   failed

Each state has one step, which does what the state needs and stores the next one. A crash, a
restart or an error between any two lines only means that the step is done again, so every step
is safe to repeat; the one that is not, the submit, is guarded by the state `submitting`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from enum import Enum, auto
from functools import partial

from tortoise.expressions import Subquery

from bot.calls import Calls, request_of
from bot.errors import BadRequest
from bot.fal.errors import AnswerLost, NotSent, Refused, Unavailable
from bot.fal.platform import Platform
from bot.fal.queue import Queue, Queued, Request
from bot.lost import look_up
from bot.orders import Offer, OrderDesk
from bot.roster import Roster
from bot.screen import Screen
from bot.settling import Settler
from db import ledger
from db.accounts import Settlement
from db.models import Access, ContentJob, JobState, Person
from db.outbox import NewNotice
from db.sql import now

logger = logging.getLogger(__name__)

SLOWEST_RETRY_SECONDS = 60.0
SUBMIT_ATTEMPTS = 4
CANCEL_ATTEMPTS = 3
# A result that took longer gets a short reply, because an edit notifies nobody.
READY_NOTICE_AFTER = timedelta(seconds=20)


class Cancelled(Enum):
    """What became of a wish to cancel."""

    DONE = auto()
    ASKED = auto()
    TOO_LATE = auto()


class _Later(Exception):
    """The step is not through; it is to be done again after so many seconds."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__()
        self.seconds = seconds


class _Stop(Exception):
    """The person cannot be reached; the end of the job waits until they write again."""


class Jobs:
    """What there is to do for a job; `roster` knows which ones this process works on."""

    def __init__(
        self,
        *,
        desk: OrderDesk,
        settler: Settler,
        queue: Queue,
        platform: Platform,
        screen: Screen,
        callback_url: str | None = None,
        callback_secret: str = "",
    ) -> None:
        self._desk = desk
        self._settler = settler
        self._queue = queue
        self._platform = platform
        self._screen = screen
        self._calls = Calls(queue, callback_url, callback_secret)
        self.roster = Roster(self._run)
        self._steps: dict[JobState, Callable[[ContentJob, Person], Awaitable[None]]] = {
            JobState.HELD: self._send,
            JobState.SUBMITTING: self._doubt,
            JobState.UNKNOWN: self._search,
            JobState.SUBMITTED: self._follow,
            JobState.FINISHED: self._deliver,
            JobState.FAILED: self._tell,
            JobState.CANCELLED: self._tell,
        }

    async def place(self, person: Person, offer: Offer) -> ContentJob:
        """Take up an offer and start on it. Raises what `OrderDesk.place` raises."""
        job = await self._desk.place(person, offer, lease_owner=self.roster.owner)
        self.roster.start(job.id, is_leased=True)
        return job

    async def resume_of(self, person_id: int) -> None:
        """Take up the jobs of a person who can be reached again."""
        for job in await ContentJob.filter(person_id=person_id, shown_at=None).only("id"):
            self.roster.start_or_repeat(job.id)

    async def cancellable(self, person_id: int) -> list[ContentJob]:
        """The jobs of a person that are not finished yet, oldest first."""
        return await ContentJob.filter(
            person_id=person_id, is_held=True, cancel_requested_at=None
        ).order_by("id")

    async def cancel(self, job_id: int, person_id: int) -> Cancelled:
        """Cancel a person's job: at once while it waits, else fal is asked to stop it."""
        asked = await ContentJob.filter(
            id=job_id, person_id=person_id, is_held=True, cancel_requested_at=None
        ).update(cancel_requested_at=now())
        if not asked:
            return Cancelled.TOO_LATE
        job = await ContentJob.get(id=job_id)
        if job.state == JobState.HELD:
            # Its own step sees the wish before it sends anything.
            return Cancelled.DONE
        if job.state != JobState.SUBMITTED:
            return Cancelled.ASKED
        return await self._cancel_submitted(job)

    async def _cancel_submitted(self, job: ContentJob) -> Cancelled:
        request = request_of(job)
        try:
            if not await self._queue.cancel(request):
                return Cancelled.TOO_LATE
            waits = isinstance(await self._queue.status(request), Queued)
        except Refused:
            waits = True  # fal does not know it any more: it was taken out of the queue
        except Unavailable:
            self.roster.restart(job.id)  # its step asks again
            return Cancelled.ASKED
        if not waits:
            return Cancelled.ASKED
        movement = await ledger.release(job.id, Settlement(JobState.CANCELLED))
        if not movement.changed:
            return Cancelled.TOO_LATE
        self.roster.restart(job.id)
        return Cancelled.DONE

    # ------------------------------------------------------------------------------ the steps

    async def _run(self, job_id: int) -> None:
        """Do the step of each state until the outcome is on the screen."""
        failures = 0
        while True:
            pause: float | None = None
            try:
                job = await ContentJob.get(id=job_id)
                if job.shown_at is not None:
                    return
                person = await Person.get(id=job.person_id)
                state = job.state
                await self._steps[state](job, person)
                failures = 0
                continue
            except _Stop:
                return
            except _Later as later:
                pause = later.seconds
            except Unavailable as error:
                logger.info("job %d: %s, trying again", job_id, error)
                pause = error.retry_after_seconds
            except Exception:
                # Whatever it is, a paid job is not given up for it.
                logger.exception("job %d: step failed, trying again", job_id)
            failures += 1
            await asyncio.sleep(max(pause or 0, min(2.0 ** (failures - 1), SLOWEST_RETRY_SECONDS)))

    async def _send(self, job: ContentJob, person: Person) -> None:
        """Show the job, hand over its picture, submit it once, as long as it is wanted."""
        if job.cancel_requested_at is not None or person.access != Access.APPROVED:
            await ledger.release(job.id, Settlement(JobState.CANCELLED))
            return
        is_shut = job.chat_id == person.id and person.blocked_at is not None
        is_new = job.status_message_id is None
        if is_shut or (is_new and not await self._screen.announce(job, person)):
            # Nothing is paid for that nobody would see.
            await self._settler.give_up(job, "blocked")
            return
        if not await self._hand_over(job):
            return
        self._screen.watch(job, person)
        # Whoever was shut out in this very moment is not paid for either.
        approved = Subquery(Person.filter(access=Access.APPROVED).values("id"))
        sent = await ContentJob.filter(
            id=job.id, state=JobState.HELD, cancel_requested_at=None, person_id__in=approved
        ).update(state=JobState.SUBMITTING, submitted_at=now())
        if sent:
            with self.roster.not_to_be_interrupted(job.id):
                await self._submit(job)

    async def _hand_over(self, job: ContentJob) -> bool:
        """Give the person's picture to fal as bytes; Telegram's URL contains the bot's token.

        False if the picture cannot be used: then the job has failed.
        """
        place = job.arguments.get(job.source_argument or "")
        if place or not (job.source_file_id and job.source_argument):
            return True
        try:
            data, content_type = await self._screen.source(job)
        except BadRequest:
            await self._settler.give_up(job, "picture")
            return False
        extension = content_type.rpartition("/")[2]
        url = await self._queue.upload(data, content_type, f"picture.{extension}")
        job.arguments = {**job.arguments, job.source_argument: url if place is None else [url]}
        await ContentJob.filter(id=job.id).update(arguments=job.arguments)
        return True

    async def _submit(self, job: ContentJob) -> None:
        for attempt in range(1, SUBMIT_ATTEMPTS + 1):
            try:
                request = await self._queue.submit(
                    job.endpoint, job.arguments, webhook_url=self._calls.url_of(job.id)
                )
            except NotSent:
                if attempt == SUBMIT_ATTEMPTS:
                    await self._settler.give_up(job, "unreachable")
                else:
                    await asyncio.sleep(2.0 ** (attempt - 1) / 2)
                continue
            except AnswerLost as error:
                logger.warning("job %d: the answer to its submit was lost (%s)", job.id, error)
                await ContentJob.filter(id=job.id, state=JobState.SUBMITTING).update(
                    state=JobState.UNKNOWN
                )
            except Refused as error:
                logger.info("job %d: fal refused it (%s)", job.id, error)
                await self._settler.give_up(job, error.reason)
            else:
                await self._accepted(job.id, request)
            return

    async def _accepted(self, job_id: int, request: Request) -> None:
        await ContentJob.filter(
            id=job_id, state__in=[JobState.SUBMITTING, JobState.UNKNOWN]
        ).update(state=JobState.SUBMITTED, **asdict(request))
        await self._settler.accepted(job_id)

    async def _doubt(self, job: ContentJob, person: Person) -> None:
        """A job found in `submitting` was left there by a crash: fal may have it or not."""
        await ContentJob.filter(id=job.id, state=JobState.SUBMITTING).update(state=JobState.UNKNOWN)

    async def _search(self, job: ContentJob, person: Person) -> None:
        """Look a lost request up until it is found, or is surely not there."""
        self._screen.watch(job, person)
        try:
            answer = await look_up(self._platform, job)
        except Refused as error:
            raise Unavailable(str(error), SLOWEST_RETRY_SECONDS) from error
        if answer.request_id is not None:
            logger.info("job %d: found at fal", job.id)
            await self._accepted(job.id, self._queue.request(job.endpoint, answer.request_id))
        elif answer.absent:
            logger.info("job %d: fal never had it", job.id)
            await self._settler.give_up(job, "lost")
        else:
            raise _Later

    async def _follow(self, job: ContentJob, person: Person) -> None:
        """Watch a request to its end, fetch the result, settle."""
        self._screen.watch(job, person)
        request = request_of(job)
        if job.cancel_requested_at is not None:
            await self._ask_to_stop(request)
        await self._calls.wait(job, request, partial(self._screen.progress, job.id))
        try:
            result = await self._queue.result(request)
        except Refused as error:
            logger.info("job %d: failed at fal (%s)", job.id, error)
            await self._settler.settle_failure(job, error)
        else:
            await self._settler.settle(job, result)
        self._calls.forget(job.id)

    async def _ask_to_stop(self, request: Request) -> None:
        """Bring a wish to fal that could not be brought at once; its result decides."""
        for attempt in range(CANCEL_ATTEMPTS):
            try:
                await self._queue.cancel(request)
            except Unavailable:
                await asyncio.sleep(min(2.0**attempt, SLOWEST_RETRY_SECONDS))
            else:
                return

    async def called_back(self, job_id: int, request_id: str, word: str) -> bool:
        """fal says that a request is complete; False if it is not the request of that job.

        The id of the job stands in the callback's URL, so that a request whose answer was lost
        is known again; by its `word` it is known not to be somebody else's.
        """
        job = await ContentJob.get_or_none(id=job_id)
        if job is None:
            return False
        if job.request_id is None and job.state in (JobState.SUBMITTING, JobState.UNKNOWN):
            if not self._calls.is_ours(job_id, word):
                return False
            await self._accepted(job.id, self._queue.request(job.endpoint, request_id))
        elif job.request_id != request_id:
            return False
        elif job.state != JobState.SUBMITTED:
            return True  # it has been settled already
        self._calls.came(job_id)
        self.roster.start(job_id, take_over=True)
        return True

    async def _deliver(self, job: ContentJob, person: Person) -> None:
        """Turn the status message into the result."""
        if not await self._screen.show(job, person):
            raise _Stop
        await self._settler.shown(job, JobState.DELIVERED, _ready_notice(job))

    async def _tell(self, job: ContentJob, person: Person) -> None:
        """Say what became of a job that has no result."""
        if not await self._screen.tell(job, person):
            raise _Stop
        await self._settler.shown(job, job.state, None)


def _ready_notice(job: ContentJob) -> NewNotice | None:
    """The short reply to a result that took long."""
    if now() - job.created_at <= READY_NOTICE_AFTER:
        return None
    content: dict[str, object] = {
        "kind": job.kind,
        "reply_to": job.status_message_id,
        "thread_id": job.thread_id,
    }
    return NewNotice(job.person_id, "ready", content, f"ready:{job.id}", chat_id=job.chat_id)
