"""Everything that can go wrong at Telegram × everything that can go wrong at fal.

A row is one fault of Telegram and a bot that lives through all faults of fal, one job after the
other. The faults strike where they hurt: at the message that announces a job and at the edit that
shows its end.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import pytest
from telegram.error import TimedOut

from bot.balance import LOCKED
from bot.i18n import load_texts
from bot.sandbox import Fault, Sandbox
from bot.sandbox.fal.jobs import FalRequest
from bot.sandbox.telegram import Chat
from bot.sandbox.telegram import Person as Visitor
from bot.screen.wire import AiohttpRequest
from db import occasions
from db.models import ContentJob, JobState, Person
from tests.support.fal import calls
from tests.support.running import Running, assert_books
from tests.support.waiting import eventually

BUDGET_NANOS = 10 * 10**9
ANNOUNCING = ("sendMessage",)
# The result replaces the status message, or else the reason why there is none.
ENDING = ("editMessageMedia", "editMessageText")
MEDIA = ("photo", "video", "document")


@dataclass(frozen=True, slots=True)
class AtTelegram:
    """A fault of Telegram, and the methods that it strikes, once each.

    `announced_twice`: what was done is not known to be done, so the announcement comes again.
    """

    fault: Fault
    strikes: tuple[str, ...] = (*ANNOUNCING, *ENDING)
    announced_twice: bool = False
    in_group: bool = False


@dataclass(frozen=True, slots=True)
class AtFal:
    """A fault of fal, the operation that it strikes, and the reason why the job fails, if it does.

    `is_cancelled`: somebody wants to cancel the job while it runs.
    """

    fault: Fault
    operation: str
    reason: str | None = None
    is_cancelled: bool = False


TELEGRAM = {
    "429 with retry_after": AtTelegram(Fault("flood", retry_after=7)),
    "500": AtTelegram(Fault("server_error")),
    # Whoever blocks the bot ahead of the announcement gets no job: bot/test_jobs_withdrawn.py.
    "403 blocked": AtTelegram(Fault("blocked"), ENDING),
    "400 not modified": AtTelegram(Fault("not_modified"), ENDING),
    "answer lost after acceptance": AtTelegram(Fault("answer_lost"), announced_twice=True),
    "reset before it": AtTelegram(Fault("reset")),
    "hang": AtTelegram(Fault("hang")),
    "chat migrated": AtTelegram(Fault("migrated"), ENDING, in_group=True),
    "message deleted": AtTelegram(Fault("message_deleted"), ENDING),
}
FAL = {
    "submit answer lost": AtFal(Fault("answer_lost"), "submit"),
    "429": AtFal(Fault("rate_limited"), "submit", "busy"),
    "503": AtFal(Fault("unavailable"), "submit", "fal_down"),
    "403 locked": AtFal(Fault("locked"), "submit", "account_locked"),
    "401": AtFal(Fault("unauthorized"), "submit", "key"),
    "status stream cut": AtFal(Fault("cut"), "stream"),
    "COMPLETED, then 422": AtFal(Fault("fails", status=422), "job", "policy"),
    "COMPLETED, then 500": AtFal(Fault("fails", status=500), "job", "fal_down"),
    "malformed JSON": AtFal(Fault("garbage"), "result"),
    "result without units": AtFal(Fault("no_units"), "result"),
    "media 404": AtFal(Fault("not_found"), "media"),
    "slow media": AtFal(Fault("slow", seconds=0.02), "media"),
    "cancel refused": AtFal(Fault("refused"), "cancel", is_cancelled=True),
}


class Deadline:
    """When calls of Telegram's run out of time: now, for those that hang."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._passed = asyncio.Event()
        original = AiohttpRequest.do_request
        patch.setattr(AiohttpRequest, "do_request", self._limited(original))

    def pass_(self) -> None:
        """All calls that are under way take too long."""
        self._passed.set()
        self._passed = asyncio.Event()

    def _limited(
        self, original: Callable[..., Awaitable[tuple[int, bytes]]]
    ) -> Callable[..., Awaitable[tuple[int, bytes]]]:
        async def do_request(
            wire: AiohttpRequest, url: str, *args: object, **kwargs: object
        ) -> tuple[int, bytes]:
            if url.endswith("/getUpdates"):
                return await original(wire, url, *args, **kwargs)
            call = asyncio.ensure_future(original(wire, url, *args, **kwargs))
            passed = asyncio.ensure_future(self._passed.wait())
            try:
                await asyncio.wait([call, passed], return_when=asyncio.FIRST_COMPLETED)
                if call.done():
                    return call.result()
                raise TimedOut
            finally:
                passed.cancel()
                call.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await call

        return do_request


@dataclass(slots=True)
class Row:
    """A bot, and people who each ask for one thing while one thing goes wrong at either end."""

    sandbox: Sandbox
    running: Running
    telegram: AtTelegram
    log: pytest.LogCaptureFixture
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1001))

    async def play(self, kind: str, name: str) -> None:
        """One job with one fault of fal, from the command to its end."""
        fal, at = self.sandbox.fal, FAL[name]
        number = next(self.ids)
        person = self.sandbox.telegram.person(id=number, name="Ada", language="en")
        await self.running.let_in(person, budget_nanos=BUDGET_NANOS)
        chat = person.chat
        if self.telegram.in_group:
            chat = self.sandbox.telegram.group("Studio", [person])
        strikes = {
            method: self.sandbox.telegram.faults.add(self.telegram.fault, method, chat.id)
            for method in self.telegram.strikes
        }
        strike = fal.faults.add(at.fault, at.operation)
        fal.pace = "manual" if at.is_cancelled else "instant"
        billed, submits = fal.bill_total_nanos, self._submits()

        await person.sends(f"/{kind} fox-{number}", chat)
        if at.is_cancelled:
            await self._cancelled_in_vain(person, chat)
        job = await self._end(person)

        assert strike.spent
        hit = {method for method, order in strikes.items() if order.spent}
        assert hit == {*strikes} - {ENDING[at.reason is None]}
        assert self._submits() - submits <= 1
        bill = fal.bill_total_nanos - billed
        await self._books(job, at, bill)
        self._chat(job, at, chat)
        assert [
            r.getMessage() for r in self.log.records if r.exc_info or r.levelno > logging.WARNING
        ] == []
        for book in (self.sandbox.telegram.faults, fal.faults):
            book.clear()
        # Somebody has topped the account up.
        await occasions.end(LOCKED)

    async def _cancelled_in_vain(self, person: Visitor, chat: Chat) -> None:
        """They want to cancel it while it runs; fal refuses, and goes on."""
        fal = self.sandbox.fal

        def running() -> FalRequest | None:
            return next(iter(fal.queued), None)

        while not await ContentJob.exists(person_id=person.id, state=JobState.SUBMITTED):
            await self._write_if_blocked(person)
            await asyncio.sleep(0)
        request = await fal.wait_for(running)
        fal.start(request)
        await fal.wait_for(lambda: any(call.operation == "stream" for call in fal.calls[-20:]))
        job = await ContentJob.get(person_id=person.id)
        shown = chat.message(job.status_message_id or 0)
        assert shown is not None
        query = await person.presses(shown, f"cancel:{job.id}")
        assert query.text == load_texts("en").plain("cancel.too_late")
        fal.complete(request)

    async def _end(self, person: Visitor) -> ContentJob:
        """The job of a person, once its end is in the chat."""

        async def ended() -> ContentJob | None:
            await self._write_if_blocked(person)
            return await ContentJob.get_or_none(person_id=person.id, shown_at__isnull=False)

        job = await eventually(ended, 20, "the end of the job")
        assert job is not None
        return job

    async def _write_if_blocked(self, person: Visitor) -> None:
        """Whoever blocked the bot finds out that something is missing, and writes again."""
        if await Person.exists(id=person.id, blocked_at__isnull=False):
            await person.sends("/help")

            async def heard() -> bool:
                return await Person.exists(id=person.id, blocked_at=None)

            await eventually(heard, 20, "that they write again")

    async def _books(self, job: ContentJob, at: AtFal, bill: int) -> None:
        """The job is where it belongs, the books hold, and the bill is theirs."""
        person = await Person.get(id=job.person_id)
        state = JobState.DELIVERED if at.reason is None else JobState.FAILED
        assert (job.state, job.error) == (state, at.reason)
        assert person.total_spent_nanos == person.spent_nanos == job.cost_nanos == bill
        assert (bill > 0) == (at.reason is None)
        assert (person.held_nanos, person.active_jobs) == (0, 0)
        await assert_books(self.running.connection)

    def _chat(self, job: ContentJob, at: AtFal, chat: Chat) -> None:
        """The result is there once, or one sentence that says why there is none."""
        chat = chat.migrated_to or chat
        about = [message for message in chat.from_bot if f"fox-{job.person_id}" in message.text]
        [end] = [message for message in about if message.id == job.status_message_id]
        media = [message for message in about if message.kind in MEDIA]
        if at.reason is None:
            assert media == [end]
        else:
            assert media == []
            assert end.text.splitlines()[0] == load_texts("en").plain(f"failed.{at.reason}")
        assert not [b for b in end.buttons if b.get("callback_data", "").startswith("cancel")]
        assert len(about) == (2 if self.telegram.announced_twice else 1)

    def _submits(self) -> int:
        return calls(self.sandbox.fal, "submit")


@asynccontextmanager
async def time_runs_out(sandbox: Sandbox, deadline: Deadline) -> AsyncIterator[None]:
    """Whatever Telegram leaves hanging has waited long enough as soon as it hangs."""
    world = sandbox.telegram

    def more_hang_than(count: int) -> bool:
        return sum(call.fault == "hang" for call in world.calls) > count

    async def watch() -> None:
        for count in itertools.count():
            await world.wait_for(partial(more_hang_than, count), 60)
            deadline.pass_()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])
