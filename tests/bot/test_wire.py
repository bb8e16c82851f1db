"""The HTTP client under python-telegram-bot: what an error of it means."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from telegram import Bot, MessageEntity
from telegram.error import NetworkError, RetryAfter, TimedOut

from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Person
from bot.sandbox.telegram.people import plain_photo
from bot.screen.wire import NoAnswer, read_json, telegram_request


@pytest.fixture
def ada(sandbox: Sandbox) -> Person:
    return sandbox.telegram.person(id=1, name="Ada", started=True)


@pytest.fixture
async def bot(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bot]:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    url = sandbox.environment()["TELEGRAM_API_URL"]
    bot = Bot(
        sandbox.telegram.token,
        base_url=f"{url}/bot",
        base_file_url=f"{url}/file/bot",
        request=telegram_request(),
        get_updates_request=telegram_request(),
    )
    async with bot:
        yield bot


async def test_texts_and_files_go_up_and_files_come_down(bot: Bot, ada: Person) -> None:
    said = await bot.send_message(1, "é & <ü> 🦊", disable_notification=True)
    assert said.text == ada.chat.messages[-1].text == "é & <ü> 🦊"
    picture = plain_photo()
    sent = await bot.send_document(1, picture, caption="fünf", filename="ä.jpg")
    assert sent.document is not None
    assert (sent.caption, sent.document.file_name) == ("fünf", "ä.jpg")
    file = await bot.get_file(sent.document.file_id)
    assert bytes(await file.download_as_bytearray()) == picture


async def test_half_a_sign_is_left_out_and_the_rest_is_said(bot: Bot, ada: Person) -> None:
    await bot.send_message(1, "a fox\ud83e & more")
    assert ada.chat.messages[-1].text == "a fox & more"


async def test_a_form_carries_every_sign_and_what_is_made_of_parts(bot: Bot, ada: Person) -> None:
    text = "a+b&c=d;e 25% # ~ \"x\" 'y' é\tи 中 🦊\n/?:@[]"
    entity = MessageEntity(MessageEntity.BOLD, 0, 3)
    said = await bot.send_message(1, text, entities=[entity])
    assert said.text == ada.chat.messages[-1].text == text
    assert said.entities == (entity,)


def test_half_a_sign_in_an_answer_is_read() -> None:
    assert read_json(b'{"text": "\\ud83e"}') == {"text": "\ud83e"}
    with pytest.raises(ValueError, match="Expecting value"):
        read_json(b"<html>502</html>")


@pytest.mark.parametrize("kind", ["reset", "answer_lost"])
async def test_after_a_broken_connection_nobody_knows(
    bot: Bot, ada: Person, sandbox: Sandbox, kind: str
) -> None:
    sandbox.telegram.faults.add(kind)
    with pytest.raises(NoAnswer) as caught:
        await bot.send_message(1, "hello")
    assert sandbox.telegram.token not in str(caught.value)
    assert len(ada.chat.messages) == (kind == "answer_lost")


async def test_an_answer_that_does_not_come_has_an_end(
    bot: Bot, ada: Person, sandbox: Sandbox
) -> None:
    sandbox.telegram.faults.add("hang")
    with pytest.raises(TimedOut):
        await bot.send_message(1, "hello", read_timeout=0.05, write_timeout=0.05)
    assert ada.chat.messages == []


async def test_what_telegram_refuses_keeps_its_meaning(
    bot: Bot, ada: Person, sandbox: Sandbox
) -> None:
    sandbox.telegram.faults.add(Fault("flood", retry_after=7))
    with pytest.raises(RetryAfter) as caught:
        await bot.send_message(1, "hello")
    assert caught.value.retry_after is not None
    sandbox.telegram.faults.add("bad_gateway")
    with pytest.raises(NetworkError) as bad_gateway:
        await bot.send_message(1, "hello")
    assert type(bad_gateway.value) is NetworkError


async def test_a_connection_that_never_was_has_surely_sent_nothing() -> None:
    async with Sandbox() as gone:
        url = gone.environment()["TELEGRAM_API_URL"]
    request = telegram_request()
    await request.initialize()
    with pytest.raises(NetworkError) as caught:
        await request.post(f"{url}/bot{gone.telegram.token}/getMe")
    assert type(caught.value) is NetworkError
    assert gone.telegram.token not in str(caught.value)
    await request.shutdown()
    with pytest.raises(NetworkError):
        await request.post(f"{url}/bot{gone.telegram.token}/getMe")
