"""Who commands faster than a person can is told once, and nobody else is kept waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Message
from tests.handlers.bench import Bench, bench
from tests.support.running import let_in

TOO_FAST = "That is more than I can keep up with. Please wait a minute."


@pytest.fixture
async def slow(sandbox: Sandbox, database_url: str) -> AsyncIterator[Bench]:
    """A bot that takes three commands a minute from one person."""
    async with bench(sandbox, database_url, commands_per_minute=3) as made:
        yield made


def texts(messages: list[Message]) -> list[str]:
    return [message.text for message in messages]


async def test_a_member_who_hurries_is_told_once_and_then_left_unanswered(slow: Bench) -> None:
    bea = slow.telegram.person(id=701, name="Bea", language="en")
    carl = slow.telegram.person(id=702, name="Carl", language="en")
    await let_in(bea, budget_nanos=10**9)
    await let_in(carl)
    for number in range(1, 4):
        [said] = await slow.hears_of(bea, f"/setbudget {number}")
        assert said.text.startswith("✅")
    assert texts(await slow.hears_of(bea, "/setbudget 4")) == [TOO_FAST]
    assert await slow.hears_of(bea, "/setbudget 5") == []
    query = await slow.feels(bea, said, "csv")
    assert query.answers
    assert query.text is None
    [said] = await slow.hears_of(carl, "/setbudget 9")
    assert said.text.startswith("✅")


async def test_a_stranger_who_hurries_is_told_once_too(slow: Bench) -> None:
    mal = slow.telegram.person(id=666, name="Mal", language="en")
    for _ in range(3):
        [said] = await slow.hears_of(mal, "let me in")
        assert said.text.startswith("This bot is private.")
    assert texts(await slow.hears_of(mal, "let me in")) == [TOO_FAST]
    for text in ("/start", "/help", "please"):
        assert await slow.hears_of(mal, text) == []
