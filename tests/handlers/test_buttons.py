"""Buttons pressed twice, by someone else, from last week, or made up: answered and harmless."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

import pytest

from bot.sandbox.telegram import Content, Message
from bot.sandbox.telegram import Person as Visitor
from db.models import Access, ContentJob, JobState, Person
from tests.handlers.bench import Bench
from tests.handlers.house import House
from tests.support.running import ADMIN_ID, let_in

STALE = {"en": "This button no longer does anything.", "fr": "Ce bouton ne fait plus rien."}
TOO_LATE = "Too late: it is already finished."
NOT_YOURS = "This is not for you."


async def picture_of(house: House, person: Visitor, words: str = "a red fox") -> Message:
    """A picture that was made for this person."""
    sent = await person.sends(f"/image {words}")
    await person.chat.next_message()
    picture = await person.chat.wait_for_media(after=sent)
    await house.running.all_shown()  # what its buttons are about is written down a moment later
    return picture


# -------------------------------------------------- made up


async def what_counts() -> list[object]:
    """What a forged button could change."""
    people = (
        await Person.all()
        .order_by("id")
        .values(
            "id", "access", "is_admin", "language", "image_model", "budget_nanos", "spent_nanos"
        )
    )
    jobs = await ContentJob.all().order_by("id").values("prompt", "cost_nanos")
    return [people, jobs, await ContentJob.filter(cancel_requested_at__isnull=False).count()]


async def test_data_that_nobody_made_is_answered_and_does_nothing(
    house: House, language: str
) -> None:
    bea = await house.member(language=language, dollars="1")
    picture = await picture_of(house, bea)
    before = await what_counts()
    shown = [message.text for message in bea.chat.from_bot]
    for data in (
        "x",
        "cancel",
        "cancel:",
        "cancel:abc",
        "cancel:1;drop table person",
        "cancel:-1",
        "cancel:" + "9" * 40,
        "again:1:2",
        "history:-1",
        "approve:1:admin",
        "set:is_admin:true",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "🦊" * 16,
    ):
        query = await bea.presses(picture, data, stale=True)
        assert query.text == STALE[language], data
    assert await what_counts() == before
    assert [message.text for message in bea.chat.from_bot] == shown
    assert len(house.fal.requests) == 1


async def test_numbers_that_there_are_not_are_answered(house: House) -> None:
    bea = await house.member()
    picture = await picture_of(house, bea)
    for data in ("cancel:999", "cancel:" + "9" * 18):
        assert (await bea.presses(picture, data, stale=True)).text == NOT_YOURS
    for data in ("again:999", "again:" + "9" * 18):
        query = await bea.presses(picture, data, stale=True)
        assert query.text == "That result is not here any more."
    for data in ("redo:999", "vary:999", "animate:999", "file:999"):
        assert (await bea.presses(picture, data, stale=True)).text == NOT_YOURS
    for data in ("draft:999:image", "model:nothing", "set:language:de"):
        assert (await bea.presses(picture, data, stale=True)).text == STALE["en"]
    assert len(house.fal.requests) == 1


async def test_a_page_that_there_is_not_shows_the_last_one(house: House) -> None:
    bea = await house.member()
    await picture_of(house, bea)
    page = await house.answer(bea, "/history")
    query = await bea.presses(page, "history:999999999", stale=True)
    assert query.text is None
    assert page.text.startswith("📜 1 job\n")


# -------------------------------------------------- someone else's


async def test_the_buttons_of_someone_else_do_nothing(house: House) -> None:
    house.fal.pace = "manual"
    bea, carl = await house.member(dollars="1"), await house.member("Carl", 702)
    status = await house.answer(bea, "/image a red fox")
    [request] = await house.fal.wait_for_requests()
    job = await ContentJob.get()
    query = await carl.presses(status, f"cancel:{job.id}")
    assert query.text == NOT_YOURS
    assert not request.cancel_asked
    house.fal.complete(request)
    await bea.chat.wait_for(lambda m: m is status and m.kind == "photo")
    for data in (f"redo:{job.id}", f"vary:{job.id}", f"animate:{job.id}", f"file:{job.id}"):
        assert (await carl.presses(status, data, stale=True)).text == NOT_YOURS
    query = await carl.presses(status, f"again:{job.id}", stale=True)
    assert query.text == "That result is not here any more."
    query = await carl.presses(status, f"forget:{bea.id}", stale=True)
    assert query.text == NOT_YOURS
    assert carl.chat.from_bot == []
    assert len(house.fal.requests) == 1
    assert (await ContentJob.get()).prompt == "a red fox"


async def test_the_history_of_someone_else_is_not_shown(house: House) -> None:
    bea, carl = await house.member(), await house.member("Carl", 702)
    await picture_of(house, bea, "a secret garden")
    page = await house.answer(bea, "/history")
    query = await carl.presses(page, "history:0", stale=True)
    assert query.answers
    assert "secret" not in " ".join(message.text for message in carl.chat.messages)
    await carl.sends("hello")
    await carl.chat.next_message()
    query = await carl.presses(carl.chat.last, "csv", stale=True)
    assert query.answers
    export = await carl.chat.wait_for_media("document")
    assert b"secret" not in (export.media or b"")


# -------------------------------------------------- twice, and late


async def test_cancel_pressed_twice_cancels_once(house: House) -> None:
    house.fal.pace = "manual"
    bea = await house.member(dollars="1")
    status = await house.answer(bea, "/image a red fox")
    await house.fal.wait_for_requests()
    await house.fal.wait_for(lambda: any(c.operation == "stream" for c in house.fal.calls))
    job = await ContentJob.get()
    first = await bea.presses(status, f"cancel:{job.id}")
    second = await bea.presses(status, f"cancel:{job.id}", stale=True)
    assert (first.text, second.text) == ("🚫 Cancelled. It cost nothing.", TOO_LATE)
    await bea.chat.wait_for(lambda m: m is status and m.text.startswith("🚫 Cancelled."))
    person = await house.figures(bea)
    assert (person.held_nanos, person.spent_nanos) == (0, 0)


@pytest.mark.parametrize("way", ["redo", "vary", "animate"])
async def test_a_result_button_pressed_twice_orders_once_and_again_later_another(
    house: House, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    bea = await house.member(dollars="5")
    picture = await picture_of(house, bea)
    job = await ContentJob.get()
    house.fal.pace = "manual"
    first = await bea.presses(picture, f"{way}:{job.id}")
    second = await bea.presses(picture, f"{way}:{job.id}")
    assert (first.text or "").startswith("On its way: ")
    assert second.text == "It is on its way already. For another one, press again in a moment."
    assert await ContentJob.all().count() == 2
    monkeypatch.setattr("handlers.results.TWICE_WITHIN", timedelta(0))
    third = await bea.presses(picture, f"{way}:{job.id}")
    assert third.text == first.text
    assert await ContentJob.all().count() == 3


async def test_every_button_of_last_week_is_answered(house: House) -> None:
    """The messages are there, what they were about is over, or gone."""
    bea = await house.member(dollars="1")
    picture = await picture_of(house, bea)
    page = await house.answer(bea, "/history")
    house.sandbox.clock.advance(8 * 24 * 60 * 60)
    await ContentJob.all().update(state=JobState.DELIVERED, file_id=None, result=None, prompt="")
    job = await ContentJob.get()
    for data, expected in (
        (f"cancel:{job.id}", TOO_LATE),
        (f"again:{job.id}", "That result is not here any more."),
        (f"redo:{job.id}", "I do not have what this was made of any more."),
        (f"animate:{job.id}", "I do not have what this was made of any more."),
        (f"file:{job.id}", "I do not have what this was made of any more."),
    ):
        query = await bea.presses(picture, data, stale=True)
        assert query.text == expected, data
    query = await bea.presses(page, "csv")
    assert query.answers
    assert len(house.fal.requests) == 1


async def test_a_button_under_a_message_that_is_gone_is_answered(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    bea = await house.member(dollars="1")
    picture = await picture_of(house, bea)
    page = await house.answer(bea, "/history")
    bea.chat.delete(page)
    bea.chat.delete(picture)
    for data in ("history:0", "model:flux-schnell", "set:language:en", "csv"):
        query = await bea.presses(page, data, stale=True)
        assert query.answers, data
    await bea.chat.wait_for_media("document")
    assert errors_in(caplog) == []


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_press_that_waited_for_the_bot_still_does_its_work(
    workbench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Telegram takes no answer to a press that is too old, but the press was meant."""
    telegram = workbench.telegram
    ada = telegram.person(id=ADMIN_ID, name="Ada", username="ada", started=True)
    bea = telegram.person(id=701, name="Bea", username="bea")
    mal = telegram.person(id=666, name="Mal", username="mal")
    await let_in(bea, budget_nanos=10**9)
    await workbench.hears_of(mal, "/start")
    request = ada.chat.add(Content("🔔 Mal would like to use this bot."), None)
    [page] = await workbench.hears_of(bea, "/history")
    [settings] = await workbench.hears_of(bea, "/settings")
    telegram.query_seconds = -1
    await workbench.feels(ada, request, f"approve:{mal.id}")
    assert (await Person.get(id=mal.id)).access == Access.APPROVED
    assert request.text == "✅ Mal (@mal) is in."
    await workbench.feels(bea, settings, "set:language:fr")
    assert "Langue" in settings.text
    before = len(bea.chat.from_bot)
    await workbench.feels(bea, page, "csv")
    assert bea.chat.from_bot[before:][0].kind == "document"
    await workbench.feels(bea, page, "made up")
    assert errors_in(caplog) == []


# -------------------------------------------------------------------------- asked before it is made


async def test_a_button_under_a_result_asks_first_who_wants_to_be_asked(house: House) -> None:
    bea = await house.member(dollars="2")
    await bea.sends("/image a red fox")
    picture = await bea.chat.wait_for(lambda shown: shown.kind == "photo")
    await Person.filter(id=bea.id).update(confirm_above_nanos=0)
    for button, price in (("🔁", "$0.025"), ("🎲", "$0.025"), ("🎬", "$0.50")):
        asked = len(house.fal.requests)
        await bea.presses(picture, button)
        question = await bea.chat.wait_for(
            lambda shown: shown.text.startswith("This costs") and bool(shown.buttons)
        )
        assert question.text.startswith(f"This costs {price} at most. Shall I make it?")
        assert len(house.fal.requests) == asked
        data = str(question.button("✅ Make it")["callback_data"])
        await bea.presses(question, data)
        await bea.chat.wait_for(lambda shown: shown is question and not shown.buttons)  # noqa: B023
        assert question.text == "✅ On its way."
        # Pressed again, by a client that has not seen the edit: the question was answered.
        await bea.presses(question, data, stale=True)
        await house.fal.wait_for_requests(asked + 1)
    assert len(house.fal.requests) == 4


async def test_settings_are_a_menu_with_a_way_back(house: House, language: str) -> None:
    bea = await house.member(language=language)
    shown = await house.answer(bea, "/settings")
    main = shown.button_texts
    for name in ("language", "ratio", "alerts", "ask", "theme"):
        await bea.presses(shown, f"settings:{name}")
        await bea.chat.wait_for(
            lambda message: message is shown and any(b[0] == "✓" for b in message.button_texts)
        )
        await bea.presses(shown, "◀️")
        await bea.chat.wait_for(lambda message: message is shown and message.button_texts == main)
    await bea.presses(shown, "settings:ask")
    await bea.presses(shown, "set:ask:0.00", stale=True)
    await bea.chat.wait_for(lambda message: message is shown and message.button_texts == main)
    assert (await Person.get(id=bea.id)).confirm_above_nanos == 0
    await bea.presses(shown, "models")
    await bea.chat.wait_for(lambda message: message is shown and "FLUX" in message.text)


async def test_the_buttons_under_a_result_work_weeks_later_after_a_restart(house: House) -> None:
    bea = await house.member(dollars="2")
    await bea.sends("/image a red fox")
    picture = await bea.chat.wait_for(lambda shown: shown.kind == "photo")
    await house.running.stop()
    house.sandbox.clock.advance(21 * 24 * 60 * 60)
    await house.running.start()
    for button, kind in (("🔁", "photo"), ("🎲", "photo"), ("🎬", "video")):
        latest = bea.chat.from_bot[-1].id
        await bea.presses(picture, button)
        await bea.chat.wait_for(partial(is_newer, latest, kind))
    # fal has deleted the original, and Telegram sends no photo as a file: what it kept is fetched.
    await bea.presses(picture, "📄")
    file = await bea.chat.wait_for(lambda shown: shown.kind == "document")
    assert file.text == "The original is no longer at fal: this is what Telegram has kept of it."
    assert file.media == picture.media
    assert [request.arguments["seed"] for request in house.fal.requests[:2]] == [
        house.fal.requests[0].arguments["seed"]
    ] * 2
    assert house.fal.requests[2].arguments["seed"] != house.fal.requests[0].arguments["seed"]


def is_newer(latest: int, kind: str, message: Message) -> bool:
    return message.id > latest and message.kind == kind
