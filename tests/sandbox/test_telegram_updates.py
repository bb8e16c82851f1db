"""How updates reach a bot: polling, webhook, groups, and what is repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from telegram import Bot, Update
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden
from telegram.ext import (
    Application,
    ApplicationBuilder,
    CallbackQueryHandler,
    CommandHandler,
    ContextTypes,
    MessageHandler,
    filters,
)

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Chat, Person, TelegramWorld, plain_photo
from tests.sandbox.saying import says


async def updates_of(bot: Bot, offset: int = 0, **options: Any) -> list[dict[str, Any]]:
    return [update.to_dict() for update in await bot.get_updates(offset, timeout=0, **options)]


async def test_an_update_stays_until_an_offset_confirms_it(bot: Bot, ada: Person) -> None:
    for text in ("one", "two", "three"):
        await ada.sends(text)
    first = await updates_of(bot, limit=2)
    assert [update["message"]["text"] for update in first] == ["one", "two"]
    assert await updates_of(bot, limit=2) == first
    rest = await updates_of(bot, first[-1]["update_id"] + 1)
    assert [update["message"]["text"] for update in rest] == ["three"]
    assert await updates_of(bot, rest[-1]["update_id"] + 1) == []


async def test_long_polling_returns_as_soon_as_something_happens(bot: Bot, ada: Person) -> None:
    waiting = asyncio.create_task(bot.get_updates(timeout=30))
    await asyncio.sleep(0)
    await ada.sends("hello")
    (update,) = await asyncio.wait_for(waiting, 5)
    assert update.message is not None
    assert update.message.text == "hello"


async def test_a_second_poller_ends_the_first_with_a_conflict(
    bot: Bot, http: httpx.AsyncClient, ada: Person, world: TelegramWorld
) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=30))
    await world.wait_for(lambda: world.updates.polling)
    second = asyncio.create_task(
        http.get(f"/telegram/bot{world.token}/getUpdates", params={"timeout": 20})
    )
    with pytest.raises(Conflict, match=says("terminated by other getUpdates")):
        await first
    await ada.sends("for the second")
    assert len((await second).json()["result"]) == 1
    assert world.updates.conflicts == 1


async def test_a_poller_that_went_away_is_not_in_the_way(
    sandbox: Sandbox, world: TelegramWorld, bot: Bot
) -> None:
    async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False) as gone:
        url = f"/telegram/bot{world.token}/getUpdates"
        with pytest.raises(httpx.ReadTimeout):
            await gone.get(url, params={"timeout": 50}, timeout=0.2)
    await world.wait_for(lambda: not world.updates.polling)
    assert await updates_of(bot) == []
    assert world.updates.conflicts == 0


async def test_only_allowed_updates_are_kept(bot: Bot, ada: Person) -> None:
    await updates_of(bot, allowed_updates=["callback_query"])
    await ada.sends("unheard")
    assert await updates_of(bot) == []
    await updates_of(bot, allowed_updates=[])
    await ada.sends("heard")
    assert len(await updates_of(bot)) == 1


async def test_the_same_update_can_be_delivered_again(
    bot: Bot, ada: Person, world: TelegramWorld
) -> None:
    await ada.sends("/image a cat")
    (update,) = await updates_of(bot)
    await updates_of(bot, update["update_id"] + 1)
    world.push_update(update)
    assert await updates_of(bot) == [update]


async def test_blocking_edits_and_stickers_are_updates(bot: Bot, ada: Person) -> None:
    message = await ada.sends("/image a cat")
    await ada.edits(message, "/image a dog")
    await ada.sends_sticker()
    await ada.sends_album([None, None], caption="two")
    ada.blocks_bot()
    ada.unblocks_bot()
    received = await bot.get_updates(timeout=0)
    assert received[1].edited_message is not None
    assert received[1].edited_message.text == "/image a dog"
    assert received[2].message is not None
    assert received[2].message.sticker is not None
    albums = {update.message.media_group_id for update in received[3:5] if update.message}
    assert len(albums) == 1
    assert received[5].my_chat_member is not None
    assert received[5].my_chat_member.new_chat_member.status == "kicked"


@pytest.fixture
async def application(sandbox: Sandbox) -> AsyncIterator[Application[Any, Any, Any, Any, Any, Any]]:
    """A little bot that really polls."""
    url = sandbox.environment()["TELEGRAM_API_URL"]
    made = (
        ApplicationBuilder()
        .token(sandbox.telegram.token)
        .base_url(f"{url}/bot")
        .base_file_url(f"{url}/file/bot")
        .build()
    )

    async def start(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.effective_message is not None
        await update.effective_message.reply_text(f"Hello {context.args}")

    async def photo(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.effective_message is not None
        file = await update.effective_message.photo[-1].get_file()
        data = await file.download_as_bytearray()
        await update.effective_message.reply_photo(bytes(data))

    async def press(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.callback_query is not None
        await update.callback_query.answer("pressed")

    made.add_handler(CommandHandler("start", start))
    made.add_handler(MessageHandler(filters.PHOTO, photo))
    made.add_handler(CallbackQueryHandler(press))
    async with made:
        await made.start()
        assert made.updater is not None
        await made.updater.start_polling(poll_interval=0)
        yield made
        await made.updater.stop()
        await made.stop()


async def test_a_real_bot_answers_a_person(
    application: Application[Any, Any, Any, Any, Any, Any], ada: Person
) -> None:
    await ada.sends("/start now")
    assert (await ada.chat.next_message()).text == "Hello ['now']"
    await ada.sends_photo(plain_photo(size=(300, 200)), caption="look")
    answer = await ada.chat.wait_for_media("photo")
    assert answer.media is not None
    group = ada.world.group("Team", [ada])
    await ada.sends("/start@fal_budget_bot in a group", group)
    assert "group" in (await group.wait_for_text("Hello")).text
    with pytest.raises(TimeoutError, match=says("not within")):
        await group.wait_for_text("Goodbye", timeout=0.01)
    query = await ada.presses(answer, "anything", stale=True)
    assert query.text == "pressed"


async def test_in_groups_a_bot_hears_only_what_is_meant_for_it(
    bot: Bot, ada: Person, world: TelegramWorld
) -> None:
    group = world.group("Team", [ada])
    await ada.sends("just talking", group)
    await ada.sends("/start@other_bot", group)
    await ada.sends("/start", group)
    await ada.sends("@fal_budget_bot hello", group)
    said = await bot.send_message(group.id, "yes?")
    await ada.sends("a reply", group, reply_to=group.message(said.message_id))
    heard = [update.message.text for update in await bot.get_updates(timeout=0) if update.message]
    assert heard == ["/start", "@fal_budget_bot hello", "a reply"]


async def test_a_forum_has_topics(bot: Bot, ada: Person, world: TelegramWorld) -> None:
    forum = world.group("Studio", [ada], forum=True)
    topic = forum.add_topic("Pictures")
    await ada.sends("/start", forum, thread_id=topic)
    (update,) = await bot.get_updates(timeout=0)
    assert update.message is not None
    assert update.message.is_topic_message
    assert update.message.message_thread_id == topic
    assert update.message.reply_to_message is not None
    assert update.message.reply_to_message.forum_topic_created is not None
    await bot.send_message(forum.id, "here", message_thread_id=topic)
    assert forum.last.thread_id == topic
    with pytest.raises(BadRequest, match=says("message thread not found")):
        await bot.send_message(forum.id, "x", message_thread_id=999)


async def test_a_group_that_became_a_supergroup_says_where_it_went(
    bot: Bot, ada: Person, world: TelegramWorld
) -> None:
    group = world.group("Team", [ada])
    new = world.migrate(group)
    with pytest.raises(ChatMigrated) as caught:
        await bot.send_message(group.id, "x")
    assert caught.value.new_chat_id == new.id
    await bot.send_message(new.id, "x")
    services = [update.message for update in await bot.get_updates(timeout=0)]
    assert services[0] is not None
    assert services[0].migrate_to_chat_id == new.id
    assert services[1] is not None
    assert services[1].migrate_from_chat_id == group.id
    new.bot_inside = False
    with pytest.raises(Forbidden, match=says("kicked from the supergroup")):
        await bot.send_message(new.id, "x")


class Receiver:
    """A bot's web server, which answers with the statuses it is given, then with 200."""

    def __init__(self, statuses: list[int]) -> None:
        self.statuses = statuses
        self.received: list[tuple[dict[str, Any], str | None]] = []
        self.app = Starlette(routes=[Route("/hook", self.hook, methods=["POST"])])

    async def hook(self, request: Request) -> Response:
        secret = request.headers.get("x-telegram-bot-api-secret-token")
        self.received.append((await request.json(), secret))
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    made = Receiver([500, 302])
    config = uvicorn.Config(made.app, port=0, lifespan="off", log_config=None, ws="none")
    config.load()
    state = uvicorn.server.ServerState()
    protocol: Any = config.http_protocol_class
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    yield made, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    server.close()
    for connection in list(state.connections):
        connection.shutdown()
    await server.wait_closed()


async def test_a_webhook_gets_the_secret_and_is_repeated_until_2xx(
    bot: Bot, ada: Person, world: TelegramWorld, receiver: tuple[Receiver, str]
) -> None:
    web, url = receiver
    world.updates.retry_seconds = 0.01
    await bot.set_webhook(url, secret_token="a-Secret_1", max_connections=1)
    await ada.sends("/start")
    await world.wait_until_heard()
    assert [secret for _, secret in web.received] == ["a-Secret_1"] * 3
    assert len({update["update_id"] for update, _ in web.received}) == 1
    assert [delivery.status for delivery in world.updates.deliveries] == [500, 302, 200]
    info = await bot.get_webhook_info()
    assert info.url == url
    with pytest.raises(Conflict, match=says("webhook is active")):
        await bot.get_updates(timeout=0)
    await bot.delete_webhook()
    assert await updates_of(bot) == []


async def test_a_webhook_that_telegram_refuses(bot: Bot) -> None:
    with pytest.raises(BadRequest, match=says("HTTPS URL must be provided")):
        await bot.set_webhook("http://example.org/hook")
    with pytest.raises(BadRequest, match=says("unallowed characters")):
        await bot.set_webhook("https://example.org/hook", secret_token="a b")


async def test_a_chat_knows_who_is_in_it(world: TelegramWorld, bot: Bot, ada: Person) -> None:
    group: Chat = world.group("Team", [ada], supergroup=True)
    assert (await bot.get_chat_member(group.id, ada.id)).status == "creator"
    assert (await bot.get_chat_member(group.id, world.bot_id)).status == "member"
    with pytest.raises(BadRequest, match=says("invalid user_id")):
        await bot.get_chat_member(group.id, 5)
    with pytest.raises(BadRequest, match=says("chat not found")):
        await bot.get_chat(-5)
