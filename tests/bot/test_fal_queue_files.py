"""Cancelling, uploads and files, against the sandbox over HTTP."""

from __future__ import annotations

import base64

import pytest

from bot.fal import queue as room
from bot.fal.errors import MediaTooLarge, Refused, Unavailable
from bot.fal.queue import Queue, Request, Status
from bot.sandbox.fal import FalWorld

FLUX = "fal-ai/flux/dev"
FOX = {"prompt": "a fox", "seed": 7}


@pytest.fixture
async def request_(queue: Queue) -> Request:
    return await queue.submit(FLUX, FOX)


async def watched(queue: Queue, request: Request) -> list[Status]:
    return [status async for status in queue.watch(request)]


# -------------------------------------------------------------------------------- watching


# ---------------------------------------------------------------------------------- cancel


async def test_a_queued_request_is_cancelled_and_gone(queue: Queue, fal: FalWorld) -> None:
    fal.pace = "manual"
    request = await queue.submit(FLUX, FOX)
    assert await queue.cancel(request)
    with pytest.raises(Refused):
        await queue.status(request)


async def test_it_is_too_late_to_cancel_what_is_complete_or_unknown(
    queue: Queue, fal: FalWorld, request_: Request
) -> None:
    assert not await queue.cancel(request_)
    assert not await queue.cancel(queue.request(FLUX, "00000000-0000-0000-0000-000000000000"))
    fal.pace = "manual"
    running = await queue.submit(FLUX, FOX)
    fal.faults.add("refused", "cancel")
    assert not await queue.cancel(running)


@pytest.mark.parametrize("kind", ["reset", "unavailable", "unauthorized", "rate_limited"])
async def test_a_cancel_that_is_not_answered_is_no_answer(
    queue: Queue, fal: FalWorld, request_: Request, kind: str
) -> None:
    fal.faults.add(kind, "cancel")
    with pytest.raises(Unavailable):
        await queue.cancel(request_)


# ---------------------------------------------------------------------------------- upload


async def test_a_picture_is_handed_to_fals_storage(queue: Queue, fal: FalWorld) -> None:
    url = await queue.upload(b"a picture", "image/jpeg", "picture.jpeg")
    [file] = fal.storage.files.values()
    assert (file.content(), file.content_type, file.uploaded) == (b"a picture", "image/jpeg", True)
    assert url == fal.storage.url(file)
    again = await queue.upload(b"another", "image/png", "picture.png")
    assert again != url
    uploads = [call for call in fal.calls if call.operation == "upload"]
    assert all(fal.account.api_key not in str(call.headers) for call in uploads)


@pytest.mark.parametrize("operation", ["token", "upload"])
@pytest.mark.parametrize("kind", ["unavailable", "hang", "unauthorized", "not_found", "html"])
async def test_a_picture_reaches_fal_also_without_its_storage(
    queue: Queue, fal: FalWorld, monkeypatch: pytest.MonkeyPatch, operation: str, kind: str
) -> None:
    monkeypatch.setattr(room, "UPLOAD_TIMEOUT_SECONDS", 0.2)
    fal.faults.add(kind, operation, times=None)
    url = await queue.upload(b"a picture", "image/jpeg", "picture.jpeg")
    head, _, data = url.partition(",")
    if head == "data:image/jpeg;base64":
        assert base64.b64decode(data) == b"a picture"
    else:
        # It was stored, only the answer could not be read; fal-client asks in another way.
        assert (kind, operation) == ("html", "upload")
        assert await queue.fetch(url, limit_bytes=100) == b"a picture"


async def test_a_large_picture_is_not_sent_inline(
    queue: Queue, fal: FalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "DATA_URI_LIMIT_BYTES", 8)
    fal.faults.add("unauthorized", "token", times=None)
    assert (await queue.upload(b"8 bytes.", "image/png", "a.png")).startswith("data:")
    with pytest.raises(Unavailable):
        await queue.upload(b"9 bytes..", "image/png", "a.png")


# ----------------------------------------------------------------------------------- fetch


async def test_a_file_of_just_the_limit_is_fetched_and_a_larger_one_is_not(
    queue: Queue, fal: FalWorld
) -> None:
    url = fal.storage.url(fal.storage.add(b"12345", "image/png", "a.png"))
    assert await queue.fetch(url, limit_bytes=5) == b"12345"
    with pytest.raises(MediaTooLarge):
        await queue.fetch(url, limit_bytes=4)


@pytest.mark.parametrize("kind", ["not_found", "reset", "cut", "unavailable", "bad_gateway"])
async def test_a_file_that_cannot_be_had_is_fetched_again_later(
    queue: Queue, fal: FalWorld, kind: str
) -> None:
    url = fal.storage.url(fal.storage.add(b"12345", "image/png", "a.png"))
    fal.faults.add(kind, "media")
    with pytest.raises(Unavailable):
        await queue.fetch(url, limit_bytes=5)
    assert await queue.fetch(url, limit_bytes=5) == b"12345"


@pytest.mark.parametrize(
    "url", ["", "nonsense", "ftp://127.0.0.1/a", "http://127.0.0.1:1/a", "None"]
)
async def test_what_is_no_url_cannot_be_had(queue: Queue, url: str) -> None:
    with pytest.raises(Unavailable):
        await queue.fetch(url, limit_bytes=5)
