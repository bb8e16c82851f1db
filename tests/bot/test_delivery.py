"""A paid result is shown exactly once, in the best form that Telegram takes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.delivery import _fits_photo, file_name
from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Message, Person, TelegramWorld, plain_photo
from db.models import ContentJob, JobState
from tests.support.fal import calls
from tests.support.running import assert_books, running_bot

# The databases make no difference here.
pytestmark = pytest.mark.sqlite_only


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting for it."""
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("bot.screen.flood.FIRST_PAUSE_SECONDS", 0.01)


def shown(person: Person) -> list[Message]:
    """What the bot shows a person in their private chat that is not just text."""
    return [message for message in person.chat.from_bot if message.kind != "text"]


# ------------------------------------------------------------------------------------ forms


async def test_a_picture_too_large_for_a_photo_comes_as_a_document(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.delivery.PHOTO_LIMIT_BYTES", 100)
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends("/image a red fox")
        document = await ada.chat.wait_for_media("document")
        assert "$0.025" in document.text
        assert document.media is not None
        assert document.media.startswith(b"\xff\xd8")
        [job] = await running.all_shown()
        assert job.file_id is not None
        assert sandbox.telegram.called("editMessageMedia")[-1].error is None


@pytest.mark.parametrize("kind", ["image", "video"])
async def test_a_file_too_large_for_telegram_comes_as_a_link(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("bot.delivery.FILE_LIMIT_BYTES", 100)
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends(f"/{kind} a red fox")
        link = await ada.chat.wait_for_text("Your result is here")
        assert "/fal/cdn/files/" in link.text
        [job] = await running.all_shown()
        assert job.state == JobState.DELIVERED
        assert shown(ada) == []


async def test_a_file_too_large_for_a_proxy_comes_as_a_link(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sandbox.telegram.files.UPLOAD_BYTES", 100)
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_text("Your result is here")
        [job] = await running.all_shown()
        assert job.state == JobState.DELIVERED


@pytest.mark.parametrize(("refusals", "kind"), [(1, "document"), (2, "text")])
@pytest.mark.parametrize("command", ["image", "video"])
async def test_what_telegram_does_not_take_in_one_form_comes_in_the_next(
    sandbox: Sandbox, ada: Person, database_url: str, command: str, refusals: int, kind: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        refused = Fault("refused", message="Bad Request: PHOTO_INVALID_DIMENSIONS")
        sandbox.telegram.faults.add(refused, "editMessageMedia", times=refusals)
        await ada.sends(f"/{command} a red fox")
        [job] = await running.all_shown()
        [message] = ada.chat.from_bot
        assert (message.id, message.kind) == (job.status_message_id, kind)
        assert (kind == "text") == ("Your result is here" in message.text)


@pytest.mark.parametrize(
    ("width", "height", "fits"),
    [
        (5000, 5000, True),
        (5001, 5000, False),
        (2000, 100, True),
        (2001, 100, False),
        (100, 2000, True),
        (100, 2001, False),
        (0, 100, True),  # nobody knows: Telegram says
        (None, None, True),
    ],
)
def test_telegrams_limits_of_photos_are_kept_exactly(
    width: int | None, height: int | None, fits: bool
) -> None:
    assert _fits_photo({"width": width, "height": height}) is fits


async def test_words_are_shown_as_they_were_typed(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends('/image a <b>bold</b> & "quoted" 🦊 fox\nwith a second line')
        picture = await ada.chat.wait_for_media("photo")
        assert 'a <b>bold</b> & "quoted" 🦊 fox\nwith a second line' in picture.text
        await running.all_shown()
        assert sandbox.telegram.complaints == []


async def test_a_long_prompt_does_not_make_the_caption_too_long(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends("/image " + "&" * 3900)
        picture = await ada.chat.wait_for_media("photo")
        assert "…" in picture.text
        assert len(picture.text) < 1024
        [job] = await running.all_shown()
        assert len(job.prompt) == 3900


# ----------------------------------------------------------------------------- faults of fal


@pytest.mark.parametrize("kind", ["not_found", "reset", "cut", "server_error"])
async def test_a_file_that_cannot_be_fetched_is_fetched_again(
    sandbox: Sandbox, ada: Person, database_url: str, kind: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        sandbox.fal.faults.add(kind, "media", times=3)
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_media("photo")
        await running.all_shown()
        assert calls(sandbox.fal, "media") == 4
        assert calls(sandbox.fal, "submit") == 1


async def test_after_a_while_the_link_comes_instead_of_the_file(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        sandbox.fal.faults.add("not_found", "media", times=None)
        await ada.sends("/image a red fox")
        await sandbox.fal.wait_for(lambda: calls(sandbox.fal, "media") > 3, what="some tries")
        assert (await ContentJob.get()).shown_at is None
        monkeypatch.setattr("bot.delivery.LINK_AFTER", timedelta(0))
        await ada.chat.wait_for_text("Your result is here")
        [job] = await running.all_shown()
        assert (job.state, job.cost_nanos) == (JobState.DELIVERED, 25_000_000)
        await assert_books(running.connection)


# ------------------------------------------------------------------------ faults of Telegram


@pytest.mark.parametrize(
    "kind", ["answer_lost", "reset", "server_error", "bad_gateway", "not_modified"]
)
async def test_an_edit_that_fails_is_repeated_and_shows_one_picture(
    sandbox: Sandbox, ada: Person, database_url: str, kind: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        sandbox.telegram.faults.add(kind, "editMessageMedia", times=1)
        await ada.sends("/image a red fox")
        [job] = await running.all_shown()
        assert [message.id for message in shown(ada)] == [job.status_message_id]
        assert [message.kind for message in ada.chat.from_bot] == ["photo"]


async def test_flood_control_makes_the_picture_wait(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        sandbox.telegram.faults.add(Fault("flood", retry_after=1), "editMessageMedia")
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_media("photo")
        await running.all_shown()
        assert len(shown(ada)) == 1


@pytest.mark.parametrize("kind", ["answer_lost", "reset", "server_error"])
async def test_a_status_message_that_fails_does_not_lose_the_picture(
    sandbox: Sandbox, ada: Person, database_url: str, kind: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        sandbox.telegram.faults.add(kind, "sendMessage", ada.id)
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_media("photo")
        await running.all_shown()
        assert (len(shown(ada)), calls(sandbox.fal, "submit")) == (1, 1)


async def test_a_status_message_that_was_deleted_is_made_anew(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        sandbox.telegram.faults.add("message_deleted", "editMessageMedia")
        await ada.sends("/image a red fox")
        picture = await ada.chat.wait_for_media("photo")
        [job] = await running.all_shown()
        assert [message.id for message in ada.chat.from_bot] == [picture.id]
        assert job.status_message_id == picture.id


@pytest.mark.parametrize("knows_the_file", [True, False])
async def test_a_result_that_is_shown_already_is_not_replaced_by_its_link(
    sandbox: Sandbox,
    ada: Person,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    knows_the_file: bool,
) -> None:
    """It was shown, the process died before it knew, and fal has deleted the file meanwhile."""
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends("/image a red fox")
        [job] = await running.all_shown()
        await running.stop()
        await ContentJob.filter(id=job.id).update(
            state=JobState.FINISHED,
            shown_at=None,
            file_id=job.file_id if knows_the_file else None,
        )
        monkeypatch.setattr("bot.delivery.LINK_AFTER", timedelta(0))
        sandbox.fal.faults.add("not_found", "media", times=None)
        await running.start()
        [job] = await running.all_shown()
        assert job.state == JobState.DELIVERED
        assert [message.kind for message in ada.chat.from_bot] == ["photo"]


# ----------------------------------------------------------------------------------- groups


async def test_in_a_group_the_result_answers_the_one_who_asked(
    sandbox: Sandbox, world: TelegramWorld, ada: Person, database_url: str
) -> None:
    group = world.group("Studio", [ada], forum=True)
    topic = group.add_topic("Foxes")
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        asked = await ada.sends("/image a red fox", group, thread_id=topic)
        picture = await group.wait_for_media("photo")
        assert (picture.reply_to, picture.thread_id) == (asked, topic)
        await running.all_shown()


@pytest.mark.parametrize("method", ["sendMessage", "editMessageMedia"])
async def test_a_group_that_moves_takes_the_result_along(
    sandbox: Sandbox, world: TelegramWorld, ada: Person, database_url: str, method: str
) -> None:
    group = world.group("Studio", [ada])
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        world.faults.add("migrated", method, group.id)
        await ada.sends("/image a red fox", group)
        await world.wait_for(lambda: group.migrated_to, what="the move")
        assert group.migrated_to is not None
        await group.migrated_to.wait_for_media("photo")
        [job] = await running.all_shown()
        assert job.chat_id == group.migrated_to.id


async def test_a_group_that_is_closed_to_the_bot_leaves_the_private_chat(
    sandbox: Sandbox, world: TelegramWorld, ada: Person, database_url: str
) -> None:
    sandbox.fal.pace = "manual"
    group = world.group("Studio", [ada])
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends("/image a red fox", group)
        [request] = await sandbox.fal.wait_for_requests()
        group.bot_inside = False
        sandbox.fal.complete(request)
        await ada.chat.wait_for_media("photo")
        [job] = await running.all_shown()
        assert job.chat_id == ada.id


# --------------------------------------------------------------------------------- pictures


async def test_a_persons_picture_reaches_fal_as_bytes_and_never_by_telegrams_url(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        await ada.sends_photo(plain_photo(size=(800, 600)), "/image make it blue")
        await ada.chat.wait_for_media("photo")
        [request] = sandbox.fal.requests
        assert sandbox.telegram.token not in str(request.arguments)
        assert request.arguments["image_url"].startswith(sandbox.fal.storage.cdn_url)
        assert sandbox.fal.complaints == []
        await running.all_shown()


async def test_a_picture_that_fal_can_no_longer_be_given_is_told(
    sandbox: Sandbox, ada: Person, database_url: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        fault = Fault("refused", message="Bad Request: wrong file_id or the file is unavailable")
        sandbox.telegram.faults.add(fault, "getFile")
        await ada.sends_photo(plain_photo(), "/image make it blue")
        await ada.chat.wait_for_text("picture could not be used")
        [job] = await running.all_shown()
        assert (job.cost_nanos, sandbox.fal.requests) == (0, [])
        await assert_books(running.connection)


@pytest.mark.parametrize(("method", "kind"), [("getFile", "reset"), ("file", "answer_lost")])
async def test_a_picture_that_does_not_come_through_is_asked_for_again(
    sandbox: Sandbox, ada: Person, database_url: str, method: str, kind: str
) -> None:
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada)
        sandbox.telegram.faults.add(kind, method, times=2)
        await ada.sends_photo(plain_photo(), "/image make it blue")
        await ada.chat.wait_for_media("photo")
        await running.all_shown()
        assert calls(sandbox.fal, "submit") == 1


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://v3.fal.media/files/a/b.png", "image-7.png"),
        ("https://v3.fal.media/files/a/b.PNG?x=.exe", "image-7.png"),
        ("https://v3.fal.media/files/a/b.apk", "image-7.jpg"),
        ("https://v3.fal.media/files/a/b.html", "image-7.jpg"),
        ("https://v3.fal.media/files/a/b.svg", "image-7.jpg"),
        ("https://v3.fal.media/files/a/b", "image-7.jpg"),
        ("https://v3.fal.media", "image-7.jpg"),
        ("", "image-7.jpg"),
    ],
)
def test_a_result_is_called_a_picture_whatever_its_model_calls_it(url: str, name: str) -> None:
    assert file_name(url, ContentJob(id=7, kind="image")) == name


async def test_a_message_that_is_gone_each_time_is_not_sent_anew_without_a_pause(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.2)
    refused = Fault("refused", message="message can't be edited")
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=10**9)
        for method in ("editMessageMedia", "editMessageText"):
            sandbox.telegram.faults.add(refused, method, ada.chat.id, times=None)
        await ada.sends("/image a red fox")
        edits = "editMessageMedia"
        await sandbox.telegram.wait_for(lambda: len(sandbox.telegram.called(edits)) >= 6)
        # Twice for each try: the message that was there, and the one that took its place.
        assert len(sandbox.telegram.called("sendMessage")) <= 1 + 3
        sandbox.telegram.faults.clear()
        await ada.chat.wait_for_media("photo")
        await running.all_shown()
