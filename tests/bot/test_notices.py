"""What the bot owes people reaches them once, in its time, and never at the cost of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import pytest
from telegram.error import RetryAfter
from telegram.ext import ExtBot

from bot import notices as room
from bot.metrics import Metrics
from bot.money import Currency
from bot.notices import Notices
from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Person, TelegramWorld
from bot.screen import flood
from bot.screen.flood import PerChatLimiter
from bot.screen.wire import telegram_request
from bot.voice import Voices
from db import outbox, sql
from db.connection import connect, migrate
from db.models import Notice
from db.models import Person as StoredPerson
from db.outbox import NewNotice, write_notices_now
from tests.support.running import let_in


class Time:
    """What the notices, and the limits of the chats, take for the present."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return sql.now() + self.ahead

    def monotonic(self) -> float:
        return monotonic() + self.ahead.total_seconds()

    def pass_(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(room, "now", made.now)
    monkeypatch.setattr(outbox, "now", made.now)
    monkeypatch.setattr(flood, "time", made)
    return made


@pytest.fixture
async def notices(
    sandbox: Sandbox, database_url: str, time: Time, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Notices]:
    """The deliverer alone, with a database and the sandbox; the test says when it is time."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    url = sandbox.environment()["TELEGRAM_API_URL"]
    metrics = Metrics()
    bot: ExtBot[Any] = ExtBot(
        sandbox.telegram.token,
        base_url=f"{url}/bot",
        base_file_url=f"{url}/file/bot",
        request=telegram_request(),
        get_updates_request=telegram_request(),
        rate_limiter=PerChatLimiter(metrics.telegram_error),
    )

    async def forecast(person: StoredPerson) -> list[str]:
        return ["a forecast"]

    async with connect(database_url) as connection, bot:
        await migrate(connection)
        yield Notices(bot, Voices("en", Currency()), forecast, metrics.notice_sent)


async def owe(*people: Person, kind: str = "approved", count: int = 1) -> None:
    await write_notices_now([NewNotice(one.id, kind, {}) for one in people for _ in range(count)])


async def due_in(person: Person, time: Time) -> float:
    """After how many seconds the oldest open notice of a person is due."""
    notice = await Notice.filter(person_id=person.id, closed_at=None).order_by("id").first()
    assert notice is not None
    seconds: float = (notice.due_at - time.now()).total_seconds()
    return seconds


def people(world: TelegramWorld, count: int) -> list[Person]:
    return [world.person(id=2000 + number, started=True) for number in range(count)]


# ------------------------------------------------------------------------------------- once


async def test_a_notice_is_delivered_once_and_remembers_its_message(
    notices: Notices, ada: Person
) -> None:
    await let_in(ada)
    await owe(ada)
    assert await notices.deliver_due() == 1
    assert await notices.deliver_due() == 0
    [message] = ada.chat.from_bot
    notice = await Notice.get()
    assert notice.message_id == message.id
    assert notice.closed_at is not None
    assert message.text.startswith("🎉 You are in!")


async def test_two_that_deliver_at_once_send_each_notice_once(
    notices: Notices, world: TelegramWorld
) -> None:
    everyone = people(world, 5)
    for person in everyone:
        await let_in(person)
    await owe(*everyone, count=3)
    await asyncio.gather(*(notices.deliver_due() for _ in range(3)))
    assert [len(person.chat.from_bot) for person in everyone] == [3] * 5
    assert len(world.called("sendMessage")) == 15


async def test_what_a_dead_process_has_taken_is_due_again(
    notices: Notices, ada: Person, time: Time
) -> None:
    await let_in(ada)
    await owe(ada)
    assert len(await outbox.claim_due(10)) == 1  # and dies
    assert await notices.deliver_due() == 0
    time.pass_(outbox.CLAIMED_FOR.total_seconds() + 1)
    assert await notices.deliver_due() == 1


async def test_more_than_a_batch_is_delivered_in_several_rounds(
    notices: Notices, world: TelegramWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BATCH", 2)
    everyone = people(world, 5)
    for person in everyone:
        await let_in(person)
    await owe(*everyone)
    working = asyncio.create_task(notices.run(interval_seconds=3600))
    notices.nudge()
    await world.wait_for(lambda: all(person.chat.from_bot for person in everyone))
    working.cancel()
    await asyncio.wait([working])


async def test_a_schedule_delivers_what_nobody_nudged_for(notices: Notices, ada: Person) -> None:
    await let_in(ada)
    await owe(ada)
    working = asyncio.create_task(notices.run(interval_seconds=0.01))
    await ada.chat.wait_for_text("You are in")
    working.cancel()
    await asyncio.wait([working])


async def test_a_database_that_fails_for_a_moment_does_not_end_the_schedule(
    notices: Notices, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await let_in(ada)
    await owe(ada)
    failures = [OSError("gone"), OSError("gone")]
    claim = outbox.claim_due

    async def failing(limit: int) -> list[int]:
        if failures:
            raise failures.pop()
        return await claim(limit)

    monkeypatch.setattr(room, "claim_due", failing)
    working = asyncio.create_task(notices.run(interval_seconds=0.01))
    await ada.chat.wait_for_text("You are in")
    working.cancel()
    await asyncio.wait([working])


# ----------------------------------------------------------------------- what is in the way


async def test_flood_control_for_one_chat_delays_no_other(
    notices: Notices, world: TelegramWorld, ada: Person, time: Time
) -> None:
    everyone = people(world, 4)
    for person in (ada, *everyone):
        await let_in(person)
    world.faults.add(Fault("flood", retry_after=25), "sendMessage", ada.id)
    await owe(ada, *everyone, count=2)
    async with asyncio.timeout(20):
        assert await notices.deliver_due() == 8
    assert ada.chat.from_bot == []
    assert [len(person.chat.from_bot) for person in everyone] == [2] * 4
    assert 20 < await due_in(ada, time) <= 25
    assert await notices.deliver_due() == 0


async def test_a_chat_that_does_not_answer_delays_no_other(
    notices: Notices, world: TelegramWorld, ada: Person
) -> None:
    bob = world.person(id=2000, started=True)
    await let_in(ada)
    await let_in(bob)
    world.faults.add("hang", "sendMessage", ada.id)
    working = asyncio.create_task(notices.run(interval_seconds=3600))
    await owe(ada)
    notices.nudge()
    await world.wait_for(lambda: world.called("sendMessage"), what="the call that hangs")
    await owe(bob)
    notices.nudge()
    await bob.chat.wait_for_text("You are in")
    assert ada.chat.from_bot == []
    working.cancel()
    await asyncio.wait([working])


async def test_a_chat_that_was_told_to_wait_keeps_nobodys_place(
    notices: Notices,
    world: TelegramWorld,
    ada: Person,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was told when it was answered, and does not have to be told again."""
    monkeypatch.setattr(notices, "_slots", asyncio.Semaphore(1))
    bob = world.person(id=2000, started=True)
    await let_in(ada)
    await let_in(bob)
    world.faults.add(Fault("flood", retry_after=25), "sendMessage", ada.id)
    with pytest.raises(RetryAfter):
        await notices._bot.send_message(ada.id, "an answer", rate_limit_args=1)
    await owe(ada, bob)
    async with asyncio.timeout(20):
        assert await notices.deliver_due() == 1
    assert (len(ada.chat.from_bot), len(bob.chat.from_bot)) == (0, 1)
    assert 20 < await due_in(ada, time) <= 25
    assert len(world.called("sendMessage")) == 2


async def test_what_comes_while_a_chat_is_written_to_comes_after_it(
    notices: Notices, world: TelegramWorld, ada: Person
) -> None:
    await let_in(ada)
    world.faults.add("hang", "sendMessage", ada.id)
    await owe(ada, kind="approved")
    first = asyncio.create_task(notices.deliver_due())
    await world.wait_for(lambda: world.called("sendMessage"), what="the call that hangs")
    await owe(ada, kind="denied")
    assert await notices.deliver_due() == 0
    assert len(world.called("sendMessage")) == 1
    world.faults.release()
    assert await first == 0  # nobody knows: both are due again, in their order
    assert await Notice.filter(closed_at=None).count() == 2


async def test_what_waited_too_long_in_hand_is_left_to_whoever_takes_it_next(
    notices: Notices, world: TelegramWorld, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await let_in(ada)
    await owe(ada, count=2)
    monkeypatch.setattr(room, "IN_HAND", timedelta(0))
    assert await notices.deliver_due() == 0
    assert world.called("sendMessage") == []
    assert await Notice.filter(closed_at=None).count() == 2


async def test_after_flood_control_the_notices_come_in_their_order(
    notices: Notices, world: TelegramWorld, ada: Person, time: Time
) -> None:
    await let_in(ada)
    world.faults.add(Fault("flood", retry_after=1), "sendMessage", ada.id)
    await owe(ada, kind="approved")
    await owe(ada, kind="denied")
    assert await notices.deliver_due() == 0
    time.pass_(2)
    assert await notices.deliver_due() == 2
    assert ["You are in" in m.text for m in ada.chat.from_bot] == [True, False]


@pytest.mark.parametrize("kind", ["server_error", "bad_gateway", "reset"])
async def test_what_fails_is_tried_again_ever_more_slowly(
    notices: Notices, world: TelegramWorld, ada: Person, time: Time, kind: str
) -> None:
    await let_in(ada)
    order = world.faults.add(kind, "sendMessage", times=4)
    await owe(ada)
    waits = []
    while not order.spent:
        assert await notices.deliver_due() == 0
        waits.append(round(await due_in(ada, time)))
        time.pass_(waits[-1] + 1)
    assert waits == [1, 2, 4, 8]
    assert await notices.deliver_due() == 1
    assert len(ada.chat.from_bot) == 1


async def test_a_retry_is_never_more_than_ten_minutes_away(
    notices: Notices, world: TelegramWorld, ada: Person, time: Time
) -> None:
    await let_in(ada)
    await owe(ada)
    await Notice.all().update(attempts=1000)
    world.faults.add("server_error", "sendMessage")
    await notices.deliver_due()
    assert 590 < await due_in(ada, time) <= 600


async def test_when_the_answer_is_lost_an_alert_rather_comes_twice_than_never(
    notices: Notices, world: TelegramWorld, ada: Person, time: Time
) -> None:
    await let_in(ada)
    world.faults.add("answer_lost", "sendMessage")
    await owe(ada)
    assert await notices.deliver_due() == 0
    time.pass_(2)
    assert await notices.deliver_due() == 1
    assert len(ada.chat.from_bot) == 2


async def test_who_blocked_the_bot_is_left_alone_until_they_write_again(
    notices: Notices, world: TelegramWorld, ada: Person, time: Time
) -> None:
    await let_in(ada)
    ada.blocks_bot()
    await owe(ada, count=2)
    assert await notices.deliver_due() == 0
    assert (await StoredPerson.get(id=ada.id)).blocked_at is not None
    time.pass_(24 * 60 * 60)
    assert await notices.deliver_due() == 0
    assert len(world.called("sendMessage")) == 1

    ada.unblocks_bot()
    await StoredPerson.filter(id=ada.id).update(blocked_at=None)  # they have written
    assert await notices.deliver_due() == 2


async def test_a_chat_that_moved_gets_its_notices_at_its_new_place(
    notices: Notices, world: TelegramWorld, ada: Person, time: Time
) -> None:
    await let_in(ada)
    group = world.group("Studio", [ada])
    await write_notices_now(
        [NewNotice(ada.id, "ready", {"kind": "image"}, chat_id=group.id) for _ in range(2)]
    )
    moved = world.migrate(group)
    assert await notices.deliver_due() == 0
    assert await notices.deliver_due() == 2
    assert len(moved.from_bot) == 2
    assert group.from_bot == []


@pytest.mark.parametrize("case", ["gone", "closed"])
async def test_a_chat_that_is_gone_is_given_up_and_keeps_nothing_else_back(
    notices: Notices, world: TelegramWorld, ada: Person, case: str
) -> None:
    await let_in(ada)
    group = world.group("Studio", [ada])
    chat_id = -4004 if case == "gone" else group.id
    group.bot_inside = case == "gone"
    await write_notices_now(
        [
            NewNotice(ada.id, "ready", {"kind": "image"}, chat_id=chat_id),
            NewNotice(ada.id, "approved", {}),
        ]
    )
    assert await notices.deliver_due() == 2
    lost = await Notice.get(kind="ready")
    assert (lost.message_id, lost.closed_at is None) == (None, False)
    assert len(ada.chat.from_bot) == 1
    assert (await StoredPerson.get(id=ada.id)).blocked_at is None
