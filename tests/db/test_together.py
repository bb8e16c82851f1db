"""Many small questions as one statement: each gets its own answer, and its own error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from db.together import MOST_AT_ONCE, Together


class Doubling:
    """Doubles numbers, slowly; refuses 13."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go_on = asyncio.Event()

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        await self.go_on.wait()
        if 13 in numbers:
            raise ValueError("13")
        return [2 * number for number in numbers]


async def test_who_asks_while_others_wait_shares_the_next_statement() -> None:
    work = Doubling()
    double = Together(work)
    first = asyncio.gather(double(1), double(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.gather(double(3), double(4))
    await asyncio.sleep(0)
    work.go_on.set()
    assert list(await first) == [2, 4]
    assert list(await second) == [6, 8]
    assert work.batches == [[1, 2], [3, 4]]
    assert await double(5) == 10


async def test_a_statement_does_not_grow_without_end() -> None:
    work = Doubling()
    work.go_on.set()
    double = Together(work)
    numbers = range(100, 100 + 2 * MOST_AT_ONCE + 1)
    doubled = await asyncio.gather(*map(double, numbers))
    assert doubled == [2 * number for number in numbers]
    assert [len(batch) for batch in work.batches] == [MOST_AT_ONCE, MOST_AT_ONCE, 1]


async def test_nobody_suffers_for_the_error_of_another() -> None:
    work = Doubling()
    work.go_on.set()
    double = Together(work)
    answers = await asyncio.gather(*map(double, (12, 13, 14)), return_exceptions=True)
    assert (answers[0], answers[2]) == (24, 28)
    assert isinstance(answers[1], ValueError)


async def test_who_gives_up_waiting_keeps_nobody_from_an_answer() -> None:
    work = Doubling()
    double = Together(work)
    given_up = asyncio.create_task(double(1))
    patient = asyncio.create_task(double(2))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    work.go_on.set()
    assert await patient == 4
    with pytest.raises(asyncio.CancelledError):
        await given_up


async def test_what_can_wait_is_gathered_for_a_moment() -> None:
    work = Doubling()
    work.go_on.set()
    double = Together(work, gather_seconds=0.01)
    first = asyncio.create_task(double(1))
    for _ in range(3):
        await asyncio.sleep(0)
    assert list(await asyncio.gather(double(2), first)) == [4, 2]
    assert work.batches == [[1, 2]]


async def test_nobody_waits_for_ever_for_work_that_was_cancelled() -> None:
    work = Doubling()
    double = Together(work)
    asked = [asyncio.create_task(double(number)) for number in (1, 2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert work.batches == [[1, 2]]
    asked.append(asyncio.create_task(double(3)))
    await asyncio.sleep(0)
    assert double._task is not None
    double._task.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 3
    work.go_on.set()
    assert await double(4) == 8
