"""The control API, as the chat page and tests of a real process use it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from httpx_sse import aconnect_sse
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, InputMediaPhoto

from bot.sandbox import Sandbox
from bot.sandbox.fal import FalWorld
from bot.sandbox.telegram import Person, TelegramWorld, plain_photo

BUTTON = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="yes")]])


async def post(http: httpx.AsyncClient, path: str, **body: Any) -> Any:
    return (await http.post(f"/control/{path}", json=body)).raise_for_status().json()


async def test_a_person_is_made_writes_and_is_heard(
    http: httpx.AsyncClient, bot: Bot, world: TelegramWorld
) -> None:
    person = await post(http, "people", name="Zoé", username="zoe", language="fr")
    sent = await post(
        http, f"chats/{person['chat_id']}/send", person_id=person["id"], text="/start"
    )
    (update,) = await bot.get_updates(timeout=0)
    assert update.effective_user is not None
    assert update.effective_user.language_code == "fr"
    await bot.send_message(person["id"], "Bonjour", reply_markup=BUTTON)
    shown = (await http.get(f"/control/chats/{person['chat_id']}/messages")).json()["messages"]
    assert [message["text"] for message in shown] == ["/start", "Bonjour"]
    assert shown[1]["buttons"] == [[{"text": "Yes", "callback_data": "yes"}]]
    assert shown[1]["from_bot"]
    after = await http.get(f"/control/chats/{person['chat_id']}/messages?after={sent['id']}")
    assert [message["text"] for message in after.json()["messages"]] == ["Bonjour"]
    changed = await post(http, f"people/{person['id']}", language="en", blocked=True)
    assert (changed["language"], changed["blocked"]) == ("en", True)
    edited = await post(
        http, f"chats/{person['chat_id']}/edit", message_id=sent["id"], text="/help"
    )
    assert [version["text"] for version in edited["versions"]] == ["/start", "/help"]


async def test_pictures_go_up_and_come_back(http: httpx.AsyncClient, bot: Bot, ada: Person) -> None:
    picture = plain_photo(size=(200, 100))
    answer = await http.post(
        f"/control/chats/{ada.id}/photo",
        data={"person_id": str(ada.id), "caption": "/image a cat"},
        files={"file": ("cat.jpg", picture, "image/jpeg")},
    )
    message = answer.raise_for_status().json()
    assert (message["kind"], message["text"]) == ("photo", "/image a cat")
    assert (message["media"]["width"], message["media"]["height"]) == (200, 100)
    media = await http.get(message["media"]["url"])
    assert (media.content, media.headers["content-type"]) == (picture, "image/jpeg")
    document = await http.post(
        f"/control/chats/{ada.id}/document",
        data={"person_id": str(ada.id)},
        files={"file": ("a.txt", b"text", "text/plain")},
    )
    assert document.json()["media"]["name"] == "a.txt"
    sticker = await http.post(
        f"/control/chats/{ada.id}/document", params={"sticker": "1"}, data={"person_id": ada.id}
    )
    assert sticker.json()["kind"] == "sticker"
    assert len(await bot.get_updates(timeout=0)) == 3


async def test_a_press_waits_for_the_bots_answer(
    http: httpx.AsyncClient, bot: Bot, ada: Person, world: TelegramWorld
) -> None:
    sent = await bot.send_message(ada.id, "Sure?", reply_markup=BUTTON)
    pressing = asyncio.create_task(
        post(
            http,
            f"chats/{ada.id}/press",
            person_id=ada.id,
            message_id=sent.message_id,
            data="yes",
        )
    )
    (update,) = await bot.get_updates(timeout=10)
    assert update.callback_query is not None
    await bot.answer_callback_query(update.callback_query.id, "Done", show_alert=True)
    assert await pressing == {"answered": True, "text": "Done", "alert": True, "url": None}


async def test_events_tell_the_page_what_changed(
    http: httpx.AsyncClient, bot: Bot, ada: Person, fal: FalWorld
) -> None:
    seen: list[dict[str, Any]] = []
    async with aconnect_sse(http, "GET", "/control/events") as source:
        async for event in source.aiter_sse():
            seen.append(json.loads(event.data))
            if seen[-1]["type"] == "hello":
                sent = await bot.send_message(ada.id, "Waiting")
                await bot.send_chat_action(ada.id, "typing")
                await bot.edit_message_media(
                    InputMediaPhoto(plain_photo()), ada.id, sent.message_id
                )
                await sent.delete()
                fal.outside_spending(5)
            if seen[-1]["type"] == "fal":
                break
    assert [event["type"] for event in seen] == [
        "hello",
        "message",
        "action",
        "edit",
        "delete",
        "fal",
    ]
    assert seen[3]["chat_id"] == ada.id
    assert len(seen[1]["message"]["versions"]) >= 1


async def test_groups_topics_and_migration(
    http: httpx.AsyncClient, ada: Person, world: TelegramWorld
) -> None:
    forum = await post(http, "groups", title="Studio", members=[ada.id], forum=True)
    topic = await post(http, f"groups/{forum['id']}/topics", name="Pictures")
    sent = await post(
        http,
        f"chats/{forum['id']}/send",
        person_id=ada.id,
        text="/start",
        thread_id=topic["thread_id"],
    )
    assert sent["thread_id"] == sent["reply_to"] == topic["thread_id"]
    group = await post(http, "groups", title="Team", members=[ada.id])
    new = await post(http, f"groups/{group['id']}/migrate")
    assert world.chats[group["id"]].migrated_to is world.chats[new["id"]]
    state = (await http.get("/control/state")).json()
    titles = [chat["title"] for chat in state["telegram"]["chats"]]
    assert titles == ["Ada", "Studio", "Team", "Team"]


async def test_fals_levers(http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]) -> None:
    state = await post(
        http, "fal", pace="manual", balance_nanos=7, discount="12.5", concurrency=2, locked=None
    )
    assert (state["pace"], state["balance_nanos"], state["discount"]) == ("manual", 7, "12.5")
    await post(http, "fal/prices", endpoint_id="fal-ai/flux/dev", unit="images", unit_price="0.1")
    arguments = {"prompt": "a cat"}
    for _ in range(3):
        await http.post("/fal/queue/fal-ai/flux/dev", json=arguments, headers=key)
    one, two, three = [request.request_id for request in fal.requests]
    assert (await post(http, f"fal/requests/{one}/start"))["state"] == "running"
    assert (await post(http, f"fal/requests/{one}/complete"))["billed_nanos"] == 87_500_000
    failed = await post(http, f"fal/requests/{two}/fail", status=503, error_type="x")
    assert failed["status_code"] == 503
    assert (await http.get("/control/fal")).json()["requests"][2]["position"] == 0
    spent = await post(http, "fal/outside", nanos=5)
    assert spent["balance_nanos"] == 7 - 87_500_000 - 5
    fast = {"image": {"queue_seconds": 0, "run_seconds": 0.01, "steps": 1}}
    assert (await post(http, "fal", tempo=fast))["tempo"]["image"]["steps"] == 1
    assert fal.find(three) is fal.requests[2]


async def test_faults_and_time_can_be_ordered(
    http: httpx.AsyncClient, sandbox: Sandbox, ada: Person
) -> None:
    order = await post(
        http, "faults", side="telegram", kind="flood", retry_after=9, chat_id=ada.id, times=2
    )
    assert order == {
        "side": "telegram",
        "kind": "flood",
        "where": {"chat_id": ada.id},
        "times": 2,
        "hits": 0,
    }
    await post(http, "faults", side="fal", kind="answer_lost", operation="submit")
    assert len((await http.get("/control/faults")).json()["faults"]) == 2
    await http.delete("/control/faults")
    assert (await http.get("/control/faults")).json() == {"faults": []}
    before = sandbox.clock.now()
    await post(http, "clock", advance_seconds=3600)
    assert (sandbox.clock.now() - before).total_seconds() >= 3600


async def test_any_update_can_be_pushed(http: httpx.AsyncClient, bot: Bot) -> None:
    pushed = await post(http, "updates", poll={"id": "1", "question": "?", "options": []})
    answer = await http.get(f"/telegram/bot{bot.token}/getUpdates")
    assert answer.json()["result"] == [pushed]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("chats/404/send", {}, 404),
        ("chats/nobody/send", {}, 400),
        ("people/404", {}, 404),
        ("people", {"nome": "Zoé"}, 400),
        ("fal/requests/7/start", {}, 404),
        ("faults", {"side": "fal", "kind": "nonsense", "operation": "submit"}, 400),
        ("chats/1001/press", {"message_id": 5, "person_id": 1001, "data": "x"}, 404),
    ],
)
async def test_mistakes_are_told_as_json(
    http: httpx.AsyncClient, ada: Person, path: str, body: dict[str, Any], status: int
) -> None:
    answer = await http.post(f"/control/{path}", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]


async def test_the_menu_is_the_one_for_this_person(
    http: httpx.AsyncClient, bot: Bot, ada: Person
) -> None:
    await bot.set_my_commands([("start", "Begin")])
    menu = await http.get(f"/control/chats/{ada.id}/commands", params={"person_id": ada.id})
    assert menu.json() == {"commands": [{"command": "start", "description": "Begin"}]}
