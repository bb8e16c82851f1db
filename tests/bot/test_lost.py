"""Which request in fal's list is the one whose answer was lost; and when surely none is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bot import lost
from bot.fal.errors import Refused, Unavailable
from bot.fal.platform import Platform
from bot.fal.queue import Queue
from bot.lost import Answer, look_up
from bot.sandbox import Sandbox
from bot.sandbox.fal import FalWorld
from db import ledger
from db.connection import connect, migrate
from db.models import Access, ContentJob, JobState, Person
from db.sql import now
from tests.support.fal import queue_at, urls_of

FLUX = "fal-ai/flux/dev"
LUMA = "fal-ai/luma-dream-machine"
ABSENT, UNKNOWN = Answer(absent=True), Answer()

pytestmark = pytest.mark.sqlite_only


@pytest.fixture(autouse=True)
async def _database(database_url: str) -> AsyncIterator[None]:
    async with connect(database_url) as connection:
        await migrate(connection)
        await Person.create(id=1, access=Access.APPROVED)
        yield


@pytest.fixture
async def platform(sandbox: Sandbox) -> AsyncIterator[Platform]:
    made = Platform(sandbox.fal.account.api_key, urls_of(sandbox).platform)
    yield made
    await made.aclose()


@pytest.fixture
async def queue(sandbox: Sandbox) -> AsyncIterator[Queue]:
    async with queue_at(urls_of(sandbox), sandbox.fal.account.api_key) as made:
        yield made


async def lost_job(
    number: int, endpoint: str = FLUX, seed: int | None = None, **arguments: object
) -> ContentJob:
    """A job that was sent a moment ago and whose answer did not come."""
    if seed is not None:
        arguments["seed"] = seed
    job = ContentJob(
        person_id=1,
        origin=f"test:{number}",
        chat_id=1,
        kind="image",
        endpoint=endpoint,
        prompt="a fox",
        arguments={"prompt": "a fox", **arguments},
        seed=seed,
        unit="images",
        unit_price_nanos=1,
        price_origin="fallback",
        quote_nanos=1,
        state=JobState.UNKNOWN,
        created_at=now(),
        submitted_at=now(),
    )
    movement = await ledger.hold(job, max_active_jobs=100)
    return await ContentJob.get(id=movement.job_id)


async def test_a_request_is_known_by_its_seed(
    platform: Platform, queue: Queue, fal: FalWorld
) -> None:
    job = await lost_job(1, seed=7, guidance_scale=3.5)
    await queue.submit(FLUX, {"prompt": "a fox", "seed": 8})
    sent = await queue.submit(FLUX, job.arguments)
    await fal.wait_for(lambda: all(one.ok for one in fal.requests))
    assert await look_up(platform, job) == Answer(request_id=sent.request_id)


async def test_without_a_seed_it_is_known_by_all_its_arguments(
    platform: Platform, queue: Queue, fal: FalWorld
) -> None:
    job = await lost_job(1, LUMA, aspect_ratio="9:16", loop=False)
    await queue.submit(LUMA, {"prompt": "a fox", "aspect_ratio": "16:9", "loop": False})
    sent = await queue.submit(LUMA, job.arguments)
    await fal.wait_for(lambda: all(one.ok for one in fal.requests))
    assert await look_up(platform, job) == Answer(request_id=sent.request_id)


async def test_numbers_that_went_through_json_are_the_same_numbers(
    platform: Platform, queue: Queue, fal: FalWorld
) -> None:
    job = await lost_job(1, guidance_scale=3.5, num_images=1)
    sent = await queue.submit(FLUX, job.arguments)
    await fal.wait_for(lambda: all(one.ok for one in fal.requests))
    assert await look_up(platform, job) == Answer(request_id=sent.request_id)


async def test_two_that_look_alike_are_not_told_apart_by_guessing(
    platform: Platform, queue: Queue, fal: FalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost, "SURE_AFTER", timedelta(0))
    first, second = await lost_job(1, LUMA), await lost_job(2, LUMA)
    await queue.submit(LUMA, first.arguments)
    await fal.wait_for(lambda: all(one.ok for one in fal.requests))
    # One of the two arrived; nobody knows which.
    assert await look_up(platform, first) == UNKNOWN
    assert await look_up(platform, second) == UNKNOWN
    await queue.submit(LUMA, second.arguments)
    await fal.wait_for(lambda: all(one.ok for one in fal.requests))
    assert await look_up(platform, first) == UNKNOWN


async def test_two_with_seeds_of_their_own_are_told_apart(
    platform: Platform, queue: Queue, fal: FalWorld
) -> None:
    first, second = await lost_job(1, seed=1), await lost_job(2, seed=2)
    sent = [await queue.submit(FLUX, job.arguments) for job in (first, second)]
    await fal.wait_for(lambda: all(one.ok for one in fal.requests))
    assert await look_up(platform, first) == Answer(request_id=sent[0].request_id)
    assert await look_up(platform, second) == Answer(request_id=sent[1].request_id)


async def test_a_request_that_belongs_to_another_job_is_not_taken(
    platform: Platform, queue: Queue, fal: FalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost, "SURE_AFTER", timedelta(0))
    earlier, job = await lost_job(1, LUMA), await lost_job(2, LUMA)
    sent = await queue.submit(LUMA, earlier.arguments)
    await ContentJob.filter(id=earlier.id).update(
        state=JobState.SUBMITTED, request_id=sent.request_id
    )
    await fal.wait_for(lambda: all(one.ok for one in fal.requests))
    assert await look_up(platform, job) == ABSENT


async def test_one_that_was_sent_at_another_time_is_another(
    platform: Platform, queue: Queue, fal: FalWorld, sandbox: Sandbox
) -> None:
    job = await lost_job(1, LUMA)
    sandbox.clock.advance(10 * 60)
    await queue.submit(LUMA, job.arguments)
    await fal.wait_for(lambda: all(one.ok for one in fal.requests))
    assert await look_up(platform, job) == UNKNOWN


async def test_only_after_a_while_a_request_is_surely_not_there(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await lost_job(1, seed=7)
    assert await look_up(platform, job) == UNKNOWN
    moment = now() + lost.SURE_AFTER
    monkeypatch.setattr(lost, "now", lambda: moment)
    assert job.submitted_at is not None
    assert await look_up(platform, job) == ABSENT
    monkeypatch.setattr(lost, "now", lambda: job.submitted_at + lost.SURE_AFTER / 2)
    assert await look_up(platform, job) == UNKNOWN


async def test_where_one_does_not_say_what_was_sent_none_is_surely_absent(
    platform: Platform, queue: Queue, fal: FalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost, "SURE_AFTER", timedelta(0))
    job = await lost_job(1, seed=7)
    assert await look_up(platform, job) == ABSENT
    queue._headers["X-Fal-Store-IO"] = "0"
    sent = await queue.submit(FLUX, job.arguments)
    await fal.wait_for(lambda: all(one.ok for one in fal.requests))
    assert await look_up(platform, job) == UNKNOWN
    # Unless it is known whose it is.
    await ContentJob.filter(id=(await lost_job(2)).id).update(request_id=sent.request_id)
    assert await look_up(platform, job) == ABSENT


async def test_one_that_waits_in_the_queue_is_not_in_the_list_yet(
    platform: Platform, queue: Queue, fal: FalWorld
) -> None:
    fal.pace = "manual"
    job = await lost_job(1, seed=7)
    sent = await queue.submit(FLUX, job.arguments)
    assert await look_up(platform, job) == UNKNOWN
    fal.start(fal.requests[0])
    assert await look_up(platform, job) == Answer(request_id=sent.request_id)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("html", Unavailable), ("reset", Unavailable), ("unauthorized", Refused)],
)
async def test_a_list_that_cannot_be_read_says_nothing(
    platform: Platform,
    fal: FalWorld,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    error: type[Exception],
) -> None:
    monkeypatch.setattr(lost, "SURE_AFTER", timedelta(0))
    job = await lost_job(1, seed=7)
    fal.faults.add(kind, "requests")
    with pytest.raises(error):
        await look_up(platform, job)


async def test_a_job_that_was_never_sent_is_not_looked_for(platform: Platform) -> None:
    job = await lost_job(1)
    job.submitted_at = None
    with pytest.raises(Unavailable):
        await look_up(platform, job)
