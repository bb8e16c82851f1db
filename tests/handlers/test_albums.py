"""Several asked for by one command: each its own message, and all of them as one album."""

from __future__ import annotations

from typing import Any

import pytest

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Chat, Content, Message, plain_photo
from bot.sandbox.telegram import Person as Visitor
from db.models import ContentJob, JobState
from db.sql import now
from tests.handlers.bench import Bench
from tests.handlers.house import House
from tests.support.running import let_in, running_bot
from tests.support.waiting import eventually

BUTTON = {"en": "🖼 As an album", "fr": "🖼 En album"}


async def several(
    person: Visitor, text: str, chat: Chat | None = None, **how: Any
) -> tuple[Message, list[Message]]:
    """The command, and the pictures that came of it, once all of them stand there."""
    where = chat or person.chat
    command = await person.sends(text, where, **how)

    def shown() -> list[Message]:
        said = [m for m in where.from_bot if m.id > command.id]
        return [m for m in said if m.kind != "text"]

    await where.wait_for(lambda _: len(shown()) == 3)
    return command, shown()


async def album_in(chat: Chat, after: Message) -> list[Message]:
    """The album that comes after a message, once all of it is there."""

    def found() -> list[Message]:
        return [m for m in chat.from_bot if m.album is not None and m.id > after.id]

    await chat.wait_for(lambda _: len(found()) >= 2)
    return found()


async def test_all_that_one_command_asked_for_come_as_an_album_in_answer_to_it(
    house: House, language: str
) -> None:
    bea = await house.member(language=language, dollars="1")
    command, pictures = await several(bea, "/image a red fox --n 3")
    for picture in pictures:
        assert BUTTON[language] in picture.button_texts
    spent = (await house.figures(bea)).spent_nanos
    query = await bea.presses(pictures[1], BUTTON[language])
    album = await album_in(bea.chat, pictures[-1])
    assert query.text is None
    jobs = await ContentJob.all().order_by("id")
    by_message = {picture.id: picture for picture in pictures}
    assert [m.media for m in album] == [by_message[j.status_message_id or 0].media for j in jobs]
    assert {m.reply_to for m in album} == {command}
    price = {"en": "$0.075 for all of them", "fr": "0,075 $ pour le tout"}[language]
    assert [m.text for m in album] == [f"a red fox\n{price}", "", ""]
    assert (await house.figures(bea)).spent_nanos == spent
    assert len(house.fal.requests) == 3


async def test_one_alone_is_no_album(house: House) -> None:
    bea = await house.member()
    await bea.sends("/image a red fox")
    picture = await bea.chat.wait_for_media()
    assert BUTTON["en"] not in picture.button_texts
    query = await bea.presses(picture, "together:1", stale=True)
    assert query.text == "Only this one has come of it."


async def test_while_others_are_under_way_it_is_said_how_many_are_ready(
    house: House, language: str
) -> None:
    house.fal.pace = "manual"
    bea = await house.member(language=language, dollars="1")
    await bea.sends("/image a red fox --n 3")
    requests = await house.fal.wait_for_requests(3)
    house.fal.complete(requests[0])
    picture = await bea.chat.wait_for_media()
    query = await bea.presses(picture, BUTTON[language])
    assert (
        query.text
        == {
            "en": "Ready so far: 1 of 3. Please press again when the last one is there.",
            "fr": "Prêtes pour l’instant : 1 sur 3. Appuyez de nouveau quand la dernière sera là.",
        }[language]
    )
    assert not [m for m in bea.chat.from_bot if m.album]
    house.fal.fail(requests[1], 500)
    house.fal.complete(requests[2])

    async def all_told() -> bool:
        return not await ContentJob.filter(shown_at=None).exists()

    await eventually(all_told)
    await bea.presses(picture, BUTTON[language])
    assert len(await album_in(bea.chat, picture)) == 2


async def test_the_album_does_not_wait_for_one_that_nobody_knows_the_whereabouts_of(
    workbench: Bench,
) -> None:
    bea = workbench.telegram.person(id=701, name="Bea")
    await let_in(bea)
    await bea.sends("/image a red fox --n 3")
    await workbench.hears()
    await workbench.services.jobs.roster.aclose(1.0)
    shown = bea.chat.add(Content("a picture"), None)
    picture = workbench.telegram.files.store("photo", plain_photo(), None)
    jobs = await ContentJob.all().order_by("id")
    ready: dict[str, Any] = {
        "state": JobState.DELIVERED,
        "file_id": picture.file_id,
        "shown_at": now(),
    }
    await ContentJob.filter(id__in=[job.id for job in jobs[:2]]).update(**ready)
    lost = ContentJob.filter(id=jobs[2].id)
    await lost.update(state=JobState.UNKNOWN, shown_at=None, file_id=None)
    await workbench.feels(bea, shown, f"together:{jobs[0].id}")
    assert len([m for m in bea.chat.from_bot if m.album]) == 2


async def test_the_album_comes_after_a_restart_too(sandbox: Sandbox, database_url: str) -> None:
    async with running_bot(sandbox, database_url) as running:
        house = House(sandbox, running)
        bea = await house.member(dollars="1")
        _, pictures = await several(bea, "/image a red fox --n 3")
    async with running_bot(sandbox, database_url):
        await bea.presses(pictures[0], BUTTON["en"])
        assert len(await album_in(bea.chat, pictures[-1])) == 3


async def test_in_a_group_the_album_is_for_who_asked_and_answers_their_command(
    house: House,
) -> None:
    ada, bea = await house.admin(), await house.member(dollars="1")
    team = house.telegram.group("Team", [ada, bea])
    command, pictures = await several(bea, "/image a red fox --n 3", team)
    assert (await ada.presses(pictures[0], BUTTON["en"])).text == "This is not for you."
    assert not [m for m in team.from_bot if m.album]
    await bea.presses(pictures[0], BUTTON["en"])
    album = await album_in(team, pictures[-1])
    assert [m.reply_to for m in album] == [command] * 3


async def test_in_a_forum_the_album_stays_in_its_topic(house: House) -> None:
    bea = await house.member(dollars="1")
    forum = house.telegram.group("Crew", [bea], forum=True)
    topic = forum.add_topic("Foxes")
    _, pictures = await several(bea, "/image a red fox --n 3", forum, thread_id=topic)
    await bea.presses(pictures[0], BUTTON["en"])
    album = await album_in(forum, pictures[-1])
    assert {m.thread_id for m in album} == {topic}


async def test_the_album_of_a_draft_belongs_together_too(house: House) -> None:
    bea = await house.member(dollars="1")
    settings = await house.answer(bea, "/settings")
    await bea.presses(settings, "set:ask:0.05", stale=True)
    question = await house.answer(bea, "/image a red fox --n 3")
    assert question.text.startswith("This costs $0.075 at most.")
    await bea.presses(question, "✅ Make it")
    await bea.chat.wait_for(lambda _: len([m for m in bea.chat.from_bot if m.kind == "photo"]) == 3)
    picture = bea.chat.last
    assert BUTTON["en"] in picture.button_texts
    await bea.presses(picture, BUTTON["en"])
    assert len(await album_in(bea.chat, picture)) == 3


async def test_no_more_are_taken_at_once_than_may_be_under_way(
    sandbox: Sandbox, database_url: str, language: str
) -> None:
    for most, said in (
        (
            3,
            {
                "en": "--n takes a whole number from 1 to 3, for example: "
                "/image a lighthouse --n 3",
                "fr": "--n prend un nombre entier de 1 à 3, par exemple : /image un phare --n 3",
            },
        ),
        (
            1,
            {
                "en": "I make one at a time here: please leave out --n.",
                "fr": "Ici, je n’en fais qu’une à la fois : écrivez sans --n.",
            },
        ),
    ):
        async with running_bot(sandbox, database_url, max_active_jobs=most) as running:
            bea = await House(sandbox, running).member(language=language)
            answer = await House(sandbox, running).says(bea, "/image a red fox --n 4")
            assert answer == said[language]
            assert await ContentJob.all().count() == 0


@pytest.mark.parametrize(
    ("dollars", "english", "french"),
    [
        (
            "0.07",
            "🔴 All of them cost $0.075 at most, and $0.07 is available, enough for 2. "
            "Nothing was sent: please write --n 2.\n🟢 $0.07 of $0.07 left (100 %)",
            "🔴 Le tout coûte 0,075 $ au plus, et 0,07 $ sont disponibles, assez pour 2. "
            "Rien n’a été envoyé : écrivez --n 2.\n🟢 0,07 $ sur 0,07 $ restants (100 %)",
        ),
        (
            "0.049",
            "🔴 All of them cost $0.075 at most, and $0.049 is available, enough for 1. "
            "Nothing was sent: please leave out --n.\n🟢 $0.049 of $0.049 left (100 %)",
            "🔴 Le tout coûte 0,075 $ au plus, et 0,049 $ sont disponibles, assez pour 1. "
            "Rien n’a été envoyé : écrivez sans --n.\n🟢 0,049 $ sur 0,049 $ restants (100 %)",
        ),
        (
            "0.024",
            "🔴 This costs $0.075 at most, and $0.024 is available. Nothing was sent.\n"
            "🟢 $0.024 of $0.024 left (100 %)",
            "🔴 Cela coûte 0,075 $ au plus, et 0,024 $ sont disponibles. Rien n’a été envoyé.\n"
            "🟢 0,024 $ sur 0,024 $ restants (100 %)",
        ),
    ],
)
async def test_how_many_can_be_paid_is_said_before_any_is_made(
    house: House, language: str, dollars: str, english: str, french: str
) -> None:
    bea = await house.member(language=language, dollars=dollars)
    said = await house.says(bea, "/image a red fox --n 3")
    assert said == {"en": english, "fr": french}[language]
    assert await ContentJob.all().count() == 0
    assert house.fal.requests == []


async def test_in_a_group_it_is_not_told_for_how_many_there_is_enough(house: House) -> None:
    bea = await house.member(dollars="0.07")
    team = house.telegram.group("Team", [bea])
    answer = await house.answer(bea, "/image a red fox --n 3", team)
    assert answer.text == (
        "This costs $0.075 at most, which is more than you have available. Nothing was sent."
    )


async def test_how_many_still_fit_is_said_before_any_is_made(house: House, language: str) -> None:
    house.fal.pace = "manual"
    bea = await house.member(language=language, dollars="1")
    await house.answer(bea, "/image a red fox")
    assert (
        await house.says(bea, "/image a blue fox --n 3")
        == {
            "en": "Nothing was sent: you can have 3 under way at a time, so there is room for 2 "
            "more now. Please write --n 2, wait, or /cancel something.",
            "fr": "Rien n’a été envoyé : vous pouvez avoir 3 demandes en cours à la fois, il n’y a "
            "donc de place que pour 2 de plus. Écrivez --n 2, attendez, ou arrêtez quelque chose "
            "avec /cancel.",
        }[language]
    )
    await house.answer(bea, "/image a blue fox")
    assert "--n," in await house.says(bea, "/image a green fox --n 2")
    await house.answer(bea, "/image a green fox")
    assert (
        await house.says(bea, "/image a grey fox --n 2")
        == {
            "en": "You already have 3 jobs under way. Please wait for one, or /cancel one.",
            "fr": "Vous avez déjà 3 demandes en cours. Attendez-en une, ou arrêtez-en une avec "
            "/cancel.",
        }[language]
    )
    assert await ContentJob.all().count() == 3


async def test_several_whose_command_comes_again_after_a_crash_are_not_refused(
    workbench: Bench,
) -> None:
    bea = workbench.telegram.person(id=701, name="Bea")
    await let_in(bea, budget_nanos=75_000_000)
    await bea.sends("/image a red fox --n 3")
    update = workbench.telegram.updates.pending[-1]
    await workbench.hears()
    await workbench.is_told(update)
    assert await ContentJob.all().count() == 3
    assert {m.versions[0].text.splitlines()[0] for m in bea.chat.from_bot} <= {
        "🎨 Making a picture"
    }
