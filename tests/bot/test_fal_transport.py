"""No answer of fal's is read beyond all measure, whatever was asked."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from bot.fal import queue as queue_room
from bot.fal import transport
from bot.fal.callbacks import CallbackVerifier, Forged
from bot.fal.errors import AnswerLost, FalError, Unavailable
from bot.fal.platform import Platform
from bot.fal.queue import Completed, Queue
from bot.sandbox import Sandbox
from bot.sandbox.fal import FalWorld
from bot.sandbox.telegram import Person
from db.models import JobState
from db.models import Person as StoredPerson
from tests.support.answering import answering
from tests.support.fal import calls, queue_at, urls_of
from tests.support.running import assert_books, running_bot

FLUX = "fal-ai/flux/dev"
FOX = {"prompt": "a fox", "seed": 7}
AN_HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)
IMAGE_NANOS = 25_000_000


@pytest.fixture(autouse=True)
def _measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short one, which no honest answer here comes near to."""
    monkeypatch.setattr(transport, "LONGEST_ANSWER_BYTES", 200_000)
    monkeypatch.setattr(queue_room, "POLL_FIRST_SECONDS", 0.01)


@pytest.fixture
async def queue(sandbox: Sandbox, fal: FalWorld) -> AsyncIterator[Queue]:
    async with queue_at(urls_of(sandbox), fal.account.api_key) as made:
        yield made


@pytest.fixture
async def platform(sandbox: Sandbox, fal: FalWorld) -> AsyncIterator[Platform]:
    made = Platform(fal.account.admin_key, urls_of(sandbox).platform)
    yield made
    await made.aclose()


@pytest.mark.parametrize("operation", ["status", "result", "cancel"])
async def test_an_endless_answer_about_a_request_is_none(
    queue: Queue, fal: FalWorld, operation: str
) -> None:
    request = await queue.submit(FLUX, FOX)
    fal.faults.add("endless", operation)
    with pytest.raises(Unavailable, match="AnswerTooLong"):
        await getattr(queue, operation)(request)
    await getattr(queue, operation)(request)


async def test_a_submit_that_is_answered_endlessly_is_looked_up(
    queue: Queue, fal: FalWorld
) -> None:
    fal.faults.add("endless", "submit")
    with pytest.raises(AnswerLost, match="AnswerTooLong"):
        await queue.submit(FLUX, FOX)
    assert (calls(fal, "submit"), len(fal.requests)) == (1, 1)


ASKED: dict[str, Callable[[Platform], Awaitable[object]]] = {
    "pricing": lambda platform: platform.prices([FLUX]),
    "models": lambda platform: platform.model(FLUX),
    "requests": lambda platform: platform.requests(FLUX, AN_HOUR_AGO),
    "billing": lambda platform: platform.balance(),
    "billing_events": lambda platform: platform.bills_since(AN_HOUR_AGO),
}


@pytest.mark.parametrize("operation", ASKED)
async def test_an_endless_answer_of_the_platform_is_none(
    platform: Platform, fal: FalWorld, operation: str
) -> None:
    fal.faults.add("endless", operation)
    with pytest.raises(Unavailable, match="AnswerTooLong"):
        await ASKED[operation](platform)
    await ASKED[operation](platform)


async def test_a_stream_without_an_end_is_made_up_for_by_asking(
    queue: Queue, fal: FalWorld
) -> None:
    request = await queue.submit(FLUX, FOX)
    fal.faults.add("endless", "stream")
    states = [state async for state in queue.watch(request)]
    assert isinstance(states[-1], Completed)
    assert calls(fal, "status") == 1


async def test_keys_without_an_end_verify_nothing(sandbox: Sandbox, fal: FalWorld) -> None:
    fal.faults.add("endless", "jwks")
    verifier = CallbackVerifier(urls_of(sandbox).rest)
    headers = {
        "x-fal-webhook-request-id": "r1",
        "x-fal-webhook-user-id": "u1",
        "x-fal-webhook-timestamp": str(int(datetime.now(UTC).timestamp())),
        "x-fal-webhook-signature": "00" * 64,
    }
    with pytest.raises(Forged):
        await verifier.verify(headers, b"{}")
    await verifier.aclose()
    assert calls(fal, "jwks") >= 1


async def test_a_file_may_be_longer_than_an_answer(
    queue: Queue, fal: FalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await queue.submit(FLUX, FOX)
    [file] = (await queue.result(request)).media
    monkeypatch.setattr(transport, "LONGEST_ANSWER_BYTES", 100)
    assert len(await queue.fetch(file.url, limit_bytes=10**6)) > 100


@pytest.mark.parametrize("encoding", ["gzip", "br"])
async def test_an_answer_is_not_unpacked(encoding: str) -> None:
    bomb = gzip.compress(b'{"prices": []}' + b" " * 10**7)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(bomb)}\r\n\r\n"
    async with answering(head.encode() + bomb) as fal:
        platform = Platform("a:key", fal.url)
        with pytest.raises(Unavailable, match="AnswerPacked"):
            await platform.prices([FLUX])
        await platform.aclose()
        assert "accept-encoding: identity" in fal.heads[0].lower()


async def test_an_endless_answer_is_counted_among_the_errors(
    sandbox: Sandbox, fal: FalWorld
) -> None:
    counted: list[str] = []
    platform = Platform(fal.account.admin_key, urls_of(sandbox).platform, counted.append)
    fal.faults.add("endless", "billing")
    with pytest.raises(FalError):
        await platform.balance()
    await platform.aclose()
    assert counted == ["AnswerTooLong"]


async def test_endless_answers_on_all_ways_cost_a_job_nothing_but_time(
    sandbox: Sandbox, ada: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)
    async with running_bot(sandbox, database_url) as running:
        await running.let_in(ada, budget_nanos=10**9)
        for operation in ("submit", "requests", "stream", "status", "result"):
            sandbox.fal.faults.add("endless", operation)
        await ada.sends("/image a red fox")
        await ada.chat.wait_for_media("photo")
        [job] = await running.all_shown()
        assert (job.state, calls(sandbox.fal, "submit")) == (JobState.DELIVERED, 1)
        person = await StoredPerson.get(id=ada.id)
        assert person.total_spent_nanos == sandbox.fal.bill_total_nanos == IMAGE_NANOS
        await assert_books(running.connection)
