"""What Telegram accepts from a bot, and what it refuses."""

from __future__ import annotations

import json

import httpx
import pytest
from telegram import (
    Bot,
    BotCommand,
    BotCommandScopeChat,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    InputMediaVideo,
    ReplyParameters,
)
from telegram.error import BadRequest, Forbidden, InvalidToken, NetworkError

from bot.sandbox.fal.media import sample_video
from bot.sandbox.telegram import Person, TelegramWorld, plain_photo
from bot.sandbox.telegram.formatting import parse_html
from tests.sandbox.saying import says


def keyboard(
    text: str = "Yes", data: str | None = "yes", url: str | None = None
) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton(text, callback_data=data, url=url)]])


async def test_a_sent_text_comes_back_and_stands_in_the_chat(bot: Bot, ada: Person) -> None:
    sent = await bot.send_message(
        ada.id, "<b>Hi</b> &lt;you&gt; 🙂 <i>x</i>", parse_mode="HTML", reply_markup=keyboard()
    )
    assert sent.text == "Hi <you> 🙂 x"
    assert [(e.type, e.offset, e.length) for e in sent.entities] == [
        ("bold", 0, 2),
        ("italic", 12, 1),
    ]
    shown = await ada.chat.next_message()
    assert shown.id == sent.message_id
    assert shown.button_texts == ["Yes"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "message text is empty"),
        ("  \n ", "message text is empty"),
        ("<b> </b>", "message text is empty"),
        ("x" * 4097, "message is too long"),
        ("🙂" * 2049, "message is too long"),
        ("<b>bold", 'Can\'t find end tag corresponding to start tag "b"'),
        ("a < b", "can't parse entities"),
        ("<font>x</font>", 'Unsupported start tag "font" at byte offset 0'),
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ('<span class="big">x</span>', 'Tag "span" must have class "tg-spoiler"'),
    ],
)
async def test_a_text_that_telegram_refuses(bot: Bot, ada: Person, text: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=says(reason)):
        await bot.send_message(ada.id, text, parse_mode="HTML")
    assert ada.chat.from_bot == []


async def test_the_longest_text_is_counted_after_entities(bot: Bot, ada: Person) -> None:
    await bot.send_message(ada.id, f"<b>{'&amp;' * 4096}</b>", parse_mode="HTML")
    assert len(ada.chat.last.text) == 4096


def test_html_is_read_as_telegram_reads_it() -> None:
    text, entities = parse_html(
        '<a href="https://fal.ai/?a=1&amp;b=2">fal</a> & <pre><code class="language-py">x</code>'
        "</pre><tg-spoiler>s</tg-spoiler><blockquote expandable>q</blockquote>&unknown;&#233;"
    )
    assert text == "fal & xsq&unknown;é"
    assert entities == [
        {"type": "text_link", "url": "https://fal.ai/?a=1&b=2", "offset": 0, "length": 3},
        {"type": "pre", "language": "py", "offset": 6, "length": 1},
        {"type": "spoiler", "offset": 7, "length": 1},
        {"type": "expandable_blockquote", "offset": 8, "length": 1},
    ]


@pytest.mark.parametrize(
    ("markup", "reason"),
    [
        (keyboard(data="é" * 33), "BUTTON_DATA_INVALID"),
        (keyboard(data=""), "BUTTON_DATA_INVALID"),
        (keyboard(text=" "), "text must be non-empty"),
        (keyboard(data=None), "Text buttons are unallowed"),
        (keyboard(data=None, url="javascript:1"), "Wrong HTTP URL"),
        (keyboard(url="https://fal.ai"), "exactly one action"),
    ],
)
async def test_a_button_that_telegram_refuses(
    bot: Bot, ada: Person, markup: InlineKeyboardMarkup, reason: str
) -> None:
    with pytest.raises(BadRequest, match=says(reason)):
        await bot.send_message(ada.id, "x", reply_markup=markup)


async def test_callback_data_of_64_bytes_is_accepted(bot: Bot, ada: Person) -> None:
    await bot.send_message(ada.id, "x", reply_markup=keyboard(data="é" * 32))
    assert ada.chat.last.buttons[0]["callback_data"] == "é" * 32


async def test_who_cannot_be_written_to(bot: Bot, ada: Person, world: TelegramWorld) -> None:
    with pytest.raises(BadRequest, match=says("chat not found")):
        await bot.send_message(404, "x")
    silent = world.person(id=1002, name="Silent")
    with pytest.raises(Forbidden, match=says("can't initiate conversation")):
        await bot.send_message(silent.id, "x")
    ada.blocks_bot()
    with pytest.raises(Forbidden, match=says("bot was blocked by the user")):
        await bot.send_message(ada.id, "x")
    await ada.sends("back again")
    await bot.send_message(ada.id, "x")


async def test_a_wrong_token_is_refused(http: httpx.AsyncClient, world: TelegramWorld) -> None:
    answer = await http.post("/telegram/bot1:wrong/getMe")
    assert answer.status_code == 401
    assert answer.json() == {"ok": False, "error_code": 401, "description": "Unauthorized"}
    stranger = Bot("1:wrong", base_url=f"{http.base_url}/telegram/bot")
    with pytest.raises(InvalidToken):
        await stranger.initialize()
    await stranger.shutdown()


async def test_an_unknown_method_is_refused(http: httpx.AsyncClient, world: TelegramWorld) -> None:
    answer = await http.post(f"/telegram/bot{world.token}/sendMesage", json={})
    assert answer.status_code == 404
    assert world.complaints == ["unknown method sendMesage"]


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"chat_id": 1001, "text": "x", "parsemode": "HTML"}, "unknown parameter parsemode"),
        ({"text": "x"}, "chat_id is empty"),
        ({"chat_id": 1001}, "message text is empty"),
        ({"chat_id": 1001, "text": "x", "disable_notification": "perhaps"}, "of type Boolean"),
        ({"chat_id": 1001, "text": "x", "reply_markup": "{"}, "can't parse"),
        (
            {"chat_id": 1001, "text": "x", "reply_parameters": {"mesage_id": 1}},
            '"message_id" of ReplyParameters is required',
        ),
        (
            {
                "chat_id": 1001,
                "text": "x",
                "reply_markup": {"inline_keyboard": [[{"text": "x", "calback_data": "y"}]]},
            },
            "unknown field 'calback_data' in InlineKeyboardButton",
        ),
    ],
)
async def test_parameters_are_checked_against_the_description(
    http: httpx.AsyncClient,
    ada: Person,
    world: TelegramWorld,
    params: dict[str, object],
    reason: str,
) -> None:
    answer = await http.post(f"/telegram/bot{world.token}/sendMessage", json=params)
    assert answer.status_code == 400
    assert reason in answer.json()["description"]
    assert world.complaints


async def test_telegram_itself_ignores_unknown_parameters(
    http: httpx.AsyncClient, ada: Person, world: TelegramWorld
) -> None:
    world.strict = False
    params = {"chat_id": ada.id, "text": "x", "parsemode": "HTML"}
    answer = await http.post(f"/telegram/bot{world.token}/sendMessage", json=params)
    assert answer.json()["ok"]
    assert world.complaints == ["sendMessage: unknown parameter parsemode"]


async def test_parameters_may_come_in_a_form_a_query_or_json(
    http: httpx.AsyncClient, ada: Person, world: TelegramWorld
) -> None:
    url = f"/telegram/bot{world.token}/sendMessage"
    markup = json.dumps({"inline_keyboard": [[{"text": "a", "callback_data": "b"}]]})
    form = {"chat_id": str(ada.id), "text": "x", "reply_markup": markup}
    for answer in (
        await http.post(url, data=form),
        await http.get(url, params=form),
        await http.post(url, json=form),
    ):
        assert answer.json()["ok"], answer.text
    assert [message.button_texts for message in ada.chat.from_bot] == [["a"]] * 3


async def test_a_photo_is_kept_in_several_sizes(bot: Bot, ada: Person) -> None:
    sent = await bot.send_photo(
        ada.id, plain_photo(size=(2000, 1000)), caption="<i>hm</i>", parse_mode="HTML"
    )
    assert [(size.width, size.height) for size in sent.photo] == [
        (90, 45),
        (320, 160),
        (800, 400),
        (1280, 640),
    ]
    assert sent.caption == "hm"
    file = await bot.get_file(sent.photo[-1].file_id)
    assert bytes(await file.download_as_bytearray())[:2] == b"\xff\xd8"
    again = await bot.send_photo(ada.id, sent.photo[-1].file_id)
    assert again.photo[-1].file_unique_id == sent.photo[-1].file_unique_id


@pytest.mark.parametrize(
    ("size", "reason"),
    [((6000, 4001), "PHOTO_INVALID_DIMENSIONS"), ((2100, 100), "PHOTO_INVALID_DIMENSIONS")],
)
async def test_a_photo_of_impossible_size_is_refused(
    bot: Bot, ada: Person, size: tuple[int, int], reason: str
) -> None:
    with pytest.raises(BadRequest, match=says(reason)):
        await bot.send_photo(ada.id, plain_photo(size=size))


async def test_files_beyond_the_limits_are_refused(bot: Bot, ada: Person) -> None:
    with pytest.raises(BadRequest, match=says("too big for a photo")):
        await bot.send_photo(ada.id, b"\xff\xd8" + bytes(10 * 1024 * 1024))
    with pytest.raises(NetworkError, match=says("Request Entity Too Large")):
        await bot.send_document(ada.id, bytes(50 * 1024 * 1024 + 1))
    with pytest.raises(BadRequest, match=says("IMAGE_PROCESS_FAILED")):
        await bot.send_photo(ada.id, b"no picture at all")
    with pytest.raises(BadRequest, match=says("non-empty")):
        await bot.send_document(ada.id, b"")
    with pytest.raises(BadRequest, match=says("caption is too long")):
        await bot.send_photo(ada.id, plain_photo(), caption="x" * 1025)
    with pytest.raises(BadRequest, match=says("wrong file identifier")):
        await bot.send_photo(ada.id, "AgAC-nothing")
    assert ada.chat.from_bot == []


async def test_a_file_over_20_mb_cannot_be_downloaded(bot: Bot, ada: Person) -> None:
    message = await ada.sends_document(b"little", "big.png", "image/png", size=21 * 1024 * 1024)
    assert message.content.media is not None
    with pytest.raises(BadRequest, match=says("file is too big")):
        await bot.get_file(message.content.media.file_id)
    with pytest.raises(BadRequest, match=says("invalid file_id")):
        await bot.get_file("nothing")


async def test_a_video_that_is_no_mp4_becomes_a_document(bot: Bot, ada: Person) -> None:
    real = await bot.send_video(ada.id, sample_video(), width=360, height=640, duration=2)
    assert real.video is not None
    assert (real.video.width, real.video.height) == (360, 640)
    assert real.video.to_dict()["duration"] == 2
    other = await bot.send_video(ada.id, b"\x1aE\xdf\xa3 webm")
    assert other.video is None
    assert other.document is not None
    with pytest.raises(BadRequest, match=says("can't use file of type Video as Photo")):
        await bot.send_photo(ada.id, real.video.file_id)


async def test_a_photo_by_url_is_fetched_and_a_failure_remembered(
    bot: Bot, ada: Person, http: httpx.AsyncClient, world: TelegramWorld
) -> None:
    file = await bot.send_photo(ada.id, plain_photo())
    here = f"{http.base_url}/control/media/{file.photo[-1].file_id}"
    await bot.send_photo(ada.id, here)
    with pytest.raises(BadRequest, match=says("failed to get HTTP URL content")):
        await bot.send_photo(ada.id, f"{here}-not")
    assert world.failed_urls == {f"{here}-not"}


async def test_an_album_has_two_to_ten_pictures(bot: Bot, ada: Person) -> None:
    pictures = [InputMediaPhoto(plain_photo(), caption=f"n{n}") for n in range(3)]
    sent = await bot.send_media_group(ada.id, [*pictures, InputMediaVideo(sample_video())])
    assert len({message.media_group_id for message in sent}) == 1
    assert [message.caption for message in sent] == ["n0", "n1", "n2", None]
    for wrong in (pictures[:1], [InputMediaPhoto(plain_photo()) for _ in range(11)]):
        with pytest.raises(BadRequest, match=says("2 to 10")):
            await bot.send_media_group(ada.id, wrong)


async def test_a_reply_to_nothing_is_refused_unless_allowed(bot: Bot, ada: Person) -> None:
    asked = await ada.sends("/image a cat")
    await bot.send_message(ada.id, "here", reply_parameters=ReplyParameters(asked.id))
    assert ada.chat.last.reply_to is asked
    with pytest.raises(BadRequest, match=says("message to be replied not found")):
        await bot.send_message(ada.id, "x", reply_parameters=ReplyParameters(999))
    loose = ReplyParameters(999, allow_sending_without_reply=True)
    await bot.send_message(ada.id, "x", reply_parameters=loose)
    assert ada.chat.last.reply_to is None


async def test_commands_are_kept_per_scope_and_language(
    bot: Bot, ada: Person, world: TelegramWorld
) -> None:
    await bot.set_my_commands([BotCommand("start", "Begin")])
    await bot.set_my_commands([BotCommand("start", "Commencer")], language_code="fr")
    admin = [BotCommand("users", "Everybody")]
    await bot.set_my_commands(admin, scope=BotCommandScopeChat(ada.id))
    assert list(await bot.get_my_commands(scope=BotCommandScopeChat(ada.id))) == admin
    menu = world.profile.commands_for(7, True, 7, "fr")
    assert menu == [{"command": "start", "description": "Commencer"}]
    with pytest.raises(BadRequest, match=says("BOT_COMMAND_INVALID")):
        await bot.set_my_commands([BotCommand("Start", "Begin")])


async def test_chat_actions_and_profile_texts(bot: Bot, ada: Person, world: TelegramWorld) -> None:
    await bot.send_chat_action(ada.id, "upload_photo")
    assert [action for action, _ in ada.chat.actions] == ["upload_photo"]
    with pytest.raises(BadRequest, match=says("wrong parameter action")):
        await bot.send_chat_action(ada.id, "dancing")
    await bot.set_my_description("Makes pictures")
    assert (await bot.get_my_description("fr")).description == "Makes pictures"
    with pytest.raises(BadRequest, match=says("too long")):
        await bot.set_my_short_description("x" * 121)
    await bot.set_chat_menu_button()
    assert (await bot.get_chat(ada.id)).first_name == "Ada"
    assert (await bot.get_chat_member(ada.id, ada.id)).status == "member"
    sent = await bot.send_message(ada.id, "x")
    await bot.set_message_reaction(ada.id, sent.message_id, "👍")
    assert ada.chat.last.reactions == [{"type": "emoji", "emoji": "👍"}]
