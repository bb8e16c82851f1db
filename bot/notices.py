"""What the bot owes people: alerts, approvals, results that are ready.

A notice is written in the transaction that causes it and sent from here, by a schedule and as
soon as there is one. Telegram offers no way to send a message exactly once: when the answer to a
send is lost, or the process dies between the send and the record of it, the notice is sent
again. An alert that comes twice is a nuisance; one that never comes costs money.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiolimiter import AsyncLimiter
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Message
from telegram.error import BadRequest, ChatMigrated, Forbidden, RetryAfter, TelegramError
from telegram.ext import ExtBot

from bot.budget import Figures, status_line
from bot.money import NANOS_PER_DOLLAR
from bot.screen.chat import mark_blocked, move_chat, send_text, wait_of
from bot.settling import ENDLESS
from bot.voice import Voice, Voices
from db.models import JobState, Notice, Person
from db.outbox import CLAIMED_FOR, claim_due
from db.sql import now

logger = logging.getLogger(__name__)

BATCH = 500
# What waits longer behind others of its chat is let go of before somebody else may take it.
IN_HAND = CLAIMED_FOR / 2
# US dollars that a person can be let in with at one press; any other is asked for.
STARTING_BUDGETS = (1, 5, 10)
SLOWEST_RETRY = timedelta(minutes=10)
# Half of the connections to Telegram: the rest is for answers.
SENDS_AT_ONCE = 128
# Bot FAQ: about 30 messages a second in all; the rest is for answers.
PACE = (25, 1)


@dataclass(frozen=True, slots=True)
class _InHand:
    """A notice that was claimed at `since` (monotonic seconds)."""

    notice: Notice
    since: float


class Notices:
    """Delivers what is due. `nudge()` does it soon, `deliver_due()` now.

    `on_sent` is told the kind of each notice that was delivered.
    """

    def __init__(
        self,
        bot: ExtBot[Any],
        voices: Voices,
        forecast: Callable[[Person], Awaitable[list[str]]],
        on_sent: Callable[[str], None],
    ) -> None:
        self._bot = bot
        self._voices = voices
        self._forecast = forecast
        self._on_sent = on_sent
        self._due = asyncio.Event()
        self._in_hand: dict[int, deque[_InHand]] = {}
        self._slots = asyncio.Semaphore(SENDS_AT_ONCE)
        self._pace = AsyncLimiter(*PACE)

    def nudge(self) -> None:
        """There may be a new notice."""
        self._due.set()

    async def run(self, interval_seconds: float) -> None:
        """Deliver on every nudge and every `interval_seconds`, until cancelled.

        A round does not wait for the one before it, in which a chat may not answer.
        """
        rounds: set[asyncio.Task[None]] = set()
        try:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._due.wait(), interval_seconds)
                self._due.clear()
                one = asyncio.create_task(self._round(), name="notices")
                rounds.add(one)
                one.add_done_callback(rounds.discard)
        finally:
            for one in rounds:
                one.cancel()
            await asyncio.gather(*rounds, return_exceptions=True)

    async def _round(self) -> None:
        try:
            await self.deliver_due()
        except Exception:
            # The notices stay in the database; the next round is soon.
            logger.exception("notices could not be delivered")

    async def deliver_due(self) -> int:
        """Send every notice that is due; return how many were closed.

        The notices of one chat go one after the other, chats do not wait for each other. What is
        due in a chat that is being written to already is left to whoever does that.
        """
        ids = await claim_due(BATCH)
        # What another round has closed since it was claimed here is not due any more.
        due = (
            await Notice.filter(id__in=ids, closed_at=None).order_by("id").select_related("person")
        )
        moment = time.monotonic()
        free = []
        for notice in due:
            if notice.chat_id not in self._in_hand:
                self._in_hand[notice.chat_id] = deque()
                free.append(notice.chat_id)
            waiting = self._in_hand[notice.chat_id]
            if all(notice.id != one.notice.id for one in waiting):
                waiting.append(_InHand(notice, moment))
        closed = await asyncio.gather(*(self._deliver_chat(chat_id) for chat_id in free))
        if len(ids) == BATCH:
            self.nudge()
        return sum(closed)

    async def _deliver_chat(self, chat_id: int) -> int:
        """Send what is in hand for a chat, until that is done or the chat has to wait."""
        waiting = self._in_hand[chat_id]
        closed = 0
        try:
            while waiting:
                notice, since = waiting[0].notice, waiting[0].since
                if time.monotonic() - since < IN_HAND.total_seconds():
                    async with self._slots:
                        wait = await self._deliver(notice)
                    if wait is not None:
                        await self._postpone([one.notice for one in waiting], wait)
                        return closed
                    closed += 1
                waiting.popleft()
        finally:
            del self._in_hand[chat_id]
        return closed

    async def _deliver(self, notice: Notice) -> timedelta | None:
        """Send one notice; if its chat has to wait, say how long."""
        person = await notice.person
        try:
            message: Message | None = await self._send(notice, person)
        except Forbidden:
            if notice.chat_id == person.id:
                await mark_blocked(person.id)
                return timedelta(0)  # that is, as soon as they write again
            logger.info("notice %d given up: its group is closed to the bot", notice.id)
            message = None
        except ChatMigrated as error:
            await move_chat(notice.chat_id, error.new_chat_id)
            return timedelta(0)
        except RetryAfter as error:
            return wait_of(error)
        except BadRequest as error:
            # Nothing will make Telegram take it (a chat that is gone): keep the row, go on.
            logger.warning("notice %d given up: %s", notice.id, error.message)
            message = None
        except TelegramError as error:
            logger.info("notice %d: %s, trying again", notice.id, type(error).__name__)
            return timedelta(seconds=2.0 ** min(notice.attempts, 12))
        if message is not None:
            self._on_sent(notice.kind)
        await Notice.filter(id=notice.id).update(
            closed_at=now(),
            message_id=message and message.message_id,
            content={},  # it may hold the name of somebody who wants to be forgotten
        )
        return None

    async def _send(self, notice: Notice, person: Person) -> Message:
        """Send one notice now. Raises Telegram's errors."""
        voice = self._voices.of(person)
        text = notice_text(notice, voice)
        if notice.kind == "alert":
            text = "\n".join([text, *await self._forecast(person)])
        reply_to = notice.content.get("reply_to")
        thread_id = notice.content.get("thread_id")
        await self._pace.acquire()
        return await send_text(
            self._bot,
            notice.chat_id,
            text,
            buttons=_buttons(notice, voice),
            thread_id=thread_id if isinstance(thread_id, int) else None,
            reply_to=reply_to if isinstance(reply_to, int) else None,
            attempts=1,
        )

    async def _postpone(self, notices: Sequence[Notice], wait: timedelta) -> None:
        """What was claimed for a chat that has to wait is due again after `wait`."""
        wait = min(wait, SLOWEST_RETRY)
        ids = [notice.id for notice in notices]
        await Notice.filter(id__in=ids).update(due_at=now() + wait)
        await Notice.filter(id=ids[0]).update(attempts=notices[0].attempts + 1)
        asyncio.get_running_loop().call_later(wait.total_seconds() + 0.01, self.nudge)


def notice_text(notice: Notice, voice: Voice) -> str:
    """The words of a notice; its `*_nanos` are amounts, the rest of its content is text."""
    content = notice.content
    if notice.kind == "alert":
        return _alert_text(content, voice)
    values = voice.with_amounts(content)
    if "username" in content:
        values["username"] = f"@{content['username']}" if content["username"] else "—"
    key = f"notice.{notice.kind}"
    if notice.kind == "ready":
        key += f"_{content.get('kind')}"
    return voice.texts(
        key, **{name: str(value) for name, value in values.items() if value is not None}
    )


def _alert_text(content: dict[str, object], voice: Voice) -> str:
    budget, remaining = content["budget_nanos"], content["remaining_nanos"]
    if not isinstance(budget, int) or not isinstance(remaining, int):
        raise TypeError("amounts are integers")
    line = status_line(Figures(budget, budget - remaining, 0, 0), voice.texts, voice.currency)
    return voice.texts("notice.alert", line=line)


def _buttons(notice: Notice, voice: Voice) -> InlineKeyboardMarkup | None:
    if notice.kind == "access_request":
        return decision_buttons(voice, str(notice.content["person_id"]))
    if notice.kind in ENDLESS.values():
        name = f"{notice.content['job']}:{notice.content.get('state', JobState.UNKNOWN.value)}"
        row = [
            InlineKeyboardButton(voice.texts.plain(f"button.{way}"), callback_data=f"{way}:{name}")
            for way in ("charge", "release")
        ]
        return InlineKeyboardMarkup([row])
    return None


def decision_buttons(voice: Voice, person_id: str) -> InlineKeyboardMarkup:
    """Approve / Deny for a person who asks to be let in, or approve with a budget to start with."""
    texts = voice.texts
    with_budget = [
        InlineKeyboardButton(
            f"✅ {voice.money(dollars * NANOS_PER_DOLLAR)}",
            callback_data=f"approve:{person_id}:{dollars}",
        )
        for dollars in STARTING_BUDGETS
    ]
    other = f"✅ {texts.plain('button.other_amount')}"
    with_budget.append(InlineKeyboardButton(other, callback_data=f"approve:{person_id}:other"))
    return InlineKeyboardMarkup(
        [
            [
                InlineKeyboardButton(
                    texts.plain("button.approve"), callback_data=f"approve:{person_id}"
                ),
                InlineKeyboardButton(texts.plain("button.deny"), callback_data=f"deny:{person_id}"),
            ],
            with_budget,
        ]
    )
