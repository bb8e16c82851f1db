"""Telegram takes no answer: what was asked for is done once, and nobody is told anything false."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Content, Person
from db.models import Access, ContentJob
from db.models import Person as StoredPerson
from handlers.commands import ADMIN_COMMANDS, MEMBER_COMMANDS
from tests.handlers.bench import Bench, bench
from tests.support.running import ADMIN_ID, let_in

FAULTS = ("server_error", "bad_gateway", "flood", "reset", "answer_lost")


@pytest.fixture
async def workbench(
    sandbox: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    monkeypatch.setattr("bot.screen.flood.FIRST_PAUSE_SECONDS", 0)
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)
    async with bench(sandbox, database_url) as made:
        yield made


@pytest.fixture
async def ada(workbench: Bench) -> Person:
    """An administrator with a budget."""
    ada = workbench.telegram.person(id=ADMIN_ID, name="Ada", username="ada", language="en")
    await let_in(ada, is_admin=True, budget_nanos=10**10)
    return ada


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.exc_info or r.levelno > logging.WARNING]


@pytest.mark.parametrize("kind", FAULTS)
async def test_an_answer_that_telegram_does_not_take_is_no_defect_of_ours(
    workbench: Bench, ada: Person, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    workbench.telegram.faults.add(Fault(kind, retry_after=0), times=None)
    for command in ("start", *MEMBER_COMMANDS, *ADMIN_COMMANDS):
        await workbench.hears_of(ada, f"/{command}")
    shown = ada.chat.add(Content("something"), None)
    for data in ("set:language:fr", "history:0", "csv", "users:0", "model:flux-schnell", "stale"):
        await workbench.feels(ada, shown, data)
    assert tracebacks(caplog) == []
    workbench.telegram.faults.clear()
    [said] = await workbench.hears_of(ada, "/help")
    assert said.text.startswith("Créer")
    assert (await StoredPerson.get(id=ada.id)).language == "fr"


@pytest.mark.parametrize("kind", ["server_error", "answer_lost"])
async def test_what_was_ordered_with_a_button_is_not_called_failed(
    workbench: Bench, ada: Person, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    workbench.sandbox.fal.pace = "manual"
    [offer] = await workbench.hears_of(ada, "a red fox")
    for method in ("answerCallbackQuery", "editMessageText"):
        workbench.telegram.faults.add(kind, method, times=None)
    await workbench.feels(ada, offer, str(offer.buttons[0]["callback_data"]))
    [request] = await workbench.sandbox.fal.wait_for_requests()
    assert await ContentJob.all().count() == 1
    assert [m.text for m in ada.chat.from_bot if "Nothing was charged" in m.text] == []
    assert tracebacks(caplog) == []
    assert request.arguments["prompt"] == "a red fox"


@pytest.mark.parametrize("kind", ["server_error", "answer_lost"])
async def test_a_decision_stands_though_nobody_could_be_told(
    workbench: Bench, ada: Person, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    mal = workbench.telegram.person(id=666, name="Mal", username="mal")
    await workbench.hears_of(mal, "/start")
    shown = ada.chat.add(Content("Mal would like to use this bot"), None)
    workbench.telegram.faults.add(kind, times=None)
    await workbench.feels(ada, shown, f"approve:{mal.id}:5")
    person = await StoredPerson.get(id=mal.id)
    assert (person.access, person.budget_nanos) == (Access.APPROVED, 5 * 10**9)
    assert tracebacks(caplog) == []
