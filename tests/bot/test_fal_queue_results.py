"""Watching a request to its end, and what comes of it: files, billed units, reasons."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import httpx
import pytest

from bot.fal import queue as room
from bot.fal.errors import Refused, Unavailable
from bot.fal.queue import Completed, InProgress, Queue, Queued, Request, Status
from bot.fal.transport import FalUrls
from bot.sandbox import Fault
from bot.sandbox.fal import FalWorld
from bot.sandbox.fal.errors import FalError
from tests.support.answering import Answering, answering, dripping, response
from tests.support.fal import calls, queue_at

FLUX = "fal-ai/flux/dev"
FOX = {"prompt": "a fox", "seed": 7}


@pytest.fixture
async def request_(queue: Queue) -> Request:
    return await queue.submit(FLUX, FOX)


async def watched(queue: Queue, request: Request) -> list[Status]:
    return [status async for status in queue.watch(request)]


# -------------------------------------------------------------------------------- watching


async def test_the_stream_tells_every_state_until_the_end(queue: Queue, fal: FalWorld) -> None:
    fal.pace = "manual"
    first, second = await queue.submit(FLUX, FOX), await queue.submit(FLUX, FOX)
    seen: list[Status] = []

    async def watch() -> None:
        seen.extend([status async for status in queue.watch(second)])

    watching = asyncio.create_task(watch())
    await fal.wait_for(lambda: calls(fal, "stream"))
    fal.complete(fal.requests[0])
    fal.start(fal.requests[1])
    fal.progress(fal.requests[1], "50%")
    await asyncio.sleep(0)
    fal.complete(fal.requests[1])
    await watching
    assert isinstance(seen[-1], Completed)
    assert {type(status) for status in seen} <= {Queued, InProgress, Completed}
    assert calls(fal, "status") == 0
    assert first != second


async def test_the_place_in_the_queue_is_told(queue: Queue, fal: FalWorld) -> None:
    fal.pace = "manual"
    await queue.submit(FLUX, FOX)
    request = await queue.submit(FLUX, FOX)
    assert await queue.status(request) == Queued(1)
    fal.start(fal.requests[1])
    assert isinstance(await queue.status(request), InProgress)
    fal.complete(fal.requests[1])
    assert isinstance(await queue.status(request), Completed)


@pytest.mark.parametrize(
    "kind", ["cut", "reset", "garbage", "not_found", "html", "unavailable", "rate_limited"]
)
async def test_a_stream_that_breaks_is_made_up_for_by_asking(
    queue: Queue, fal: FalWorld, kind: str
) -> None:
    fal.pace = "manual"
    request = await queue.submit(FLUX, FOX)
    fal.faults.add(kind, "stream")
    watching = asyncio.create_task(watched(queue, request))
    await fal.wait_for(lambda: calls(fal, "status") >= 2, what="two questions")
    fal.complete(fal.requests[0])
    assert isinstance((await watching)[-1], Completed)
    assert calls(fal, "stream") == 1


async def test_a_stream_that_goes_silent_is_given_up(
    queue: Queue, fal: FalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "STREAM_TIMEOUT", httpx.Timeout(0.05))
    fal.pace = "manual"
    request = await queue.submit(FLUX, FOX)
    watching = asyncio.create_task(watched(queue, request))
    await fal.wait_for(lambda: calls(fal, "status") >= 1, what="a question")
    fal.complete(fal.requests[0])
    assert isinstance((await watching)[-1], Completed)


@pytest.mark.parametrize(
    "kind", ["reset", "unavailable", "html", "garbage", "bad_gateway", "unauthorized"]
)
async def test_a_question_without_an_answer_is_asked_again(
    queue: Queue, fal: FalWorld, request_: Request, kind: str
) -> None:
    fal.faults.add("reset", "stream")
    fal.faults.add(kind, "status", times=3)
    assert [type(status) for status in await watched(queue, request_)] == [Completed]
    assert calls(fal, "status") == 4


async def test_a_question_waits_as_long_as_fal_asks_for(
    queue: Queue, fal: FalWorld, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    fal.faults.add("reset", "stream")
    fal.faults.add(Fault("rate_limited", retry_after=30), "status")
    fal.faults.add("unavailable", "status")
    await watched(queue, request_)
    assert waits[0] == 30
    assert waits[1] <= 0.002


async def test_polling_slows_down_from_two_to_five_seconds() -> None:
    pauses = [2.0]
    while pauses[-1] < room.POLL_SLOWEST_SECONDS:
        pauses.append(min(pauses[-1] * room.POLL_FACTOR, room.POLL_SLOWEST_SECONDS))
    assert (room.POLL_FIRST_SECONDS, pauses[-1]) == (2.0, 5.0)
    assert len(pauses) < 8


async def test_a_request_that_stays_unknown_is_left_to_its_result(
    queue: Queue, fal: FalWorld
) -> None:
    request = queue.request(FLUX, "00000000-0000-0000-0000-000000000000")
    assert [type(status) for status in await watched(queue, request)] == [Completed]
    assert calls(fal, "status") == room.POLLS_UNKNOWN
    with pytest.raises(Refused) as refused:
        await queue.result(request)
    assert refused.value.status == 404


async def test_a_request_that_is_unknown_for_a_moment_is_asked_for_again(
    queue: Queue, fal: FalWorld, request_: Request
) -> None:
    fal.faults.add("reset", "stream")
    fal.faults.add("not_found", "status", times=room.POLLS_UNKNOWN - 1)
    assert [type(status) for status in await watched(queue, request_)] == [Completed]
    assert calls(fal, "status") == room.POLLS_UNKNOWN


# --------------------------------------------------------------------------------- results


async def test_a_result_has_its_files_and_its_units(
    queue: Queue, fal: FalWorld, request_: Request
) -> None:
    result = await queue.result(request_)
    [media] = result.media
    assert (media.content_type, media.width, media.height) == ("image/jpeg", 1024, 768)
    assert not media.flagged
    assert result.units == Decimal(1)
    assert (await queue.fetch(media.url, limit_bytes=10**7)).startswith(b"\xff\xd8")


async def test_a_video_is_a_result_of_one_file(queue: Queue) -> None:
    request = await queue.submit("fal-ai/luma-dream-machine", {"prompt": "waves"})
    result = await queue.result(request)
    assert [media.content_type for media in result.media] == ["video/mp4"]


async def test_a_flagged_picture_is_known_and_has_its_units(queue: Queue, fal: FalWorld) -> None:
    fal.faults.add("flagged", "job")
    result = await queue.result(await queue.submit(FLUX, FOX))
    assert [media.flagged for media in result.media] == [True]
    assert result.units == Decimal(1)


async def test_a_result_that_is_not_there_yet_is_asked_for_later(
    queue: Queue, fal: FalWorld
) -> None:
    fal.pace = "manual"
    request = await queue.submit(FLUX, FOX)
    with pytest.raises(Unavailable):
        await queue.result(request)


@pytest.mark.parametrize(
    "kind",
    [
        "reset",
        "html",
        "garbage",
        "cut",
        "bad_gateway",
        "rate_limited",
        "unauthorized",
    ],
)
async def test_a_result_whose_answer_says_nothing_of_the_job_is_asked_for_again(
    queue: Queue, fal: FalWorld, request_: Request, kind: str
) -> None:
    fal.faults.add(kind, "result")
    with pytest.raises(Unavailable):
        await queue.result(request_)
    assert (await queue.result(request_)).media


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (422, "content_policy_violation", "policy"),
        (422, "image_too_small", "picture"),
        (422, "image_load_error", "picture"),
        (422, "file_download_error", "picture"),
        (400, "value_error", "invalid"),
        (504, "request_timeout", "timeout"),
        (504, "startup_timeout", "timeout"),
        (503, "runner_scheduling_failure", "fal_down"),
        (503, "runner_disconnected", "fal_down"),
        (500, "something_new", "fal_down"),
    ],
)
async def test_a_failed_job_says_why(
    queue: Queue, fal: FalWorld, status: int, kind: str, reason: str
) -> None:
    fal.faults.add(Fault("fails", status=status, message=kind), "job")
    request = await queue.submit(FLUX, FOX)
    with pytest.raises(Refused) as refused:
        await queue.result(request)
    assert (refused.value.reason, refused.value.units) == (reason, None)
    assert refused.value.status == status


async def test_a_refusal_in_words_alone_counts_once_the_request_is_complete(
    queue: Queue, fal: FalWorld
) -> None:
    fal.pace = "manual"
    request = await queue.submit(FLUX, FOX)
    [made] = fal.requests
    fal.start(made)
    with pytest.raises(Unavailable):
        await queue.result(request)
    fal._end(made, FalError(400, "Invalid input: no such style"), None)
    with pytest.raises(Refused) as refused:
        await queue.result(request)
    assert (refused.value.status, refused.value.reason) == (400, "invalid")


async def test_a_failed_job_says_what_is_billed_for_it(queue: Queue, fal: FalWorld) -> None:
    fal.faults.add(Fault("fails", status=422, units="0.5"), "job")
    request = await queue.submit(FLUX, FOX)
    with pytest.raises(Refused) as refused:
        await queue.result(request)
    assert refused.value.units == Decimal("0.5")


@pytest.mark.parametrize(
    ("header", "units"),
    [
        ("1", Decimal(1)),
        ("0", Decimal(0)),
        ("0.000000001", Decimal("0.000000001")),
        ("12.500", Decimal("12.5")),
        ("1E+2", Decimal(100)),
        ("-1", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e999", None),
        ("1000000000", None),
        ("one", None),
        ("1,5", None),
        ("", None),
    ],
)
async def test_units_are_exact_or_nothing(header: str, units: Decimal | None) -> None:
    answer = response("200 OK", '{"images": []}', x_fal_billable_units=header)
    async with answering(answer) as server, queue_at(_all_at(server), "a:key") as queue:
        assert (await queue.result(queue.request(FLUX, "r1"))).units == units


async def test_a_result_without_the_header_says_nothing_of_units(
    queue: Queue, fal: FalWorld, request_: Request
) -> None:
    fal.faults.add("no_units", "result")
    assert (await queue.result(request_)).units is None


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"images": [{"url": "http://a/1.jpg"}, {"url": "http://a/2.jpg"}]}, 2),
        ({"image": {"url": "http://a/1.jpg", "width": "wide", "height": None}}, 1),
        ({"video": {"url": "http://a/1.mp4"}, "has_nsfw_concepts": None}, 1),
        ({"images": [{"url": 5}, "http://a", None]}, 0),
        ({"images": None, "has_nsfw_concepts": [True]}, 0),
        ({}, 0),
    ],
    ids=str,
)
async def test_files_are_found_whatever_else_is_in_a_result(
    body: dict[str, object], count: int
) -> None:
    answer = response("200 OK", json.dumps(body))
    async with answering(answer) as server, queue_at(_all_at(server), "a:key") as queue:
        media = (await queue.result(queue.request(FLUX, "r1"))).media
    assert len(media) == count
    assert all(isinstance(one.width, int | None) for one in media)


@pytest.mark.parametrize(
    "answer",
    [
        response("302 Found", Location="http://127.0.0.1:1/"),
        response("202 Accepted", '{"status": "IN_PROGRESS"}'),
        response("200 OK", "[1, 2]"),
        response("200 OK", "[" * 100_000),
        response("200 OK", '{"seed": 1e99999999999999999999}'),
        response("403 Forbidden", '{"detail": "User is locked."}'),
        response("500 Internal Server Error", "oops"),
    ],
    ids=lambda answer: answer.partition(b"\r\n")[0].decode(),
)
async def test_what_is_no_result_is_asked_for_again(answer: bytes) -> None:
    async with answering(answer) as server, queue_at(_all_at(server), "a:key") as queue:
        with pytest.raises(Unavailable):
            await queue.result(queue.request(FLUX, "r1"))


async def test_a_result_without_an_end_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LONGEST_ANSWER_SECONDS", 0.1)
    async with dripping() as server, queue_at(_all_at(server), "a:key") as queue:
        with pytest.raises(Unavailable):
            await queue.result(queue.request(FLUX, "r1"))


def _all_at(server: Answering) -> FalUrls:
    return FalUrls(server.url, server.url, server.url, server.url)
