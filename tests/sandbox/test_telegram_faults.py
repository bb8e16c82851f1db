"""Each way in which Telegram can be told to fail."""

from __future__ import annotations

import asyncio

import pytest
from telegram import Bot, InputMediaPhoto
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)

from bot.sandbox import Fault
from bot.sandbox.telegram import Person, TelegramWorld, plain_photo
from tests.sandbox.saying import says


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault("flood", retry_after=7), RetryAfter, False),
        (Fault("server_error"), NetworkError, False),
        (Fault("bad_gateway"), NetworkError, False),
        (Fault("blocked"), Forbidden, False),
        (Fault("refused", message="whatever"), BadRequest, False),
        (Fault("reset"), NetworkError, False),
        (Fault("answer_lost"), NetworkError, True),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_a_fault_strikes_once_and_where_it_should(
    bot: Bot,
    ada: Person,
    world: TelegramWorld,
    fault: Fault,
    error: type[TelegramError],
    done: bool,
) -> None:
    other = world.person(id=1002, name="Ben", started=True)
    world.faults.add(fault, method="sendMessage", chat_id=ada.id)
    await bot.send_message(other.id, "unharmed")
    with pytest.raises(error):
        await bot.send_message(ada.id, "harmed")
    assert bool(ada.chat.from_bot) == done
    await bot.send_message(ada.id, "again")
    assert ada.chat.last.text == "again"
    assert world.faults.pending == []
    assert world.called("sendMessage")[1].fault == fault.kind


@pytest.mark.parametrize(("kind", "done"), [("hang", False), ("answer_hangs", True)])
async def test_an_answer_that_never_comes(
    bot: Bot, ada: Person, world: TelegramWorld, kind: str, done: bool
) -> None:
    world.faults.add(kind, method="sendMessage")
    with pytest.raises(TimedOut):
        await bot.send_message(ada.id, "x", read_timeout=0.1)
    assert bool(ada.chat.from_bot) == done
    world.faults.add(kind, method="sendMessage")
    waiting = asyncio.create_task(bot.send_message(ada.id, "y", read_timeout=30))
    await world.wait_for(lambda: len(world.called("sendMessage")) == 2)
    world.faults.release()
    with pytest.raises(NetworkError):
        await waiting


async def test_not_modified_means_that_it_was_done(
    bot: Bot, ada: Person, world: TelegramWorld
) -> None:
    status = await bot.send_message(ada.id, "Running")
    world.faults.add("not_modified")
    with pytest.raises(BadRequest, match=says("message is not modified")):
        await status.edit_media(InputMediaPhoto(plain_photo()))
    assert ada.chat.last.kind == "photo"


async def test_the_message_is_deleted_under_the_edit(
    bot: Bot, ada: Person, world: TelegramWorld
) -> None:
    status = await bot.send_message(ada.id, "Running")
    world.faults.add("message_deleted", method="editMessageMedia")
    with pytest.raises(BadRequest, match=says("message to edit not found")):
        await status.edit_media(InputMediaPhoto(plain_photo()))
    assert ada.chat.from_bot == []


async def test_the_group_migrates_under_the_message(
    bot: Bot, ada: Person, world: TelegramWorld
) -> None:
    group = world.group("Team", [ada])
    world.faults.add("migrated")
    await bot.send_message(ada.id, "a private chat cannot migrate")
    with pytest.raises(ChatMigrated) as caught:
        await bot.send_message(group.id, "x")
    await bot.send_message(caught.value.new_chat_id, "x")


async def test_a_download_can_fail_too(bot: Bot, ada: Person, world: TelegramWorld) -> None:
    message = await ada.sends_photo()
    assert message.content.media is not None
    file = await bot.get_file(message.content.media.file_id)
    for kind in ("server_error", "refused", "reset"):
        world.faults.add(kind, method="file")
        with pytest.raises(TelegramError):
            await file.download_as_bytearray()
    assert await file.download_as_bytearray()


async def test_polling_is_disturbed_only_on_order(
    bot: Bot, ada: Person, world: TelegramWorld
) -> None:
    world.faults.add("server_error")
    assert await bot.get_updates(timeout=0) == ()
    world.faults.add("reset", method="getUpdates")
    with pytest.raises(NetworkError):
        await bot.get_updates(timeout=0)


def test_a_fault_that_cannot_happen_is_no_fault(world: TelegramWorld) -> None:
    with pytest.raises(ValueError, match=says("no fault 'nonsense'")):
        world.faults.add("nonsense")
    with pytest.raises(ValueError, match=says("only happen to an edit")):
        world.faults.add("not_modified", method="sendMessage")
