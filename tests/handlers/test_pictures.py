"""`/dashboard` and `/stats`: for any time, on a light or a dark ground, edited in place."""

from __future__ import annotations

import io
from functools import partial

import pytest
from PIL import Image

from bot.sandbox.telegram import Message
from db.models import Person
from tests.handlers.house import House


def is_dark(message: Message) -> bool:
    """Whether the picture in a message is drawn on a dark ground."""
    assert message.media is not None
    with Image.open(io.BytesIO(message.media)) as picture:
        return picture.convert("L").tobytes()[0] < 128


def has_button(wanted: Message, label: str, message: Message) -> bool:
    return message is wanted and label in message.button_texts


@pytest.mark.parametrize("command", ["dashboard", "stats"])
async def test_the_days_are_typed_or_pressed_and_the_picture_is_edited_in_place(
    house: House, command: str
) -> None:
    ada = await house.admin()
    message = await house.answer(ada, f"/{command} 12")
    before = len(message.versions)
    assert not any(label.startswith("✓") for label in message.button_texts)
    for label, shown in (("365 d", "✓ 365 d"), ("7 d", "✓ 7 d")):
        await ada.presses(message, label)
        await ada.chat.wait_for(partial(has_button, message, shown))
        assert message.kind == "photo"
    assert len(message.versions) == before + 2
    assert house.telegram.complaints == []


async def test_the_caption_says_which_days_are_shown(house: House, language: str) -> None:
    bea = await house.member(language=language, dollars="10")
    words = {
        "en": ["Your last day", "Your last 365 days"],
        "fr": ["Votre dernier jour", "Vos 365 derniers jours"],
    }[language]
    for typed, said in zip((1, 365), words, strict=True):
        message = await house.answer(bea, f"/dashboard {typed}")
        assert message.text.splitlines()[0] == f"📊 {said}"


async def test_the_ground_is_light_until_somebody_wants_it_dark(house: House) -> None:
    bea = await house.member()
    message = await house.answer(bea, "/dashboard")
    assert not is_dark(message)
    await bea.presses(message, "🌙")
    await bea.chat.wait_for(partial(has_button, message, "☀️"))
    assert is_dark(message)
    assert (await Person.get(id=bea.id)).theme == "dark"
    # It is kept, also for other pictures, and stands in the settings.
    assert is_dark(await house.answer(bea, "/dashboard 7"))
    settings = await house.answer(bea, "/settings")
    assert "Dashboard: 🌙 dark" in settings.text
    await bea.presses(settings, "settings:theme")
    await bea.chat.wait_for(partial(has_button, settings, "✓ 🌙 dark"))
    await bea.presses(settings, "set:theme:-")
    await bea.chat.wait_for_text("Dashboard: ☀️ light")
    assert not is_dark(await house.answer(bea, "/dashboard"))


@pytest.mark.parametrize("typed", ["0", "367", "-1", "ten", "9" * 400, "7.5", "٣"])
async def test_what_is_no_number_of_days_is_explained_with_an_example(
    house: House, typed: str
) -> None:
    bea = await house.member()
    assert (
        await house.says(bea, f"/dashboard {typed}")
        == "Please say how many days, from 1 to 366, for example: /dashboard 365"
    )


async def test_the_teams_picture_is_for_admins_also_behind_a_button(house: House) -> None:
    bea = await house.member()
    message = await house.answer(bea, "/dashboard")
    before = len(message.versions)
    query = await bea.presses(message, "stats:30", stale=True)
    assert query.text == "Only administrators can do this."
    assert len(message.versions) == before
