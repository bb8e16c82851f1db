"""Keeps the status messages of running jobs up to date, without ever flooding a chat.

One loop for all of them: each round every chat gets at most one edit, of the message that has
waited longest, and only if its text changed. Telegram allows about one message a second in a
chat and twenty a minute in a group (Bot FAQ, "My bot is hitting limits").
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any

from telegram.constants import ChatAction
from telegram.error import RetryAfter, TelegramError
from telegram.ext import ExtBot

from bot.fal.queue import InProgress, Queued, Status
from bot.screen.chat import edit_text, wait_of
from bot.screen.jobwords import JobWords
from db.models import ContentJob
from db.sql import now

logger = logging.getLogger(__name__)

ROUND_SECONDS = 1.0
MESSAGE_SECONDS = 3.0
GROUP_SECONDS = 6.0
# So many messages a round in all chats, the longest waiting first, and evenly: Telegram allows
# about thirty calls a second (Bot FAQ), and who writes meanwhile is not to wait for a crowd.
MESSAGES_PER_ROUND = 15


@dataclass(slots=True)
class _View:
    job: ContentJob
    words: JobWords
    status: Status | None = None
    shown: str = ""
    # The message itself was no edit: the first one may come soon.
    shown_at: float = field(default_factory=lambda: time.monotonic() - MESSAGE_SECONDS)
    edit: asyncio.Task[None] | None = None
    said: tuple[Status | None, bool] = (None, False)

    @property
    def is_cancelling(self) -> bool:
        """Whether the person has asked to stop it."""
        return self.job.cancel_requested_at is not None

    @property
    def has_news(self) -> bool:
        """Whether there is something to show: time goes on only for what runs."""
        return isinstance(self.status, InProgress) or self.said != (self.status, self.is_cancelling)


class Painter:
    """The status messages on the screen. `run()` is its loop, until cancelled."""

    def __init__(self, bot: ExtBot[Any]) -> None:
        self._bot = bot
        self._views: dict[int, _View] = {}
        self._free_at: dict[int, float] = {}
        self._actions: set[asyncio.Task[None]] = set()

    def add(self, job: ContentJob, words: JobWords) -> None:
        """Look after the status message of a job; once is enough."""
        if job.id not in self._views:
            self._views[job.id] = _View(job, words, shown=words.waiting())

    def update(self, job_id: int, status: Status) -> None:
        """Take in what fal says."""
        view = self._views.get(job_id)
        if view is not None:
            view.status = status

    def cancelling(self, job_id: int) -> None:
        """The person has asked to stop it: say so, and take the button away."""
        view = self._views.get(job_id)
        if view is not None:
            view.job.cancel_requested_at = now()

    async def remove(self, job_id: int) -> None:
        """Look after a message no longer; an edit on its way is waited for, not overtaken."""
        view = self._views.pop(job_id, None)
        if view is not None and view.edit is not None:
            await asyncio.wait([view.edit])

    async def run(self) -> None:
        """Paint until cancelled."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            for view in self._due(time.monotonic()):
                if self._views.get(view.job.id) is view:
                    self._show(view, time.monotonic())
                await asyncio.sleep(ROUND_SECONDS / MESSAGES_PER_ROUND)

    def paint(self, moment: float) -> None:
        """One round: start the edits that are due at `moment` (monotonic seconds)."""
        for view in self._due(moment):
            self._show(view, moment)

    def _due(self, moment: float) -> list[_View]:
        """The messages of a round, one of a chat."""
        due: dict[int, _View] = {}
        for view in self._views.values():
            chat_id = view.job.chat_id
            if view.edit is not None or moment - view.shown_at < MESSAGE_SECONDS:
                continue
            if self._free_at.get(chat_id, 0.0) > moment or not view.has_news:
                continue
            if chat_id not in due or view.shown_at < due[chat_id].shown_at:
                due[chat_id] = view
        if not self._views:
            self._free_at.clear()
        return nsmallest(MESSAGES_PER_ROUND, due.values(), key=lambda view: view.shown_at)

    def _show(self, view: _View, moment: float) -> None:
        said = view.status, view.is_cancelling
        text = view.words.under_way(view.status)
        view.shown_at = moment
        if not isinstance(view.status, Queued):
            self._act(view.job)
        if text != view.shown:
            chat_id = view.job.chat_id
            self._free_at[chat_id] = moment + (GROUP_SECONDS if chat_id < 0 else ROUND_SECONDS)
            view.edit = asyncio.create_task(self._edit(view, text, said))
        else:
            view.said = said

    def _act(self, job: ContentJob) -> None:
        """Let the chat say that something is being made; Telegram shows it for five seconds."""
        action = asyncio.create_task(self._say_action(job))
        self._actions.add(action)
        action.add_done_callback(self._actions.discard)

    async def _say_action(self, job: ContentJob) -> None:
        action = ChatAction.UPLOAD_VIDEO if job.kind == "video" else ChatAction.UPLOAD_PHOTO
        with suppress(TelegramError):
            await self._bot.send_chat_action(
                job.chat_id, action, message_thread_id=job.thread_id, rate_limit_args=1
            )

    async def _edit(self, view: _View, text: str, said: tuple[Status | None, bool]) -> None:
        try:
            await edit_text(
                self._bot,
                view.job.chat_id,
                view.job.status_message_id,
                text,
                buttons=view.words.cancel_button(),
                attempts=1,
            )
            view.shown, view.said = text, said
        except RetryAfter as error:
            self._free_at[view.job.chat_id] = time.monotonic() + wait_of(error).total_seconds()
        except TelegramError as error:
            # Progress is a courtesy: what matters is told by the last edit, which is repeated.
            logger.debug("progress of job %d not shown: %s", view.job.id, type(error).__name__)
        finally:
            view.edit = None
