"""A submit leaves once, whatever happens to it; and the key goes nowhere but to the queue."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from bot.fal import queue as room
from bot.fal.errors import AnswerLost, NotSent, Refused
from bot.fal.queue import Queue
from bot.fal.transport import OFFICIAL_CDN, OFFICIAL_QUEUE, OFFICIAL_REST, FalUrls
from bot.sandbox import Fault, Sandbox
from bot.sandbox.fal import FalWorld
from tests.support.answering import answering, response
from tests.support.fal import calls, queue_at, urls_of

FLUX = "fal-ai/flux/dev"
FOX = {"prompt": "a fox", "seed": 7}


async def test_a_submit_gives_a_request_that_can_be_asked_about(
    queue: Queue, fal: FalWorld
) -> None:
    request = await queue.submit(FLUX, FOX)
    [made] = fal.requests
    assert (request.request_id, made.arguments) == (made.request_id, FOX)
    assert request == queue.request(FLUX, made.request_id)
    assert calls(fal, "submit") == 1


async def test_a_submit_says_where_to_call_and_how_long_to_keep_the_result(
    urls: FalUrls, fal: FalWorld
) -> None:
    async with queue_at(urls, fal.account.api_key, retention_seconds=60) as queue:
        await queue.submit(FLUX, FOX, webhook_url="http://127.0.0.1:1/fal/12?a=b")
    [made] = fal.requests
    assert made.webhook_url == "http://127.0.0.1:1/fal/12?a=b"
    preference = json.loads(made.headers["x-fal-object-lifecycle-preference"])
    assert preference == {"expiration_duration_seconds": 60}


@pytest.mark.parametrize(
    ("kind", "accepted"),
    [
        ("answer_lost", True),
        ("reset", False),
        ("cut", True),
        ("html", True),
        ("garbage", True),
        ("bad_gateway", False),
        ("bad_gateway_after", True),
    ],
)
async def test_a_submit_whose_answer_is_lost_or_unreadable_is_not_sent_again(
    queue: Queue, fal: FalWorld, kind: str, accepted: bool
) -> None:
    fal.faults.add(kind, "submit")
    with pytest.raises(AnswerLost):
        await queue.submit(FLUX, FOX)
    assert (calls(fal, "submit"), len(fal.requests)) == (1, int(accepted))


@pytest.mark.parametrize(("kind", "accepted"), [("hang", False), ("answer_hangs", True)])
async def test_a_submit_that_is_never_answered_is_not_sent_again(
    urls: FalUrls, fal: FalWorld, monkeypatch: pytest.MonkeyPatch, kind: str, accepted: bool
) -> None:
    monkeypatch.setattr(room, "SUBMIT_TIMEOUT_SECONDS", 0.05)
    fal.faults.add(kind, "submit")
    async with queue_at(urls, fal.account.api_key) as queue:
        with pytest.raises(AnswerLost):
            await queue.submit(FLUX, FOX)
    assert (calls(fal, "submit"), len(fal.requests)) == (1, int(accepted))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("rate_limited"), "busy"),
        (Fault("unavailable"), "fal_down"),
        (Fault("server_error"), "fal_down"),
        (Fault("unauthorized"), "key"),
        (Fault("locked"), "account_locked"),
        (Fault("locked", message="TOP_UP"), "account_locked"),
        (Fault("locked", message="Admin lock"), "account_locked"),
        (Fault("unprocessable"), "invalid"),
        (Fault("not_found"), "invalid"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else value,
)
async def test_a_submit_that_fal_refuses_is_told_why_and_not_sent_again(
    queue: Queue, fal: FalWorld, fault: Fault, reason: str
) -> None:
    fal.faults.add(fault, "submit")
    with pytest.raises(Refused) as refused:
        await queue.submit(FLUX, FOX)
    assert refused.value.reason == reason
    assert (calls(fal, "submit"), fal.requests) == (1, [])


async def test_a_wrong_key_is_the_key_and_names_no_key(sandbox: Sandbox) -> None:
    async with queue_at(urls_of(sandbox), "no:key-at-all") as queue:
        with pytest.raises(Refused) as refused:
            await queue.submit(FLUX, FOX)
    assert refused.value.reason == "key"
    assert "key-at-all" not in str(refused.value)


@pytest.mark.parametrize(
    "answer",
    [
        response("302 Found", Location="http://127.0.0.1:1/elsewhere"),
        response("307 Temporary Redirect", Location="http://127.0.0.1:1/elsewhere"),
        response("408 Request Timeout", "<html>nginx</html>"),
        response("502 Bad Gateway", '{"title": "not of fal"}'),
        response("504 Gateway Timeout", "<html>nginx</html>"),
        response("499 Client Closed Request", "<html>nginx</html>"),
        response("200 OK", "[]"),
        response("200 OK", '{"request_id": 5}'),
        response("200 OK", '{"request_id": "r1"}'),
        response("200 OK", "[" * 100_000),
        response("200 OK"),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=lambda answer: answer.partition(b"\r\n")[0].decode(),
)
async def test_an_answer_that_cannot_be_fals_is_no_answer(urls: FalUrls, answer: bytes) -> None:
    async with answering(answer) as server:
        elsewhere = replace(urls, queue=server.url)
        async with queue_at(elsewhere, "a:key") as queue:
            with pytest.raises(AnswerLost):
                await queue.submit(FLUX, FOX)
    assert len(server.heads) == 1


async def test_what_is_refused_before_anything_was_sent_may_be_sent_again(urls: FalUrls) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        nowhere = replace(urls, queue=f"http://127.0.0.1:{taken.getsockname()[1]}")
        async with queue_at(nowhere, "a:key") as queue:
            with pytest.raises(NotSent):
                await queue.submit(FLUX, FOX)


async def test_the_key_stays_with_the_queue_whatever_urls_come_back(urls: FalUrls) -> None:
    async with answering(response("200 OK", "{}")) as other:
        told = {
            "request_id": "r1",
            "status_url": f"{other.url}/fal-ai/flux/requests/r1/status",
            "response_url": "https://queue.fal.run/fal-ai/flux/requests/r1",
            "cancel_url": f"{other.url}/fal-ai/flux/requests/r1/cancel",
        }
        async with answering(response("200 OK", json.dumps(told))) as server:
            ours = replace(urls, queue=f"{server.url}/proxy")
            async with queue_at(ours, "a:key") as queue:
                request = await queue.submit(FLUX, FOX)
                await queue.cancel(request)
                await queue.fetch(f"{other.url}/file.jpg", limit_bytes=100)
    path = "/proxy/fal-ai/flux/requests/r1"
    assert request.status_url == f"{server.url}{path}/status"
    assert request.response_url == f"{server.url}{path}"
    assert request.cancel_url == f"{server.url}{path}/cancel"
    assert len(server.authorized) == 2
    assert (len(other.heads), other.authorized) == (1, [])


@pytest.mark.parametrize("path", ["/a/b?c=d", "", "?c=d"])
def test_fals_own_hosts_are_directed_to_what_stands_for_them(path: str) -> None:
    urls = FalUrls("http://q", "http://p", "http://r/rest", "http://c")
    assert urls.directed(OFFICIAL_QUEUE + path) == f"http://q{path}"
    assert urls.directed(OFFICIAL_REST + path) == f"http://r/rest{path}"
    assert urls.directed(OFFICIAL_CDN + path) == f"http://c{path}"
    assert urls.directed(f"{OFFICIAL_QUEUE}.example.com{path}") == (
        f"{OFFICIAL_QUEUE}.example.com{path}"
    )


def test_the_official_hosts_are_fals() -> None:
    hosts = {urlsplit(url).hostname for url in (OFFICIAL_QUEUE, OFFICIAL_REST, OFFICIAL_CDN)}
    assert hosts == {"queue.fal.run", "rest.fal.ai", "v3.fal.media"}
