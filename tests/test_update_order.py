"""Updates: acted on once, in the order in which a person sent them, none waiting for another's."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from telegram import Bot

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Person as Visitor
from bot.screen.updates import PollingRequest, readable
from db import updates
from db.connection import STORAGE_ERRORS
from db.models import ContentJob, EntryKind, LedgerEntry, Person, SeenUpdate
from tests.handlers.house import House
from tests.support.running import assert_books, running_bot
from tests.support.waiting import eventually

HELP = "Making things"


@pytest.fixture
async def house(sandbox: Sandbox, database_url: str) -> AsyncIterator[House]:
    async with running_bot(sandbox, database_url, commands_per_minute=1000) as running:
        yield House(sandbox, running)
        await assert_books(running.connection)


@pytest.mark.postgres_only
async def test_a_command_is_answered_although_the_database_went_away_in_the_middle(
    house: House, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.screen.updates.AGAIN_SECONDS", 0.01)
    ada = await house.member("Ada")
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE person IN ACCESS EXCLUSIVE MODE")
            await ada.sends("/setbudget 5")

            async def waits() -> bool:
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                return bool(await other.fetchval(waiting))

            await eventually(waits, what="the bot waits for the table")
            await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert "is now $5.00" in (await ada.chat.next_message()).text
    finally:
        await other.close()
    await assert_heard_nothing_else(house, ada)
    assert (await Person.get(id=ada.id)).budget_number == 1


class Copies:
    """Keeps what is sent to the bot, to send it again."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._kept: list[dict[str, Any]] = []

    async def sends(self, person: Visitor, text: str) -> None:
        await person.sends(text)
        self.keep()

    def keep(self) -> None:
        self._kept.append(copy.deepcopy(self._house.telegram.updates.pending[-1]))

    async def come_again(self) -> None:
        """All of it once more, as after an answer of the bot that Telegram did not get."""
        telegram = self._house.telegram
        for update in self._kept:
            # An update that was confirmed is delivered only to who is asking at that moment.
            if self._house.running._task is not None:
                await telegram.wait_for(lambda: telegram.updates.polling)
            telegram.push_update(copy.deepcopy(update))


async def assert_heard_nothing_else(house: House, person: Visitor) -> None:
    """What this person sends next is answered next: nothing else was in between."""
    assert (await house.says(person, "/help")).startswith(HELP)


async def test_an_update_that_comes_twice_is_acted_on_once(house: House) -> None:
    bea = await house.member(dollars="1")
    copies = Copies(house)
    await copies.sends(bea, "/setbudget 2")
    assert (await bea.chat.next_message()).text.startswith("✅ Your budget is now $2.00.")
    await copies.sends(bea, "/image a red fox")
    await bea.chat.next_message()
    await bea.chat.wait_for_media()
    await copies.come_again()
    await copies.come_again()
    await assert_heard_nothing_else(house, bea)
    assert len(house.fal.requests) == 1
    assert await LedgerEntry.filter(person_id=bea.id, kind=EntryKind.BUDGET).count() == 2


async def test_also_when_the_bot_was_started_anew_in_between(house: House) -> None:
    bea = await house.member(dollars="1")
    copies = Copies(house)
    await copies.sends(bea, "/setbudget 2")
    await bea.chat.next_message()
    await copies.sends(bea, "/image a red fox")
    await bea.chat.next_message()
    await bea.chat.wait_for_media()
    await house.telegram.wait_until_heard()
    await house.running.stop()
    await copies.come_again()
    await house.running.start()
    await assert_heard_nothing_else(house, bea)
    assert len(house.fal.requests) == 1
    assert (await house.figures(bea)).budget_number == 2


async def test_a_record_that_was_lost_costs_nothing(house: House) -> None:
    """The process died after it had acted and before it could say so."""
    bea = await house.member(dollars="1")
    copies = Copies(house)
    await copies.sends(bea, "/setbudget 2")
    await bea.chat.next_message()
    await copies.sends(bea, "/image a red fox")
    await bea.chat.next_message()
    picture = await bea.chat.wait_for_media()
    await bea.presses(picture, "🔁 Again", wait=False)
    copies.keep()
    await house.fal.wait_for_requests(2)
    await bea.chat.wait_for_media(after=picture)
    await house.running.stop()
    spent = (await house.figures(bea)).spent_nanos
    await SeenUpdate.all().delete()
    await copies.come_again()
    await house.running.start()
    await house.telegram.wait_until_heard()
    await bea.sends("/help")
    await bea.chat.wait_for_text(HELP)
    assert len(house.fal.requests) == 2
    assert await ContentJob.all().count() == 2
    person = await house.figures(bea)
    assert (person.budget_number, person.spent_nanos) == (2, spent)


async def test_an_update_that_was_taken_and_left_is_acted_on_by_the_next_start(
    house: House,
) -> None:
    bea = await house.member(dollars="1")
    await house.running.stop()
    await bea.sends("/setbudget 3")
    update = house.telegram.updates.pending.pop()
    assert await updates.take(update["update_id"], update)
    await house.running.start()
    assert (await bea.chat.next_message()).text.startswith("✅ Your budget is now $3.00.")
    await assert_heard_nothing_else(house, bea)


async def test_an_update_that_cannot_be_read_stops_nobody_now_or_later(house: House) -> None:
    """As from a Bot API server of another version: a poll without the fields it must have."""
    bea = await house.member(dollars="1")
    chat = {"id": bea.id, "type": "private"}

    def sender(wrong_id: object) -> dict[str, object]:
        return {"id": wrong_id, "is_bot": False, "first_name": "Mal"}

    poll = {"message_id": 5, "date": 1, "chat": chat, "poll": {"id": "1"}}
    numbers = [
        house.telegram.push_update(dict(unreadable))["update_id"]
        for unreadable in (
            {"message": poll},
            {"message": 5},
            {"callback_query": {"id": "1"}},
            {
                "message": {
                    "message_id": 6,
                    "date": 1,
                    "chat": chat,
                    "from": sender([]),
                    "text": "x",
                }
            },
            {"message": {"message_id": 7, "date": 1, "chat": chat, "from": sender("7")}},
        )
    ]
    await assert_heard_nothing_else(house, bea)
    await house.telegram.wait_until_heard()
    await house.running.stop()
    await house.running.start()
    await assert_heard_nothing_else(house, bea)
    assert await SeenUpdate.filter(id__in=numbers, body=None).count() == len(numbers)


async def test_an_update_that_can_be_neither_read_nor_marked_stops_nobody(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bea = await house.member(dollars="1")

    async def away(update_ids: object) -> list[None]:
        raise STORAGE_ERRORS[0]("the database went away")

    monkeypatch.setattr(updates, "mark_done", away)
    number = house.telegram.push_update({"message": 5})["update_id"]
    await assert_heard_nothing_else(house, bea)
    assert await SeenUpdate.filter(id=number).exclude(body=None).exists()
    assert (await house.says(bea, "/help")).startswith(HELP)


async def test_of_several_updates_the_highest_number_is_confirmed(house: House) -> None:
    """Bot API, `getUpdates`: the offset is one more than the highest that was received."""
    arrived: list[dict[str, object]] = [{"update_id": number} for number in (9_000_002, 9_000_001)]
    body = json.dumps({"ok": True, "result": arrived}).encode()
    new, told = await PollingRequest()._kept(body)
    assert (new, json.loads(told)["result"]) == (arrived, [{"update_id": 9_000_002}])
    new, told = await PollingRequest()._kept(body)
    assert (new, json.loads(told)["result"]) == ([], [{"update_id": 9_000_002}])


@pytest.mark.parametrize("number", ["9", None, True, -1])
async def test_updates_without_a_number_do_not_end_the_asking(house: House, number: object) -> None:
    body = json.dumps({"ok": True, "result": [{"update_id": number}]}).encode()
    new, told = await PollingRequest()._kept(body)
    assert (new, json.loads(told)["result"]) == ([], [])


async def test_all_that_was_taken_and_left_is_acted_on_by_the_next_start(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bea = await house.member(dollars="1")
    await house.running.stop()
    monkeypatch.setattr("db.updates.MOST_AT_ONCE", 2)
    for amount in range(2, 7):
        await bea.sends(f"/setbudget {amount}")
        update = house.telegram.updates.pending.pop()
        assert await updates.take(update["update_id"], update)
    await house.running.start()
    await bea.chat.wait_for_text(r"is now \$6.00")


async def test_what_a_person_sends_is_done_in_that_order(house: House) -> None:
    bea, carl = await house.member(), await house.member("Carl", 702)
    for number in range(1, 21):
        for person in (bea, carl):
            await person.sends(f"/setbudget {number}")
    for person in (bea, carl):
        for number in range(1, 21):
            said = (await person.chat.next_message()).text
            assert said.startswith(f"✅ Your budget is now ${number}.00."), number
        assert (await Person.get(id=person.id)).budget_nanos == 20 * 10**9


async def test_one_person_who_waits_keeps_nobody_else_waiting(house: House) -> None:
    bea, carl = await house.member(), await house.member("Carl", 702)
    house.telegram.faults.add("hang", "sendMessage", bea.id)
    await bea.sends("/budget")
    await house.telegram.wait_for(lambda: house.telegram.called("sendMessage"))
    await bea.sends("/help")
    for _ in range(5):
        assert (await house.says(carl, "/help")).startswith(HELP)
    assert bea.chat.from_bot == []
    house.telegram.faults.release()
    # Nobody knows whether the first answer was shown; the second comes after it.
    await bea.chat.wait_for_text(HELP)


async def test_many_people_at_once_are_all_answered_once(house: House) -> None:
    crowd = [await house.member(f"P{number}", 1000 + number) for number in range(40)]
    for person in crowd:
        await person.sends("/setbudget 1")
        await person.sends("/setbudget 2")
    for person in crowd:
        for amount in ("$1.00", "$2.00"):
            said = (await person.chat.next_message()).text
            assert said.startswith(f"✅ Your budget is now {amount}.")
    assert await LedgerEntry.filter(kind=EntryKind.BUDGET).count() == 80


def test_half_a_sign_that_no_wire_carries_is_replaced() -> None:
    chat = {"id": 1, "type": "private"}
    message = {"message_id": 1, "date": 1, "chat": chat, "text": "a fox \ud83e, é 🦊"}
    found = readable({"update_id": 7, "message": message}, Bot("1:a"))
    assert found is not None
    assert found.message is not None
    assert found.message.text == "a fox ?, é 🦊"
