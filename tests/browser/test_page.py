"""What the chat page does with whatever a bot can say, without our bot behind it."""

from __future__ import annotations

import asyncio
import re

import pytest
from telegram import (
    Bot,
    CopyTextButton,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    LinkPreviewOptions,
)
from telegram.constants import ParseMode

from bot.sandbox import Sandbox
from bot.sandbox.telegram import plain_photo
from tests.browser.chromium import Browser, Look, Page

ADA = 1001
HTML = ParseMode.HTML

# Every pair of colours that text is shown in.
TEXT_ON = [
    ("--text", "--wall"),
    ("--text", "--theirs"),
    ("--text", "--own"),
    ("--muted", "--theirs"),
    ("--muted", "--bar"),
    ("--muted", "--card"),
    ("--muted", "--field"),
    ("--own-muted", "--own"),
    ("--accent-strong", "--theirs"),
    ("--accent-strong", "--accent-soft"),
    ("--on-accent", "--accent"),
    ("--good", "--good-soft"),
    ("--bad", "--bad-soft"),
    ("--wait", "--wait-soft"),
]
CONTRAST = """
(pairs) => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const light = (name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    canvas.fillStyle = getComputedStyle(probe).color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((byte) => {
      const share = byte / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return pairs.map(([one, other]) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  });
}
"""


async def test_text_stays_text_whatever_it_says(alone: Page, sandbox: Sandbox, bot: Bot) -> None:
    wicked = "<img src=x onerror='document.title=1'><script>document.title=2</script>"
    await sandbox.telegram.people[ADA].sends(wicked)
    await bot.send_message(ADA, wicked)
    await alone.wait_for("document.querySelectorAll('.row').length === 2")
    shown = await alone.evaluate("[...document.querySelectorAll('.text')].map((t) => t.innerText)")
    assert all(text.startswith(wicked) for text in shown)
    assert await alone.evaluate("document.querySelectorAll('.text img, .text script').length") == 0
    assert await alone.evaluate("document.title") == "fal budget bot — demo"


async def test_formatting_is_shown(alone: Page, bot: Bot) -> None:
    await bot.send_message(
        ADA,
        "😀 <b>bold <i>both</i></b> <code>code</code> <u>u</u> <s>s</s> "
        "<a href='https://example.org/'>link</a> <a href='javascript:alert(1)'>bad</a> "
        "<tg-spoiler>secret</tg-spoiler>\n<pre>x = 1</pre><blockquote>said</blockquote> "
        "/help @lovelace",
        parse_mode=HTML,
        link_preview_options=LinkPreviewOptions(is_disabled=True),
    )
    await alone.find("button", "/help")
    shown = await alone.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.text *')].map("
        "(e) => [e.className || e.tagName, e.tagName === 'A' ? e.href : e.textContent]))"
    )
    assert shown["STRONG"] == "bold both"
    assert shown["EM"] == "both"
    assert shown["U"] == "u"
    assert shown["S"] == "s"
    assert shown["A"] == "https://example.org/"
    assert shown["PRE"] == "x = 1"
    assert shown["BLOCKQUOTE"] == "said"
    assert shown["spoiler"] == "secret"
    assert shown["mention"] == "@lovelace"
    assert await alone.evaluate("document.querySelectorAll('.text a').length") == 1


async def test_a_command_in_a_message_can_be_pressed(
    alone: Page, sandbox: Sandbox, bot: Bot
) -> None:
    await bot.send_message(ADA, "Try /help")
    await alone.click("button", "/help", "Chat of Ada")
    await alone.wait_for("document.querySelector('.own')?.innerText.includes('/help')")
    (update,) = await bot.get_updates(timeout=10)
    assert update.message is not None
    assert update.message.text == "/help"


async def test_a_pressed_button_waits_for_the_bot_and_shows_what_it_says(
    alone: Page, bot: Bot
) -> None:
    keyboard = InlineKeyboardMarkup(
        [
            [InlineKeyboardButton("In passing", callback_data="toast")],
            [InlineKeyboardButton("In the way", callback_data="alert")],
        ]
    )
    await bot.send_message(ADA, "Which?", reply_markup=keyboard)
    await alone.click("button", "In passing")
    await alone.wait_for("document.querySelector('[aria-busy=true]')")
    (update,) = await bot.get_updates(timeout=10)
    assert update.callback_query is not None
    await bot.answer_callback_query(update.callback_query.id, "Done & <b>dusted</b>")
    await alone.wait_for("document.querySelector('.toast')?.innerText === 'Done & <b>dusted</b>'")
    assert not await alone.evaluate("document.querySelector('[aria-busy]')")
    await alone.click("button", "In the way")
    (update,) = await bot.get_updates(update.update_id + 1, timeout=10)
    assert update.callback_query is not None
    await bot.answer_callback_query(update.callback_query.id, "Listen!", show_alert=True)
    await alone.find("dialog", "fal budget bot")
    assert await alone.focused() == "button 'OK'"
    await alone.click("button", "OK")
    await alone.wait_for("!document.querySelector('dialog')")


async def test_links_and_texts_to_copy_are_buttons_too(alone: Page, bot: Bot) -> None:
    keyboard = InlineKeyboardMarkup(
        [
            [InlineKeyboardButton("Open", url="https://example.org/")],
            [InlineKeyboardButton("Copy", copy_text=CopyTextButton("42"))],
        ]
    )
    await bot.send_message(ADA, "Where?", reply_markup=keyboard)
    await alone.find("link", "Open")
    link = await alone.evaluate(
        "(({href, target, rel}) => [href, target, rel])(document.querySelector('a.key'))"
    )
    assert link == ["https://example.org/", "_blank", "noopener noreferrer"]
    assert await alone.has("button", "Copy")


async def test_edits_deletions_and_typing_show_at_once(alone: Page, bot: Bot) -> None:
    first = await bot.send_message(ADA, "Working…")
    await bot.send_chat_action(ADA, "upload_photo")
    await alone.wait_for("document.querySelector('.acting')?.innerText.includes('sending a photo')")
    await bot.edit_message_text("Nearly…", ADA, first.message_id)
    await alone.wait_for("document.querySelector('.text')?.innerText.startsWith('Nearly…')")
    assert not await alone.evaluate("document.querySelector('.acting')")
    await bot.edit_message_media(InputMediaPhoto(plain_photo()), ADA, first.message_id)
    await alone.wait_for("document.querySelector('.photo img')?.naturalWidth === 640")
    await first.delete()
    await alone.wait_for("!document.querySelector('.row')")


async def test_albums_and_files(alone: Page, bot: Bot) -> None:
    album = [InputMediaPhoto(plain_photo(), caption="Two"), InputMediaPhoto(plain_photo())]
    await bot.send_media_group(ADA, album)
    await bot.send_document(ADA, b"a,b\r\n", filename="history.csv", caption="All of it")
    await alone.find("link", re.compile("history.csv"))
    assert await alone.evaluate("document.querySelectorAll('.row').length") == 2
    assert await alone.evaluate("document.querySelectorAll('.album .photo').length") == 2
    assert await alone.evaluate("document.querySelector('a.file').download") == "history.csv"


async def test_an_album_shows_the_words_that_are_for_all_of_it(alone: Page, bot: Bot) -> None:
    picture = plain_photo()
    await bot.send_media_group(ADA, [InputMediaPhoto(picture, f"No. {n}") for n in range(3)])
    await alone.wait_for("document.querySelectorAll('.album .photo').length === 3")
    assert not await alone.evaluate("document.querySelector('.row .text')?.innerText ?? ''")
    await bot.send_media_group(ADA, [InputMediaPhoto(picture), InputMediaPhoto(picture, "Both")])
    await alone.wait_for("document.querySelector('.row .text')?.innerText.startsWith('Both')")


async def test_the_newest_message_stays_in_sight_unless_one_has_gone_up(
    alone: Page, bot: Bot
) -> None:
    scroller = "document.querySelector('.scroller')"
    at_end = f"(s => s.scrollHeight - s.scrollTop - s.clientHeight < 2)({scroller})"
    for number in range(30):
        await bot.send_message(ADA, f"Line {number}")
    await bot.send_photo(ADA, plain_photo())
    await alone.wait_for("document.querySelectorAll('.row').length === 31")
    await alone.wait_for(at_end)
    await alone.evaluate(f"{scroller}.scrollTop = 0")
    await alone.find("button", "To the newest message")
    await bot.send_message(ADA, "Below")
    await alone.click("button", "To the newest message 1")
    await alone.wait_for(at_end)


async def test_a_press_moves_nothing_although_its_message_is_drawn_again(
    browser: Browser, sandbox: Sandbox, bot: Bot
) -> None:
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Press", callback_data="press")]])
    scroller = "document.querySelector('.scroller')"
    place = f"{scroller}.scrollTop"
    at_end = f"(s => s.scrollHeight - s.scrollTop - s.clientHeight < 1)({scroller})"
    async with browser.page(sandbox.base_url, Look(height=430)) as page:
        await bot.send_message(ADA, "One line")
        await bot.send_photo(ADA, plain_photo(), reply_markup=keyboard)
        loaded = "document.querySelector('.photo img')?.complete"
        await page.wait_for(f"{loaded} && {place} > 100 && {at_end}")
        before = await page.evaluate(place)
        await page.click("button", "Press")
        (update,) = await bot.get_updates(timeout=10)
        assert update.callback_query is not None
        assert await page.evaluate(place) == before
        await update.callback_query.answer()
        await page.wait_for("!document.querySelector('[aria-busy]')")
        assert await page.evaluate(place) == before


async def test_a_picture_is_seen_large_and_left_with_escape(alone: Page, bot: Bot) -> None:
    await bot.send_photo(ADA, plain_photo(), caption="A plain one")
    await alone.wait_for("document.querySelector('.photo img')?.complete")
    await alone.click("button", "Picture")
    await alone.find("dialog", "Picture")
    await alone.find("image", "A plain one")
    await alone.key("Escape", 27)
    await alone.wait_for("!document.querySelector('dialog')")


async def test_the_menu_is_walked_with_the_arrow_keys(
    alone: Page, sandbox: Sandbox, bot: Bot
) -> None:
    await bot.set_my_commands([("image", "Make a picture"), ("budget", "What is left")])
    await sandbox.telegram.people[ADA].sends("Hello")
    await alone.find("button", "Menu", "Chat of Ada")
    await alone.wait_for("document.querySelector('.commands')")
    await alone.click("button", "Menu", "Chat of Ada")
    await alone.find("option", "/image Make a picture")
    for _ in range(2):
        await alone.key("ArrowDown", 40)
    active = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
    assert await alone.evaluate(f"{active}.dataset.text") == "/budget"
    await alone.key("Tab", 9)
    assert await alone.evaluate("document.activeElement.value") == "/budget "
    await alone.key("Escape", 27)
    assert not await alone.has("option", "/image Make a picture")


async def test_a_group_is_seen_by_everybody_in_it(alone: Page, sandbox: Sandbox, bot: Bot) -> None:
    sandbox.telegram.person(1002, "Ben", started=True)
    await alone.find("region", "Chat of Ben")
    await alone.click("button", "Add a person or a group")
    await alone.click("menuitem", "New group with everybody")
    await alone.click("button", "Add")
    await alone.click("textbox", "Message as Ben")
    await alone.write("/help@fal_budget_bot")
    await alone.key("Enter", 13)
    await alone.wait_for("document.querySelectorAll('.row.theirs .sender').length === 1")
    sender = await alone.evaluate(
        "document.querySelector('[aria-label=\"Chat of Ada\"] .sender').innerText"
    )
    assert sender == "Ben"
    (update,) = await bot.get_updates(timeout=10)
    assert update.effective_chat is not None
    assert update.effective_chat.title == "Studio"
    private = InlineKeyboardButton("To our chat", url=f"https://t.me/{bot.username}")
    group = update.effective_chat.id
    await bot.send_message(group, "Not here", reply_markup=InlineKeyboardMarkup([[private]]))
    await alone.click("button", "To our chat", "Chat of Ada")
    await alone.find("button", "Start", "Chat of Ada")


async def test_fal_can_be_watched_and_pushed(alone: Page, sandbox: Sandbox) -> None:
    import httpx

    await alone.click("radio", "By hand")
    await sandbox.fal.wait_for(lambda: sandbox.fal.pace == "manual")
    async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False) as http:
        key = {"Authorization": f"Key {sandbox.fal.account.api_key}"}
        await http.post("/fal/queue/fal-ai/flux/dev", json={"prompt": "a cat"}, headers=key)
    await alone.click("button", "Finish")
    await alone.wait_for("document.querySelector('.state.done')?.innerText === '$0.025'")
    await alone.wait_for("document.querySelector('.balance').innerText.includes('$99.975')")
    await alone.click("checkbox", "The account is out of credit")
    await sandbox.fal.wait_for(lambda: sandbox.fal.account.locked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_can_be_read_in_light_and_in_dark(
    browser: Browser, sandbox: Sandbox, scheme: str
) -> None:
    async with browser.page(sandbox.base_url, Look(scheme=scheme)) as page:
        ratios = await page.evaluate(f"({CONTRAST})({[list(pair) for pair in TEXT_ON]})")
    weak = {pair: ratio for pair, ratio in zip(TEXT_ON, ratios, strict=True) if ratio < 4.5}
    assert weak == {}


async def test_light_or_dark_is_as_chosen_also_the_next_time(alone: Page) -> None:
    await alone.click("button", "Switch to dark")
    await alone.find("button", "Switch to light")
    await alone.call("Page.reload")
    await alone.find("button", "Switch to light")
    assert await alone.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


async def test_a_demo_that_stops_and_comes_back_is_told(browser: Browser) -> None:
    async with Sandbox() as first:
        port = first.port
        first.telegram.person(ADA, "Ada", started=True)
        opening = browser.page(first.base_url, Look())
        page = await opening.__aenter__()
    try:
        await page.wait_for("!document.getElementById('offline').hidden")
        async with Sandbox(port=port) as second:
            person = second.telegram.person(ADA, "Ada", started=True)
            await person.sends("Here again")
            await page.wait_for("document.querySelector('.text')?.innerText.includes('Here again')")
            await asyncio.wait_for(page.wait_for("document.getElementById('offline').hidden"), 20)
    finally:
        await opening.__aexit__(None, None, None)
