"""Takes the pictures in `docs/images/`: `python -m tests.screenshots`, or `make screenshots`.

They show the demo as it is, in a real Chromium; the conversation is played by the real bot.
"""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from bot.sandbox.demo import Stage, stage
from bot.sandbox.fal.media import draw_scene
from bot.sandbox.telegram import Message, Person
from tests.browser import chromium
from tests.browser.chromium import Browser, Look, Page

FOLDER = Path(__file__).parents[1] / "docs" / "images"
DESKTOP = (1280, 860)
PHONE = (390, 844)
GAP = 24


async def ask(person: Person, text: str, expected: str, reply_to: Message | None = None) -> Message:
    """Write `text` and wait for the answer."""
    sent = await person.sends(text, reply_to=reply_to)
    return await person.chat.wait_for_text(expected, 30, after=sent)


async def play(on: Stage) -> None:
    """What has happened before the pictures are taken."""
    ada, ben = on.admin, on.member
    await ask(ada, "/start", "Hello Ada")
    await ask(ben, "/start", "administrators")
    request = await ada.chat.wait_for_text(str(ben.id), 30)
    await ada.presses(request, "Approve")
    await ben.chat.wait_for_text("You are in", 30)
    await ask(ada, "/setbudget 10.00", r"10\.00 left")
    await ask(ben, "/setbudget 2.00", r"2\.00 left")
    sent = await ada.sends_photo(draw_scene("", 7, (800, 600)), "/image the hills in autumn")
    autumn = await ada.chat.wait_for_media("photo", 30, after=sent)
    sent = await ada.sends("/video clouds drift over the hills", reply_to=autumn)
    await ada.chat.wait_for_media("video", 30, after=sent)
    for prompt in ("a paper boat on a lake", "a lighthouse at dawn"):
        sent = await ben.sends(f"/image {prompt}")
        await ben.chat.wait_for_media("photo", 30, after=sent)
    sent = await ada.sends("/dashboard")
    await ada.chat.wait_for_media("photo", 30, after=sent)


async def start_a_video(on: Stage) -> None:
    """A video on its way, as far as fal says that it is."""
    ben, fal = on.member, on.sandbox.fal
    fal.pace = "manual"
    picture = await ben.chat.wait_for_media("photo", 30)
    count = len(fal.requests)
    sent = await ben.sends("/video the light begins to turn", reply_to=picture)
    request = (await fal.wait_for_requests(count + 1, 30))[-1]
    fal.start(request)
    fal.progress(request, " 60%|██████    | 3/5")
    # The bar moves once the bot has looked at the job for a while.
    await ben.chat.wait_for_text("▰", 30, after=sent)


async def settled(page: Page) -> bytes:
    """The page with its pictures there and nothing moving, as PNG."""
    await page.wait_for(
        "[...document.images].every((image) => image.complete)"
        " && [...document.querySelectorAll('video')].every((video) => video.readyState >= 2)"
        " && !document.querySelector('.toast')"
    )
    await page.evaluate("document.activeElement.blur()")
    await page.evaluate("new Promise((resolve) => setTimeout(resolve, 300))")
    return await page.screenshot()


def keep(name: str, *pictures: bytes) -> None:
    """Write pictures side by side into one file."""
    images = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    width = sum(image.width for image in images) + GAP * (len(images) - 1)
    sheet = Image.new("RGB", (width, images[0].height), "white")
    left = 0
    for image in images:
        sheet.paste(image, (left, 0))
        left += image.width + GAP
    path = FOLDER / name
    sheet.save(path, optimize=True)
    print(f"{path.relative_to(FOLDER.parents[1])}: {path.stat().st_size // 1024} KB")


async def desktop(browser: Browser, on: Stage, scheme: str) -> bytes:
    """Both people side by side."""
    look = Look(*DESKTOP, scheme=scheme)
    async with browser.page(on.sandbox.base_url, look) as page:
        return await settled(page)


async def phone(browser: Browser, on: Stage, name: str, scheme: str, menu: bool = False) -> bytes:
    """One person's screen on a phone."""
    look = Look(*PHONE, phone=True, scheme=scheme)
    async with browser.page(on.sandbox.base_url, look) as page:
        await page.click("button", name)
        if menu:
            await page.click("button", "Menu", f"Chat of {name}")
            return await page.screenshot()
        return await settled(page)


async def main() -> int:
    """Take all pictures."""
    program = chromium.installed()
    if program is None:
        print("There is no Chromium here: install one, or name it in CHROMIUM.", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder, chromium.running(program, Path(folder)) as url:
        async with chromium.browser(url) as browser, stage(pace="instant") as on:
            await play(on)
            phones = [
                await phone(browser, on, "Ben", "light"),
                await phone(browser, on, "Ada", "dark"),
                await phone(browser, on, "Ada", "light", menu=True),
            ]
            await start_a_video(on)
            keep("chat.png", await desktop(browser, on, "light"))
            keep("chat-dark.png", await desktop(browser, on, "dark"))
            keep("phone.png", *phones)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
