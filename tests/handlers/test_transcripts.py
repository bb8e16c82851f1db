"""Whole conversations, word for word, in both languages: see `transcripts/`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Message
from db.models import ContentJob
from tests.handlers.house import House, know_prices
from tests.handlers.play import Play, compare
from tests.support.running import running_bot

Scene = Callable[[Play], Awaitable[None]]


async def first_minute(play: Play) -> None:
    """From a stranger's first word to a first picture."""
    house, language = play.house, play.language
    ada = await house.admin(language)
    bea = house.stranger("Bea", 701, language)
    play.scene("A stranger may ask, and nothing else")
    await play.asks(bea, play("/image a red fox", "/image un renard roux"))
    await play.asks(bea, "/help")
    await play.asks(bea, "/start")
    request = await play.hears(ada.chat)
    await play.asks(bea, "/budget")
    play.scene("The administrator decides")
    query = await play.presses(ada, request, play("✅ Approve", "✅ Accepter"))
    await play.becomes(request, lambda shown: shown.text == query.text)
    await play.hears(bea.chat)
    play.scene("What there is")
    welcome = await play.asks(bea, "/start")
    await play.presses(bea, welcome, "try")
    await play.result(bea.chat)
    help_ = await play.asks(bea, "/help")
    for topic in ("make", "results", "money", "groups", "privacy", "all"):
        before = help_.text
        await play.presses(bea, help_, f"help:{topic}")
        await play.becomes(help_, partial(_not, before))
    await play.asks(ada, "/help")
    await play.asks(bea, "/imagine")
    await play.asks(bea, "/xyzzy")
    play.scene("A word and a photo without a command")
    offer = await play.asks(bea, play("a red fox", "un renard roux"))
    await play.presses(bea, offer, play("🖼 Picture", "🖼 Image"))
    await play.becomes(offer, lambda shown: not shown.buttons)
    await play.result(bea.chat)
    await play.shows(bea)


async def money(play: Play) -> None:
    """A budget from its first word to the last cent, with every colour and alert."""
    bea = await play.house.member(language=play.language)
    fox = play("/image a red fox", "/image un renard roux")
    play.scene("No budget")
    await play.asks(bea, "/budget")
    await play.asks(bea, "/setbudget")
    await play.asks(bea, "/setbudget 0.10")
    play.scene("Green, yellow, yellow, red")
    for picture in range(4):
        await play.says(bea, fox)
        await play.result(bea.chat)
        if picture == 3:
            await play.hears(bea.chat)
        await play.asks(bea, "/budget")
    play.scene("Nothing left")
    await play.asks(bea, fox)
    await play.asks(bea, "/setbudget 5")
    await play.asks(bea, "/history")
    await play.asks(bea, "/dashboard")
    await play.asks(bea, "/setbudget off")


async def mistakes(play: Play) -> None:
    """What people write that cannot be done, and what they are told."""
    bea = await play.house.member(language=play.language, dollars="10")
    play.scene("Amounts")
    for typed in ("-1", "NaN", "1e999", play("ten", "dix"), "10.00.00", "1000001", "0.0000000001"):
        await play.asks(bea, f"/setbudget {typed}")
    await play.asks(bea, "/setbudget 10 €")
    await play.asks(bea, "/setbudget 5 @ada")
    await play.asks(bea, "/budget")
    play.scene("Pictures")
    await play.asks(bea, "/image")
    await play.asks(bea, "/video")
    await play.shows(bea, "/image")
    for options in ("--ar wide", "--ar 5:1", "--n 50", "--seed x", "--model dall-e", "--hd"):
        await play.asks(bea, f"/image {play('a red fox', 'un renard roux')} {options}")
    await play.asks(bea, f"/video {play('waves', 'des vagues')} --seed 42")
    await bea.sends_document(b"%PDF", "plan.pdf", "application/pdf", "/image")
    play.lines += ["Bea:", "    (plan.pdf)", "    /image", ""]
    await play.hears(bea.chat)
    play.scene("Other people's business")
    for command in ("users", "approve @ada", "stats"):
        await play.asks(bea, f"/{command}")
    await play.asks(bea, "/cancel")
    await play.asks(bea, "/history")


async def pictures(play: Play) -> None:
    """Pictures and videos, from words and from pictures, and the buttons under them."""
    bea = await play.house.member(language=play.language, dollars="10")
    play.scene("From words")
    await play.says(bea, play("/image a <red> fox & friends", "/image un renard <roux> & Cie"))
    picture = await play.result(bea.chat)
    play.scene("From a photo, and from the bot's own picture")
    await play.says(bea, play("/image in winter", "/image en hiver"), reply_to=picture)
    await play.result(bea.chat)
    await play.says(bea, play("/video it runs", "/video il court"), reply_to=picture)
    await play.result(bea.chat)
    play.scene("The buttons")
    for button in ("🔁", "🎲", "🎬"):
        await play.presses(bea, picture, button)
        await play.result(bea.chat)
    await play.presses(bea, picture, "📄")
    await play.hears(bea.chat)
    play.scene("Which model, and at what price")
    models = await play.asks(bea, "/models")
    await play.presses(bea, models, "FLUX.1 [schnell]")
    await play.becomes(models, lambda shown: "✓ FLUX.1 [schnell]" in shown.button_texts)
    await play.says(bea, play("/image a red fox --ar 9:16", "/image un renard roux --ar 9:16"))
    await play.result(bea.chat)
    play.scene("Settings")
    settings = await play.asks(bea, "/settings")
    await play.presses(bea, settings, "settings:ask")
    await play.becomes(settings, lambda shown: "✓" in shown.button_texts[0])
    await play.presses(bea, settings, "set:ask:0.05")
    await play.becomes(settings, lambda shown: "✓" not in shown.button_texts[0])
    question = await play.asks(bea, play("/video waves", "/video des vagues"))
    await play.presses(bea, question, play("✅ Make it", "✅"))
    await play.becomes(question, lambda shown: not shown.buttons)
    video = await play.result(bea.chat)
    await play.presses(bea, video, "🔁")
    question = await play.hears(bea.chat)
    await play.presses(bea, question, play("✅ Make it", "✅"))
    await play.becomes(question, lambda shown: not shown.buttons)
    await play.result(bea.chat)
    play.scene("Forgotten")
    question = await play.asks(bea, "/forget")
    await play.presses(bea, question, question.button_texts[0])
    await play.becomes(question, lambda shown: not shown.buttons)


async def several(play: Play) -> None:
    """Several at once: each comes when it is ready, and all of them once more as an album."""
    house, fal = play.house, play.house.fal
    fal.pace = "manual"
    bea = await house.member(language=play.language)
    foxes = play("/image a red fox", "/image un renard roux")
    play.scene("More than there is room for")
    await play.asks(bea, f"{foxes} --n 4")
    play.scene("Three, and the first is ready")
    await play.says(bea, f"{foxes} --n 3")
    shown = {message.id: message for message in [await play.hears(bea.chat) for _ in range(3)]}
    requests = await fal.wait_for_requests(3)
    await _followed(play, 3)

    async def is_ready(number: int) -> Message:
        fal.complete(requests[number])
        job = await ContentJob.get(request_id=requests[number].request_id)
        return await play.becomes(shown[job.status_message_id or 0])

    picture = await is_ready(0)
    await play.presses(bea, picture, play("🖼 As an album", "🖼 En album"))
    await play.asks(bea, f"{foxes} --n 2")
    play.scene("All of them")
    await is_ready(1)
    await is_ready(2)
    await play.presses(bea, picture, play("🖼 As an album", "🖼 En album"))
    for _ in range(3):
        await play.hears(bea.chat)


async def waiting(play: Play) -> None:
    """Waiting for fal: cancelled in time, too many, and too late."""
    play.house.fal.pace = "manual"
    bea = await play.house.member(language=play.language, dollars="1")
    fal = play.house.fal

    play.scene("Cancelled while it waits")
    first = await play.asks(bea, play("/image a red fox", "/image un renard roux"))
    await _followed(play, 1)
    await play.asks(bea, "/cancel")
    await play.becomes(first, lambda shown: not shown.buttons)
    play.scene("One of three")
    shown = []
    for number in (1, 2, 3):
        shown.append(await play.asks(bea, play(f"/image fox {number}", f"/image renard {number}")))
        await _followed(play, number + 1)
    await play.asks(bea, play("/image fox 4", "/image renard 4"))
    question = await play.asks(bea, "/cancel")
    await play.presses(bea, question, play("fox 2", "renard 2"))
    await play.becomes(shown[1], lambda message: not message.buttons)
    play.scene("Asked to stop, and finished all the same")
    fal.start(fal.requests[1])
    await play.presses(bea, shown[0], play("✖️ Cancel", "✖️ Annuler"))
    fal.complete(fal.requests[1])
    await play.becomes(shown[0])
    fal.complete(fal.requests[3])
    await play.becomes(shown[2])
    await play.asks(bea, "/budget")


async def failures(play: Play) -> None:
    """What fal does not do, and what that costs."""
    bea = await play.house.member(language=play.language, dollars="1")
    fal = play.house.fal
    fox = play("/image a red fox", "/image un renard roux")

    async def fails(heading: str, fault: Fault, operation: str) -> None:
        play.scene(heading)
        fal.faults.add(fault, operation)
        await play.says(bea, fox)
        message = await play.hears(bea.chat)
        await play.becomes(message, _is_over)

    await fails(
        "Against fal's rules",
        Fault("fails", status=422, message="content_policy_violation"),
        "job",
    )
    await fails("Something about the request", Fault("unprocessable"), "submit")
    await fails("fal breaks down", Fault("fails", status=500), "job")
    await fails("Too many requests", Fault("rate_limited"), "submit")
    play.scene("The safety filter")
    fal.faults.add("flagged", "job")
    await play.says(bea, fox)
    await play.result(bea.chat)
    play.scene("What it cost")
    await play.asks(bea, "/history")


async def _followed(play: Play, count: int) -> None:
    """Wait until the bot watches so many requests."""
    fal = play.house.fal
    await fal.wait_for(lambda: sum(c.operation == "stream" for c in fal.calls) >= count)


def _not(text: str, message: Message) -> bool:
    return message.text != text


def _is_over(message: Message) -> bool:
    return not message.buttons


async def administration(play: Play) -> None:
    """An administrator's day."""
    house, language = play.house, play.language
    ada = await house.admin(language)
    bea = await house.member(language=language, dollars="2")
    mal = house.stranger(language=language)
    play.scene("Who asks, and who is there")
    await play.asks(ada, "/pending")
    await play.asks(mal, "/start")
    await play.hears(ada.chat)
    request = await play.asks(ada, "/pending")
    await play.presses(ada, request, play("🚫 Deny", "🚫 Refuser"))
    await play.becomes(request, _is_over)
    await play.hears(mal.chat)
    play.scene("Denied people are not answered any more")
    await play.says(mal, "/start")
    play.scene("A change of mind, and names that are not known")
    await play.asks(ada, "/approve @mal")
    await play.hears(mal.chat)
    await play.asks(ada, "/approve @mal")
    await play.asks(ada, "/approve")
    await play.asks(ada, "/approve @nobody")
    await play.asks(ada, "/deny @ada")
    play.scene("Budgets of others")
    await play.asks(ada, "/setbudget 7.65 @bea")
    await play.hears(bea.chat)
    await play.asks(ada, "/setbudget off @bea")
    await play.hears(bea.chat)
    play.scene("Models beside the catalog")
    kling = "fal-ai/kling-video/v2.5-turbo/pro"
    await play.asks(ada, f"/models add {kling}/text-to-video")
    await play.asks(ada, f"/models add https://fal.ai/models/{kling}/image-to-video")
    await play.asks(ada, "/models add fal-ai/fast-sdxl")
    await play.asks(ada, "/models add")
    await play.asks(bea, "/models add fal-ai/recraft/v3/text-to-image")
    await play.asks(ada, "/models")
    await play.asks(ada, "/models remove kling-video-v2.5-turbo-pro")
    play.scene("The whole house")
    people = await play.asks(ada, "/users")
    await play.presses(ada, people, "Mal")
    await play.becomes(people, lambda shown: shown.text.startswith("👤 Mal"))
    await play.presses(ada, people, "give:666:0:5")
    await play.becomes(people, lambda shown: "5" in shown.text.splitlines()[-1])
    await play.hears(mal.chat)
    await play.presses(ada, people, "give:666:0:other")
    question = await play.hears(ada.chat)
    await play.asks(ada, play("12.50", "12,50"), reply_to=question)
    await play.hears(mal.chat)
    await play.presses(ada, people, "users:0")
    await play.becomes(people, lambda shown: shown.text.startswith("👥"))
    await play.asks(ada, "/stats")
    await play.asks(ada, "/balance")
    await play.asks(ada, "/reconcile")


async def group(play: Play) -> None:
    """In a group: pictures for all to see, figures for nobody."""
    house, language = play.house, play.language
    ada, bea = await house.admin(language), await house.member(language=language, dollars="0.05")
    team = house.telegram.group("Team", [ada, bea])
    play.scene("A picture for all to see")
    await play.says(bea, play("/image a red fox", "/image un renard roux"), team)
    await play.result(team)
    play.scene("Figures for nobody")
    await play.asks(bea, "/budget", team)
    await play.asks(ada, "/users", team)
    await play.asks(bea, play("/video waves", "/video des vagues"), team)
    await play.asks(bea, "/start", team)


SCENES: tuple[Scene, ...] = (
    first_minute,
    money,
    mistakes,
    pictures,
    several,
    waiting,
    failures,
    administration,
    group,
)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_the_conversation_is_the_one_that_was_approved(
    sandbox: Sandbox, database_url: str, language: str, scene: Scene
) -> None:
    admin_key = sandbox.fal.account.admin_key
    async with running_bot(sandbox, database_url, start=False, fal_admin_key=admin_key) as running:
        await know_prices(sandbox.fal)
        await running.start()
        play = Play(House(sandbox, running), language)
        await scene(play)
        compare(scene.__name__, language, play.text())
