"""A newcomer at the chat page, on a desktop and on a phone, with the real bot behind it."""

from __future__ import annotations

import re
from pathlib import Path

from bot.sandbox.demo import Stage
from bot.sandbox.telegram import Message
from tests.browser.chromium import Page

ADA, BEN = "Chat of Ada", "Chat of Ben"
ENTER, ESCAPE, TAB, UP = ("Enter", 13), ("Escape", 27), ("Tab", 9), ("ArrowUp", 38)


async def turn_to(page: Page, name: str) -> None:
    """Look at the screen of a person, which on a phone takes a press."""
    if page.look.phone:
        await page.click("button", re.compile(rf"^{name}\b"))
    await page.find("region", f"Chat of {name}")


async def say(page: Page, name: str, text: str) -> None:
    """Write `text` as a person does, and send it."""
    await turn_to(page, name)
    await page.click("textbox", f"Message as {name}")
    await page.write(text)
    await page.click("button", "Send", f"Chat of {name}")


async def reads(page: Page, name: str, text: str) -> None:
    """Wait until the last message that a person sees has `text` in it."""
    bubble = f"section[aria-label='Chat of {name}'] .log > :last-child .bubble"
    await page.wait_for(f"document.querySelector({bubble!r})?.innerText.includes({text!r})")


async def let_in(page: Page, on: Stage) -> None:
    """Ben asks, Ada presses Approve."""
    await turn_to(page, "Ben")
    await page.click("button", "Start", BEN)
    await reads(page, "Ben", "administrators")
    await turn_to(page, "Ada")
    await page.click("button", "✅ Approve", ADA)
    await page.wait_for("!document.querySelector('[aria-busy]')")
    await turn_to(page, "Ben")
    await reads(page, "Ben", "You are in!")


async def picture(page: Page, on: Stage, wanted: str) -> Message:
    """Make a picture of `wanted` for Ben."""
    await say(page, "Ben", f"/image {wanted}")
    request = (await on.sandbox.fal.wait_for_requests(1))[-1]
    on.sandbox.fal.complete(request)
    return await on.member.chat.wait_for_media("photo")


async def test_being_let_in_a_budget_and_a_picture_that_takes_the_place_of_its_status(
    page: Page, on: Stage
) -> None:
    await let_in(page, on)
    await say(page, "Ben", "/setbudget 1.00")
    await reads(page, "Ben", "🟢 $1.00 of $1.00 left (100 %)")
    await say(page, "Ben", "/image a lighthouse at dawn")
    await reads(page, "Ben", "a lighthouse at dawn")
    await page.find("button", re.compile("Cancel"), BEN)
    number = await page.evaluate(
        f"document.querySelector('[aria-label=\"{BEN}\"] .log > :last-child').dataset.id"
    )
    (request,) = await on.sandbox.fal.wait_for_requests(1)
    on.sandbox.fal.complete(request)
    same = f"document.querySelector('[data-id=\"{number}\"] .photo img')"
    await page.wait_for(f"{same}?.complete && {same}.naturalWidth === 1024")
    await reads(page, "Ben", "🟢 $0.975 of $1.00 left (97 %)")
    assert not await page.has("button", re.compile("Cancel"), BEN)
    assert await page.evaluate(f"document.querySelectorAll('[data-id=\"{number}\"]').length") == 1


async def test_a_running_job_is_cancelled_by_its_button(page: Page, on: Stage) -> None:
    await let_in(page, on)
    await say(page, "Ben", "/image a lighthouse at dawn")
    await on.sandbox.fal.wait_for_requests(1)
    await page.click("button", re.compile("Cancel"), BEN)
    await reads(page, "Ben", "Cancelled")
    assert on.sandbox.fal.requests[0].state == "removed"


async def test_a_photo_is_sent_with_a_caption_and_something_made_of_it(
    page: Page, on: Stage, photo: Path
) -> None:
    await let_in(page, on)
    await page.choose_file(photo, "button", "Send a picture", BEN)
    await page.find("dialog", "Send a picture")
    await page.write("/image in autumn")
    await page.click("button", "Send")
    (request,) = await on.sandbox.fal.wait_for_requests(1)
    assert request.endpoint_id == "fal-ai/flux/dev/image-to-image"
    on.sandbox.fal.complete(request)
    await reads(page, "Ben", "Your picture")
    assert not await page.has("dialog", "Send a picture")
    assert (
        await page.evaluate(f"document.querySelectorAll('[aria-label=\"{BEN}\"] .photo').length")
        == 2
    )


async def test_a_video_is_made_by_replying_to_a_picture(page: Page, on: Stage) -> None:
    await let_in(page, on)
    shown = await picture(page, on, "a lighthouse at dawn")
    await page.wait_for(f"document.querySelector('[data-id=\"{shown.id}\"] .photo img')?.complete")
    await page.click("button", "Reply", BEN)
    await page.find("button", "Do not reply", BEN)
    await say(page, "Ben", "/video the light turns")
    (_, request) = await on.sandbox.fal.wait_for_requests(2)
    assert request.endpoint_id == "fal-ai/luma-dream-machine/image-to-video"
    on.sandbox.fal.complete(request)
    await page.wait_for("document.querySelector('video')?.videoWidth === 360")


async def test_a_person_who_turns_to_french_is_answered_in_french(page: Page, on: Stage) -> None:
    await let_in(page, on)
    await page.choose("combobox", "Language of Ben", "fr")
    await on.sandbox.telegram.wait_for(lambda: on.member.language == "fr")
    await say(page, "Ben", "/budget")
    await reads(page, "Ben", "Dépensé : 0,00 $")
    await page.click("textbox", "Message as Ben")
    await page.write("/bud")
    await page.find("option", "/budget Ce qui reste", BEN)
    await turn_to(page, "Ada")
    await say(page, "Ada", "/budget")
    await reads(page, "Ada", "Spent: $0.00")


async def test_a_new_person_is_there_at_once(page: Page, on: Stage) -> None:
    await page.click("button", "Add a person or a group")
    await page.click("menuitem", "New person")
    await page.write("Chloé")
    await page.choose("combobox", "Language", "fr")
    await page.click("button", "Add")
    await page.click("button", "Start", "Chat of Chloé")
    await reads(page, "Chloé", "Bonjour")
    await turn_to(page, "Ada")
    if not page.look.phone:
        await page.click("button", re.compile("^Ada"))
    await reads(page, "Ada", "Chloé")


async def test_everything_works_from_the_keyboard(page: Page, on: Stage) -> None:
    await let_in(page, on)
    await page.click("textbox", "Message as Ben")
    for key in ("/", "b", "u", "d"):
        await page.key(key, ord(key.upper()))
    await page.find("option", "/budget What is left", BEN)
    await page.key(*ENTER)
    await reads(page, "Ben", "Spent: $0.00")
    assert await page.focused() == "textbox 'Message as Ben'"
    # Back past the picture and menu buttons into the messages, up, and an answer to that one.
    for _ in range(3):
        await page.key(*TAB, shift=True)
    assert (await page.focused()).startswith("listitem 'fal budget bot:")
    await page.key(*UP)
    assert await page.focused() == "listitem 'You: /budget'"
    await page.key("r", 82)
    assert await page.focused() == "textbox 'Message as Ben'"
    assert await page.has("button", "Do not reply", BEN)
    await page.key(*ESCAPE)
    assert not await page.has("button", "Do not reply", BEN)


async def test_nothing_that_can_be_operated_is_without_a_name(page: Page, on: Stage) -> None:
    await let_in(page, on)
    await picture(page, on, "a lighthouse at dawn")
    await page.wait_for("document.querySelector('.photo img')?.complete")
    if page.look.phone:
        await page.click("button", "What fal sees")
    assert [name for name in await page.names() if name.endswith(" ''")] == []
    assert await page.evaluate("[...document.images].every((image) => image.hasAttribute('alt'))")
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.look.width
