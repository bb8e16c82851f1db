"""Many small questions as one: whoever asks while a statement is under way shares the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST_AT_ONCE = 100
# What is written down when a person has their answer already. Only their next message waits for
# it; after a crash before it is written their last one is answered again.
AFTERWARDS_SECONDS = 0.02


class Together(Generic[T, R]):
    """Hands what many callers bring to `work`, some at a time, and to each its own answer.

    `work` returns an answer for each of the items, in their order. A commit waits for the disk and
    a statement for the database's thread, and both cost about the same for one row as for many.
    When `work` fails for several, each is tried alone, so that nobody suffers for another.
    What nobody waits for can be gathered for `gather_seconds` before it is handed over.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        gather_seconds: float = 0.0,
    ) -> None:
        self._work = work
        self._gather_seconds = gather_seconds
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """The answer for `item`. Raises what `work` raises."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        batch: list[tuple[T, asyncio.Future[R]]] = []
        try:
            while self._waiting:
                if self._gather_seconds:
                    await asyncio.sleep(self._gather_seconds)
                batch = self._waiting[:MOST_AT_ONCE]
                del self._waiting[:MOST_AT_ONCE]
                await self._answer(batch)
        finally:
            self._task = None
            # Cancelled in the middle: who waits now would wait for ever.
            for _, answer in (*batch, *self._waiting):
                answer.cancel()
            self._waiting.clear()

    async def _answer(self, batch: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            answers = await self._work([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - handed to who asked
            if len(batch) > 1:
                for one in batch:
                    await self._answer([one])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, answer), value in zip(batch, answers, strict=True):
            if not answer.done():
                answer.set_result(value)
