"""People who write, and write again when they are answered."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Person

FIRST_ID = 1_000_001
ANSWERED_WITHIN_SECONDS = 120.0


class Crowd:
    """People with the ids from `FIRST_ID` on, in private chats with the bot."""

    def __init__(self, sandbox: Sandbox, count: int) -> None:
        self._telegram = sandbox.telegram
        self._people: deque[Person] = deque(
            self._telegram.person(id=FIRST_ID + i, name=f"P{i}", username=f"p{i}", started=True)
            for i in range(count)
        )
        self._sent_at: dict[int, float] = {}
        self._waits: list[float] = []
        self._free = asyncio.Semaphore(0)

    async def hears(self, text: str, answers: int, at_once: int) -> list[float]:
        """Write `text` so many times, `at_once` of them unanswered; the seconds of each answer."""
        self._waits = []
        self._free = asyncio.Semaphore(at_once)
        with self._listening():
            for _ in range(answers):
                await self._free.acquire()
                person = self._people.popleft()
                self._sent_at[person.id] = time.perf_counter()
                await person.sends(text)
            await self._telegram.wait_for(
                lambda: not self._sent_at, ANSWERED_WITHIN_SECONDS, f"an answer to {text}"
            )
        self._forget()
        return self._waits

    async def hears_evenly(self, text: str, answers: int, per_second: float) -> list[float]:
        """Write `text` at a steady pace, whether answered or not; the seconds of each answer."""
        self._waits = []
        with self._listening():
            begin = time.perf_counter()
            for number in range(answers):
                await asyncio.sleep(max(0.0, begin + number / per_second - time.perf_counter()))
                person = self._people.popleft()
                self._sent_at[person.id] = time.perf_counter()
                await person.sends(text)
            await self._telegram.wait_for(
                lambda: not self._sent_at, ANSWERED_WITHIN_SECONDS, f"an answer to {text}"
            )
        self._forget()
        return self._waits

    @contextmanager
    def _listening(self) -> Iterator[None]:
        stop = self._telegram.changes.listen(self._heard)
        try:
            yield
        finally:
            stop()

    def _heard(self, event: dict[str, Any]) -> None:
        chat_id = event.get("chat_id")
        if event["type"] != "message" or chat_id not in self._sent_at:
            return
        person = self._telegram.people[chat_id]
        if not person.chat.messages[-1].from_bot:
            return
        self._waits.append(time.perf_counter() - self._sent_at.pop(chat_id))
        self._people.append(person)
        self._free.release()

    def _forget(self) -> None:
        """The stand-in keeps all that was ever said; nobody reads it here."""
        self._telegram.calls.clear()
        for person in self._people:
            del person.chat.messages[:-1]
