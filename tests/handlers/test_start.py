"""`/start`, `/help`, the menus, and what is no command at all."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from telegram.ext import CommandHandler

from bot import albums
from bot.i18n import load_texts
from bot.sandbox import Sandbox
from bot.sandbox.telegram import Message
from bot.sandbox.telegram import Person as Visitor
from db.models import ContentJob, Occasion, Person
from db.sql import now
from handlers.commands import ADMIN_COMMANDS, MEMBER_COMMANDS
from handlers.topics import TOPICS
from tests.handlers.bench import Bench
from tests.handlers.house import House
from tests.support.running import ADMIN_ID, let_in, running_bot

WELCOME = {
    "en": "Hello Bea! I make pictures and videos with fal.ai and keep an exact eye on your budget."
    "\n\n"
    "/image a lighthouse at dawn — a picture\n"
    "/video waves rolling in — a video, or from a photo you attach or reply to\n"
    "/budget — what is left · /help — everything else\n\n"
    "Spent: $0.00",
    "fr": "Bonjour Bea ! Je fais des images et des vidéos avec fal.ai, et je tiens votre budget au "
    "centime près.\n\n"
    "/image un phare à l’aube — une image\n"
    "/video des vagues qui arrivent — une vidéo, ou à partir d’une photo jointe ou à laquelle vous "
    "répondez\n"
    "/budget — ce qui reste · /help — tout le reste\n\n"
    "Dépensé : 0,00 $",
}
ASKED = {
    "en": "Hello! This bot is private. I have asked the administrators to let you in; you will "
    "hear from me.",
    "fr": "Bonjour ! Ce bot est privé. J’ai demandé aux administrateurs de vous laisser entrer ; "
    "je vous tiens au courant.",
}
WAITING = {
    "en": "Your request is with the administrators. You will hear from me as soon as one of them "
    "has decided.",
    "fr": "Votre demande est chez les administrateurs. Je vous écris dès que l’un d’eux a décidé.",
}
REQUEST = {
    "en": "🔔 Mal (@mal, id 666) would like to use this bot.",
    "fr": "🔔 Mal (@mal, identifiant 666) aimerait utiliser ce bot.",
}


def menu(house: House, person: Visitor) -> list[str]:
    """The commands that the client lists to a person in the private chat."""
    profile = house.telegram.profile
    shown = profile.commands_for(person.id, True, person.id, person.language)
    return [f"{entry['command']} - {entry['description']}" for entry in shown]


def names(shown: list[str]) -> list[str]:
    return [line.partition(" - ")[0] for line in shown]


async def test_a_member_is_welcomed_with_what_to_do_next(house: House, language: str) -> None:
    bea = await house.member(language=language)
    assert await house.says(bea, "/start") == WELCOME[language]


async def test_a_client_in_another_language_gets_that_of_the_house(
    sandbox: Sandbox, database_url: str
) -> None:
    async with running_bot(sandbox, database_url, language="fr") as running:
        house = House(sandbox, running)
        for number, code in enumerate(("de", "fr-CA", None)):
            person = sandbox.telegram.person(id=720 + number, name="Bea", language=code)
            assert await house.says(person, "/start") == ASKED["fr"]
        person = sandbox.telegram.person(id=730, name="Bea", language="en-GB")
        assert await house.says(person, "/start") == ASKED["en"]


async def test_a_stranger_asks_once_and_the_admin_gets_buttons(house: House, language: str) -> None:
    ada = await house.admin(language)
    mal = house.stranger(language=language)
    assert await house.says(mal, "/start") == ASKED[language]
    request = await ada.chat.next_message()
    assert request.text == REQUEST[language]
    assert (
        request.button_texts
        == {
            "en": ["✅ Approve", "🚫 Deny", "✅ $1.00", "✅ $5.00", "✅ $10.00", "✅ Other…"],
            "fr": [
                "✅ Accepter",
                "🚫 Refuser",
                "✅ 1,00 $",
                "✅ 5,00 $",
                "✅ 10,00 $",
                "✅ Autre…",
            ],
        }[language]
    )
    assert await house.says(mal, "/start") == WAITING[language]
    assert await house.says(mal, "/start again, please") == WAITING[language]
    assert len(ada.chat.from_bot) == 1


async def test_a_name_is_shown_and_never_read_as_markup(house: House) -> None:
    ada = await house.admin()
    mal = house.telegram.person(id=667, name="<b>Mal</b> & Co", last_name="<a href='x'>")
    await house.says(mal, "/start")
    request = await ada.chat.next_message()
    assert request.text == "🔔 <b>Mal</b> & Co <a href='x'> (—, id 667) would like to use this bot."
    await ada.presses(request, "✅ Approve")
    assert (await mal.chat.next_message()).text.startswith("🎉 You are in!")
    assert (await house.says(mal, "/start")).startswith("Hello <b>Mal</b> & Co <a href='x'>!")


async def test_help_names_every_command_that_the_role_has(house: House, language: str) -> None:
    ada, bea = await house.admin(language), await house.member(language=language)
    to_member, to_admin = await house.says(bea, "/help"), await house.says(ada, "/help")
    assert to_admin.startswith(to_member)
    for command in set(MEMBER_COMMANDS) - {"help", "forget"}:
        assert f"/{command}" in to_member, command
    for command in ADMIN_COMMANDS:
        assert f"/{command}" in to_admin, command
        assert f"/{command}" not in to_member, command


# ------------------------------------------------------------------------------------- the menus


async def test_each_role_gets_its_menu_in_its_language(house: House) -> None:
    bea, luc = await house.member(), await house.member("Luc", 702, "fr")
    ada = await house.admin("fr")
    await house.answer(ada, "/start")
    await house.telegram.wait_for(
        lambda: "users - Tout le monde, avec les budgets" in menu(house, ada)
    )
    assert menu(house, bea)[:4] == [
        "image - Make a picture",
        "video - Make a video",
        "budget - What is left",
        "setbudget - Set your budget, for example 10.00",
    ]
    assert menu(house, luc)[:4] == [
        "image - Faire une image",
        "video - Faire une vidéo",
        "budget - Ce qui reste",
        "setbudget - Fixer votre budget, par exemple 10,00",
    ]
    for person in (bea, luc):
        assert names(menu(house, person)) == list(MEMBER_COMMANDS)
    assert names(menu(house, ada)) == [*MEMBER_COMMANDS, *ADMIN_COMMANDS]
    assert "users - Tout le monde, avec les budgets" in menu(house, ada)


async def test_an_admin_who_has_not_written_yet_keeps_no_other_from_the_menu(
    sandbox: Sandbox, database_url: str
) -> None:
    ada = sandbox.telegram.person(id=ADMIN_ID, name="Ada", language="en", started=True)
    async with running_bot(sandbox, database_url, admin_ids=f"1,2,{ADMIN_ID}") as running:
        house = House(sandbox, running)
        await sandbox.telegram.wait_for(
            lambda: "users - Everyone, with their budgets" in menu(house, ada)
        )


async def test_an_admin_gets_the_menu_with_the_first_start(house: House) -> None:
    await house.telegram.wait_for(lambda: len(house.telegram.called("setMyCommands")) >= 3)
    ada = house.telegram.person(id=ADMIN_ID, name="Ada", language="fr")
    assert "users - Tout le monde, avec les budgets" not in menu(house, ada)
    await house.answer(ada, "/start")
    await house.telegram.wait_for(
        lambda: "users - Tout le monde, avec les budgets" in menu(house, ada)
    )


async def test_every_command_of_the_menus_has_a_handler(workbench: Bench) -> None:
    taken = {"image", "video"}  # these take captions too, and have a handler of another kind
    for handler in workbench.application.handlers[0]:
        if isinstance(handler, CommandHandler):
            taken |= handler.commands
    assert taken == {"start", *MEMBER_COMMANDS, *ADMIN_COMMANDS}


async def test_an_edited_command_is_not_run_again(house: House) -> None:
    bea = await house.member(dollars="1")
    sent = await bea.sends("/setbudget 5")
    await bea.chat.next_message()
    await bea.edits(sent, "/setbudget 500")
    assert await house.says(bea, "/help")
    assert (await house.figures(bea)).budget_nanos == 5 * 10**9


# ------------------------------------------------------------------------ buttons and topics


async def test_the_welcome_has_buttons_that_do_the_next_thing(house: House, language: str) -> None:
    bea = await house.member(language=language, dollars="1")
    welcome = await house.answer(bea, "/start")
    example = {"en": "🖼 a lighthouse at dawn · $0.025", "fr": "🖼 un phare à l’aube · 0,025 $"}
    assert welcome.button_texts[0] == example[language]
    await bea.presses(welcome, "try")
    picture = await bea.chat.wait_for(lambda shown: shown.kind == "photo")
    assert example[language].removeprefix("🖼 ").rpartition(" · ")[0] in picture.text
    await bea.presses(welcome, "budget")
    await bea.chat.wait_for_text("^💰")
    await bea.presses(welcome, "settings")
    await bea.chat.wait_for(lambda shown: shown is welcome and shown.text.startswith("⚙️"))
    assert house.telegram.complaints == []


async def test_the_example_asks_first_who_wants_to_be_asked(house: House) -> None:
    bea = await house.member(dollars="1")
    await Person.filter(id=bea.id).update(confirm_above_nanos=0)
    welcome = await house.answer(bea, "/start")
    await bea.presses(welcome, "try")
    await bea.chat.wait_for_text("Shall I make it?")
    assert house.fal.requests == []


def has_changed(wanted: Message, before: str, message: Message) -> bool:
    return message is wanted and message.text != before


async def test_help_is_there_by_topic_behind_buttons(house: House, language: str) -> None:
    bea, ada = await house.member(language=language), await house.admin(language)
    shown = await house.answer(bea, "/help")
    for topic in (*TOPICS, "all"):
        before = shown.text
        await bea.presses(shown, f"help:{topic}")
        await bea.chat.wait_for(partial(has_changed, shown, before))
    query = await bea.presses(shown, "help:admins", stale=True)
    assert query.text == load_texts(language).plain("error.stale_button")
    shown = await house.answer(ada, "/help")
    await ada.presses(shown, "help:admins")
    await ada.chat.wait_for_text("/models remove")
    assert house.telegram.complaints == []


async def test_of_several_photos_the_first_is_used_and_that_is_said(house: House) -> None:
    bea = await house.member(dollars="1")
    await bea.sends_album([None, None], "/image in winter")
    await bea.chat.wait_for_text("the first of your photos")
    await bea.chat.wait_for(lambda shown: shown.kind == "photo")
    assert len(house.fal.requests) == 1


async def test_a_photo_without_words_is_offered_to_move(house: House, language: str) -> None:
    bea = await house.member(language=language, dollars="1")
    await bea.sends_photo()
    offer = await bea.chat.next_message()
    assert offer.text.startswith({"en": "A fine picture!", "fr": "Belle image !"}[language])
    assert offer.button_texts == [{"en": "🎬 Video · $0.50", "fr": "🎬 Vidéo · 0,50 $"}[language]]
    await bea.presses(offer, offer.button_texts[0])
    video = await bea.chat.wait_for(lambda shown: shown.kind == "video")
    assert {"en": "comes to life", "fr": "s’anime"}[language] in video.text
    [request] = house.fal.requests
    assert request.endpoint_id.endswith("image-to-video")


async def test_an_album_without_words_is_offered_to_move_once(
    workbench: Bench, language: str
) -> None:
    bea = workbench.telegram.person(id=701, name="Bea", username="bea", language=language)
    await let_in(bea)
    for _ in range(2):
        before = len(bea.chat.from_bot)
        await bea.sends_album([None, None, None])
        await workbench.hears()
        [offer] = bea.chat.from_bot[before:]
        wanted = {"en": "Fine pictures! A model takes one", "fr": "Belles images ! Un modèle"}
        assert offer.text.startswith(wanted[language])
        [button] = offer.button_texts
        assert button.startswith({"en": "🎬 Video", "fr": "🎬 Vidéo"}[language])


async def test_an_album_with_words_is_asked_about_once(workbench: Bench) -> None:
    bea = workbench.telegram.person(id=701, name="Bea", username="bea")
    await let_in(bea)
    for caption, said in (
        ("in winter", ["Shall I make something of this?"]),
        ("/image", ["What should the picture show? For example: /image a lighthouse at dawn"]),
    ):
        before = len(bea.chat.from_bot)
        await bea.sends_album([None, None, None], caption)
        await workbench.hears()
        assert [message.text for message in bea.chat.from_bot[before:]] == said


async def test_what_is_remembered_of_albums_is_forgotten(workbench: Bench) -> None:
    assert await albums.begins("1")
    assert not await albums.begins("1")
    await albums.forget_old()
    assert not await albums.begins("1")
    await Occasion.filter(name="album:1").update(since=now() - timedelta(days=8))
    await albums.forget_old()
    assert await albums.begins("1")


async def test_a_file_that_is_no_picture_is_not_called_one(house: House) -> None:
    bea = await house.member()
    await bea.sends_document(b"%PDF", "plan.pdf", "application/pdf")
    said = await bea.chat.next_message()
    assert said.text.startswith("That is not a picture I can start from.")


async def test_the_example_pressed_twice_at_once_is_made_once(workbench: Bench) -> None:
    bea = workbench.telegram.person(id=701, name="Bea", username="bea")
    await let_in(bea)
    [welcome] = await workbench.hears_of(bea, "/start")
    await workbench.feels(bea, welcome, "try")
    query = await workbench.feels(bea, welcome, "try")
    assert query.text == "It is on its way already. For another one, press again in a moment."
    assert await ContentJob.all().count() == 1
    # Later it is meant.
    await ContentJob.all().update(created_at=now() - timedelta(minutes=1))
    await workbench.feels(bea, welcome, "try")
    assert await ContentJob.all().count() == 2
