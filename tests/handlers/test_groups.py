"""In groups: what is meant for the bot, answered to the person, nobody's figures shown."""

from __future__ import annotations

from typing import Any

import pytest

from bot.sandbox.telegram import Chat
from db.models import ContentJob
from handlers.commands import PRIVATE_COMMANDS
from tests.handlers.bench import Bench
from tests.handlers.house import House
from tests.support.running import ADMIN_ID, let_in

IN_PRIVATE = {
    "en": "What you have left is between you and me: ask me in our private chat.",
    "fr": "Ce qui vous reste ne regarde que vous et moi : demandez-le dans notre conversation "
    "privée.",
}


async def test_a_command_with_the_bots_name_is_answered_to_the_person(house: House) -> None:
    bea, carl = await house.member(), await house.member("Carl", 702)
    group = house.telegram.group("Team", [bea, carl])
    for text in ("/help", "/help@fal_budget_bot", "/help@FAL_Budget_BOT"):
        sent = await bea.sends(text, group)
        answer = await group.next_message()
        assert answer.reply_to is sent, text
        assert answer.text.startswith("Making things")


async def test_a_picture_is_made_in_the_group_as_a_reply_and_shows_no_figures(
    house: House, language: str
) -> None:
    bea = await house.member(language=language, dollars="10")
    group = house.telegram.group("Team", [bea])
    sent = await bea.sends("/image@fal_budget_bot a red fox", group)
    picture = await group.wait_for_media()
    assert picture.reply_to is sent
    assert picture.text.splitlines()[:2] == [
        {"en": "🖼 Your picture", "fr": "🖼 Votre image"}[language],
        "a red fox",
    ]
    for version in picture.versions:
        assert "10.00" not in version.text
        assert "10,00" not in version.text
    assert bea.chat.messages == []


async def test_a_photo_of_someone_else_can_be_replied_to(house: House) -> None:
    bea, carl = await house.member(dollars="1"), await house.member("Carl", 702)
    group = house.telegram.group("Team", [bea, carl])
    photo = await carl.sends_photo(chat=group)
    await bea.sends("/image in winter", group, reply_to=photo)
    await group.wait_for_media()
    [request] = house.fal.requests
    assert request.endpoint_id == "fal-ai/flux/dev/image-to-image"
    assert (await house.figures(bea)).spent_nanos > 0
    assert (await house.figures(carl)).total_spent_nanos == 0


async def test_the_group_is_not_told_what_a_person_has_left(house: House, language: str) -> None:
    ada, bea = await house.admin(language), await house.member(language=language, dollars="0.01")
    group = house.telegram.group("Team", [ada, bea])
    for command in sorted(PRIVATE_COMMANDS):
        sent = await ada.sends(f"/{command}", group)
        answer = await group.next_message()
        assert answer.reply_to is sent, command
        assert answer.text == IN_PRIVATE[language], command
        [button] = answer.buttons
        assert button["url"] == "https://t.me/fal_budget_bot"
    too_dear = await house.says(bea, "/image a red fox", chat=group)
    assert (
        too_dear
        == {
            "en": "This costs $0.025 at most, which is more than you have available. "
            "Nothing was sent.",
            "fr": "Cela coûte 0,025 $ au plus, soit plus que ce dont vous disposez. "
            "Rien n’a été envoyé.",
        }[language]
    )
    welcome = await house.says(bea, "/start", chat=group)
    assert "0.01" not in welcome
    assert "0,01" not in welcome


# ----------------------------------------------------------------------- what is not for this bot


async def silence(bench: Bench, person: Any, group: Chat, *texts: str) -> None:
    for text in texts:
        assert await bench.hears_of(person, text, group) == [], text


async def test_commands_for_another_bot_and_talk_are_not_answered(workbench: Bench) -> None:
    bea = workbench.telegram.person(id=701, name="Bea", language="en")
    await let_in(bea, budget_nanos=10**9)
    group = workbench.telegram.group("Team", [bea])
    workbench.telegram.privacy = False  # an administrator of the group: the bot hears everything
    await silence(
        workbench,
        bea,
        group,
        "/help@another_bot",
        "/image@another_bot a red fox",
        "/setbudget@another_bot 5",
        "/budget@fal_budget_bot_2",
        "/nosuchcommand",
        "good morning",
        "image of a red fox",
        "look: /image a red fox",
        "@fal_budget_bot",
    )
    await bea.sends_photo(chat=group)
    await bea.sends_photo(chat=group, caption="my garden")
    await bea.sends_photo(chat=group, caption="/image@another_bot in winter")
    await bea.sends_sticker(group)
    await workbench.hears()
    assert not [message for message in group.messages if message.from_bot]
    assert workbench.sandbox.fal.requests == []


async def test_a_group_that_changes_its_name_or_members_hears_nothing(workbench: Bench) -> None:
    bea = workbench.telegram.person(id=701, name="Bea", language="en")
    await let_in(bea)
    group = workbench.telegram.group("Team", [bea])
    message = (await bea.sends("/help", group)).json()
    workbench.telegram.updates.drop()
    del message["text"], message["entities"]
    for service in (
        {"new_chat_title": "Crew"},
        {"new_chat_members": [bea.json()]},
        {"left_chat_member": bea.json()},
        {"migrate_to_chat_id": -1005},
        {"pinned_message": message},
    ):
        update = {"message": message | service}
        workbench.telegram.push_update(update)
        await workbench.hears()
    assert not [message for message in group.messages if message.from_bot]


# --------------------------------------------------------------------------------- topics of forums


async def test_in_a_forum_everything_stays_in_its_topic(house: House) -> None:
    bea = await house.member(dollars="1")
    forum = house.telegram.group("Crew", [bea], forum=True)
    topic = forum.add_topic("Foxes")
    for text in ("/help", "/budget", "/image"):
        await bea.sends(text, forum, thread_id=topic)
        assert (await forum.next_message()).thread_id == topic, text
    await bea.sends("/image a red fox", forum, thread_id=topic)
    picture = await forum.wait_for_media()
    assert picture.thread_id == topic
    await bea.presses(picture, "📄 File")
    original = await forum.wait_for_media("document")
    assert original.thread_id == topic


async def test_an_admin_sets_the_budget_of_who_they_reply_to_and_no_figure_is_shown(
    house: House, language: str
) -> None:
    ada, bea = await house.admin(language), await house.member(language=language, dollars="1")
    carl = await house.member("Carl", 702, language)
    group = house.telegram.group("Team", [ada, bea, carl])
    said = await bea.sends("more, please", group)
    answer = await house.answer(ada, "/setbudget 7.50", group, reply_to=said)
    assert (
        answer.text
        == {
            "en": "✅ Done. Bea hears of it from me in private.",
            "fr": "✅ C’est fait. J’en informe Bea en privé.",
        }[language]
    )
    assert (await house.figures(bea)).budget_nanos == 7_500_000_000
    assert {"en": "$7.50", "fr": "7,50 $"}[language] in (await bea.chat.next_message()).text
    assert (await house.figures(ada)).budget_nanos is None
    for person, words in ((carl, "/setbudget 9"), (ada, "/budget"), (carl, "/budget")):
        answer = await house.answer(person, words, group, reply_to=said)
        assert answer.text == IN_PRIVATE[language], words
    assert (await house.figures(bea)).budget_nanos == 7_500_000_000
    assert (await house.figures(carl)).budget_nanos is None


async def test_words_that_an_admin_forwards_stand_for_who_said_them(house: House) -> None:
    """In the private chat there is nobody else to reply to."""
    ada, bea = await house.admin(), await house.member()
    origin = {"type": "user", "date": 1, "sender_user": bea.json()}
    mine = {"date": 1, "chat": ada.chat.json(), "from": ada.json()}
    forwarded = {**mine, "message_id": 71, "text": "more, please", "forward_origin": origin}
    message = {**mine, "message_id": 72, "text": "/setbudget 3", "reply_to_message": forwarded}
    message["entities"] = [{"type": "bot_command", "offset": 0, "length": 10}]
    house.telegram.push_update({"message": message})
    answer = await ada.chat.next_message()
    assert answer.text.startswith("✅ The budget of Bea is now $3.00.")
    assert (await house.figures(bea)).budget_nanos == 3_000_000_000


async def test_a_topic_is_no_reply_to_who_opened_it(workbench: Bench) -> None:
    """Every message in a topic comes as a reply to the message that opened the topic."""
    telegram = workbench.telegram
    carl = telegram.person(id=702, name="Carl", username="carl", language="en")
    ada = telegram.person(id=ADMIN_ID, name="Ada", username="ada", language="en")
    await let_in(carl, budget_nanos=10**9)
    forum = telegram.group("Crew", [carl, ada], forum=True)
    topic = forum.add_topic("Foxes")
    [asked] = await workbench.hears_of(ada, "/deny", forum, thread_id=topic)
    assert asked.text == "Please say who: /approve @name, an id, or as a reply to them."
    said = await carl.sends("it is me", forum, thread_id=topic)
    [denied] = await workbench.hears_of(ada, "/deny", forum, reply_to=said, thread_id=topic)
    assert denied.text == "🚫 Carl (@carl) stays out."


# ------------------------------------------------------------------------------- a supergroup now


async def test_a_picture_finds_the_group_that_became_a_supergroup(house: House) -> None:
    house.fal.pace = "manual"
    bea = await house.member()
    group = house.telegram.group("Team", [bea])
    await house.answer(bea, "/image a red fox", chat=group)
    [request] = await house.fal.wait_for_requests()
    new = house.telegram.migrate(group)
    house.fal.complete(request)
    picture = await new.wait_for_media()
    assert picture.text.splitlines()[1] == "a red fox"
    assert await house.says(bea, "/help", chat=new)


@pytest.mark.parametrize("text", ["/help", "/image a red fox"])
async def test_a_group_that_becomes_a_supergroup_while_it_is_answered_gets_its_answer(
    house: House, text: str
) -> None:
    bea = await house.member()
    group = house.telegram.group("Team", [bea])
    house.telegram.faults.add("migrated", "sendMessage")
    await bea.sends(text, group)
    await house.telegram.wait_for(lambda: group.migrated_to)
    assert group.migrated_to is not None
    answer = await group.migrated_to.next_message()
    assert answer.text


async def test_what_is_made_in_private_is_not_named_in_a_group_to_be_cancelled(
    house: House, language: str
) -> None:
    house.fal.pace = "manual"
    bea = await house.member(language=language)
    group = house.telegram.group("Team", [bea])
    await bea.sends("/image a secret present")
    await bea.sends("/image a red fox", group)
    await house.fal.wait_for_requests(2)
    jobs = {job.prompt: job.id for job in await ContentJob.all()}
    await bea.sends("/cancel", group)
    which = await group.wait_for(lambda message: len(message.button_texts) == 2)
    assert sorted(which.button_texts) == sorted([f"🖼 {jobs['a secret present']}", "🖼 a red fox"])
    await bea.sends("/cancel")
    which = await bea.chat.wait_for(lambda m: len(m.button_texts) == 2)
    assert sorted(which.button_texts) == ["🖼 a red fox", "🖼 a secret present"]
