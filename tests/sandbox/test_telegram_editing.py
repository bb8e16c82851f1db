"""How messages change, and when Telegram will not have it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, InputMediaPhoto
from telegram.error import BadRequest, RetryAfter

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Person, TelegramWorld, plain_photo
from tests.sandbox.saying import says

BUTTON = InlineKeyboardMarkup([[InlineKeyboardButton("Cancel", callback_data="cancel")]])


async def test_a_text_becomes_a_photo_and_its_history_is_kept(bot: Bot, ada: Person) -> None:
    status = await bot.send_message(ada.id, "Waiting", reply_markup=BUTTON)
    await bot.edit_message_text("Running", ada.id, status.message_id)
    shown = ada.chat.last
    assert shown.buttons == []
    edited = await bot.edit_message_media(
        InputMediaPhoto(plain_photo(), caption="<b>Done</b>", parse_mode="HTML"),
        ada.id,
        status.message_id,
    )
    assert not isinstance(edited, bool)
    assert edited.photo
    assert edited.edit_date is not None
    assert [version.text for version in shown.versions] == ["Waiting", "Running", "Done"]
    assert shown.kind == "photo"
    assert ada.chat.from_bot == [shown]


async def test_an_edit_that_changes_nothing_is_refused(bot: Bot, ada: Person) -> None:
    status = await bot.send_message(ada.id, "<b>x</b>", parse_mode="HTML", reply_markup=BUTTON)
    with pytest.raises(BadRequest, match=says("message is not modified")):
        await status.edit_text(" <b>x</b>", parse_mode="HTML", reply_markup=BUTTON)
    await status.edit_text("x", reply_markup=BUTTON)
    await status.edit_text("x")
    photo = await bot.send_photo(ada.id, plain_photo())
    with pytest.raises(BadRequest, match=says("message is not modified")):
        await photo.edit_media(InputMediaPhoto(photo.photo[-1].file_id))
    with pytest.raises(BadRequest, match=says("message is not modified")):
        await photo.edit_caption("")
    await photo.edit_media(InputMediaPhoto(plain_photo()))
    with pytest.raises(BadRequest, match=says("message is not modified")):
        await photo.edit_reply_markup(None)


async def test_what_cannot_be_edited(bot: Bot, ada: Person) -> None:
    text = await bot.send_message(ada.id, "x")
    photo = await bot.send_photo(ada.id, plain_photo())
    theirs = await ada.sends("mine")
    refusals = {
        "message to edit not found": bot.edit_message_text("y", ada.id, 999),
        "message can't be edited": bot.edit_message_text("y", ada.id, theirs.id),
        "there is no text in the message to edit": photo.edit_text("y"),
        "there is no caption in the message to edit": text.edit_caption("y"),
        "message text is empty": text.edit_text(" "),
    }
    for reason, edit in refusals.items():
        with pytest.raises(BadRequest, match=says(reason)):
            await edit
    await text.delete()
    with pytest.raises(BadRequest, match=says("message to edit not found")):
        await text.edit_text("y")


async def test_deleting_has_its_limits(bot: Bot, ada: Person, sandbox: Sandbox) -> None:
    text = await bot.send_message(ada.id, "x")
    await text.delete()
    assert ada.chat.from_bot == []
    with pytest.raises(BadRequest, match=says("message to delete not found")):
        await text.delete()
    old = await bot.send_message(ada.id, "old")
    sandbox.clock.advance(49 * 3600)
    with pytest.raises(BadRequest, match=says("message can't be deleted")):
        await old.delete()
    theirs = await ada.sends("x")
    assert await bot.delete_messages(ada.id, [theirs.id, 12345])
    group = sandbox.telegram.group("Team", [ada])
    in_group = await ada.sends("/start", group)
    with pytest.raises(BadRequest, match=says("message can't be deleted")):
        await bot.delete_message(group.id, in_group.id)


async def test_a_pressed_button_is_answered_once(
    bot: Bot, ada: Person, world: TelegramWorld
) -> None:
    await bot.send_message(ada.id, "x", reply_markup=BUTTON)
    query = await ada.presses(ada.chat.last, "Cancel", wait=False)
    with pytest.raises(BadRequest, match=says("MESSAGE_TOO_LONG")):
        await bot.answer_callback_query(query.id, "x" * 201)
    await bot.answer_callback_query(query.id, "Cancelled", show_alert=True)
    assert (query.text, query.alert) == ("Cancelled", True)
    with pytest.raises(BadRequest, match=says("query is too old")):
        await bot.answer_callback_query(query.id)
    late = await ada.presses(ada.chat.last, "cancel", wait=False)
    world.clock.advance(world.query_seconds + 1)
    with pytest.raises(BadRequest, match=says("query is too old")):
        await bot.answer_callback_query(late.id)
    with pytest.raises(LookupError, match=says("no button 'Approve' among")):
        await ada.presses(ada.chat.last, "Approve")


async def test_flood_limits_are_kept_when_switched_on(
    bot: Bot, ada: Person, world: TelegramWorld
) -> None:
    world.flood.on = True
    sent = await bot.send_message(ada.id, "1")
    with pytest.raises(RetryAfter) as caught:
        await sent.edit_text("2")
    assert caught.value.retry_after == timedelta(seconds=1)
    world.clock.advance(1)
    await sent.edit_text("2")
    group = world.group("Team", [ada])
    for number in range(20):
        await bot.send_message(group.id, str(number))
        world.clock.advance(1)
    with pytest.raises(RetryAfter) as caught:
        await bot.send_message(group.id, "21")
    assert caught.value.retry_after == timedelta(seconds=40)
    for number in range(30):
        other = world.person(id=2000 + number, started=True)
        await bot.send_message(other.id, "x")
    with pytest.raises(RetryAfter):
        await bot.send_message(world.person(id=3000, started=True).id, "x")
