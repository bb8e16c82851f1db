"""Each way in which fal can be told to fail."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from httpx_sse import SSEError, aconnect_sse

from bot.sandbox import Fault
from bot.sandbox.fal import FalWorld
from tests.sandbox.saying import says

FLUX = "fal-ai/flux/dev"
CAT = {"prompt": "a cat", "seed": 7}


async def submit(http: httpx.AsyncClient, key: dict[str, str]) -> dict[str, Any]:
    answer = await http.post(f"/fal/queue/{FLUX}", json=CAT, headers=key)
    body: dict[str, Any] = answer.raise_for_status().json()
    return body


@pytest.mark.parametrize(
    ("fault", "status", "done"),
    [
        (Fault("rate_limited", retry_after=3), 429, False),
        (Fault("unavailable"), 503, False),
        (Fault("server_error"), 500, False),
        (Fault("unauthorized"), 401, False),
        (Fault("locked"), 403, False),
        (Fault("unprocessable"), 422, False),
        (Fault("not_found"), 404, False),
        (Fault("bad_gateway"), 502, False),
        (Fault("bad_gateway_after"), 502, True),
        (Fault("html"), 200, True),
        (Fault("garbage"), 200, True),
        (Fault("slow", seconds=0.01), 200, True),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_a_submit_that_is_answered_badly(
    http: httpx.AsyncClient,
    fal: FalWorld,
    key: dict[str, str],
    fault: Fault,
    status: int,
    done: bool,
) -> None:
    fal.faults.add(fault, "submit", FLUX)
    answer = await http.post(f"/fal/queue/{FLUX}", json=CAT, headers=key)
    assert answer.status_code == status
    assert bool(fal.requests) == done
    if fault.kind in ("html", "garbage"):
        with pytest.raises(ValueError, match=r"\w"):
            answer.json()
    if fault.kind == "locked":
        assert answer.json()["detail"].startswith("User is locked. Reason: Exhausted balance.")
    if fault.kind == "rate_limited":
        assert answer.headers["retry-after"] == "3"
    await submit(http, key)


@pytest.mark.parametrize(("kind", "done"), [("reset", False), ("answer_lost", True), ("cut", True)])
async def test_a_submit_whose_answer_never_arrives(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str], kind: str, done: bool
) -> None:
    fal.faults.add(kind, "submit")
    with pytest.raises(httpx.TransportError):
        await submit(http, key)
    assert bool(fal.requests) == done
    await submit(http, key)
    assert len(fal.requests) == 1 + done


@pytest.mark.parametrize(("kind", "done"), [("hang", False), ("answer_hangs", True)])
async def test_a_submit_that_hangs(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str], kind: str, done: bool
) -> None:
    fal.faults.add(kind, "submit")
    waiting = asyncio.create_task(submit(http, key))
    await fal.wait_for(lambda: fal.calls)
    await asyncio.sleep(0)
    assert not waiting.done()
    await fal.wait_for(lambda: len(fal.requests) == done or None)
    fal.faults.release()
    with pytest.raises(httpx.TransportError):
        await waiting


@pytest.mark.parametrize(
    ("kind", "error"),
    [("cut", httpx.TransportError), ("reset", httpx.TransportError), ("not_found", SSEError)],
)
async def test_a_status_stream_that_breaks(
    http: httpx.AsyncClient,
    fal: FalWorld,
    key: dict[str, str],
    kind: str,
    error: type[Exception],
) -> None:
    fal.pace = "manual"
    urls = await submit(http, key)
    fal.faults.add(kind, "stream")
    seen: list[str] = []

    async def watch() -> None:
        url = urls["status_url"] + "/stream"
        async with aconnect_sse(http, "GET", url, headers=key) as source:
            async for event in source.aiter_sse():
                seen.append(event.json()["status"])  # noqa: PERF401 - what came before the cut

    with pytest.raises(error):
        await watch()
    assert seen == (["IN_QUEUE"] if kind == "cut" else [])


async def test_a_status_stream_of_garbage(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]
) -> None:
    urls = await submit(http, key)
    fal.faults.add("garbage", "stream")
    async with aconnect_sse(http, "GET", urls["status_url"] + "/stream", headers=key) as source:
        (event,) = [event async for event in source.aiter_sse()]
    with pytest.raises(ValueError, match="Unterminated"):
        event.json()


@pytest.mark.parametrize(
    ("fault", "status", "kind", "nanos"),
    [
        (Fault("fails", message="image_too_small"), 422, "image_too_small", 0),
        (Fault("fails", units="1"), 422, "content_policy_violation", 25_000_000),
        (Fault("fails", status=500, message="internal_error"), 500, "internal_error", 0),
        (Fault("fails", status=503, units="1"), 503, "runner_disconnected", 0),
    ],
)
async def test_complete_is_not_success(
    http: httpx.AsyncClient,
    fal: FalWorld,
    key: dict[str, str],
    fault: Fault,
    status: int,
    kind: str,
    nanos: int,
) -> None:
    fal.faults.add(fault, "job")
    urls = await submit(http, key)
    state = (await http.get(urls["status_url"], headers=key)).json()
    assert (state["status"], state["error_type"]) == ("COMPLETED", kind)
    answer = await http.get(urls["response_url"], headers=key)
    assert answer.status_code == status
    assert kind in answer.text
    assert fal.bill_total_nanos == nanos


async def test_a_result_without_or_with_other_units(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]
) -> None:
    fal.faults.add(Fault("units", units="2.5"), "job")
    urls = await submit(http, key)
    fal.faults.add("no_units", "result")
    without = await http.get(urls["response_url"], headers=key)
    assert "x-fal-billable-units" not in without.headers
    again = await http.get(urls["response_url"], headers=key)
    assert again.headers["x-fal-billable-units"] == "2.5"
    assert again.json() == without.json()
    assert fal.bill_total_nanos == 62_500_000


@pytest.mark.parametrize("kind", ["html", "garbage", "bad_gateway", "rate_limited", "cut"])
async def test_a_result_can_be_asked_for_again(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str], kind: str
) -> None:
    urls = await submit(http, key)
    fal.faults.add(kind, "result", times=2)
    for _ in range(2):
        try:
            answer = await http.get(urls["response_url"], headers=key)
            assert "images" not in (answer.json() if answer.status_code == 200 else {})
        except (httpx.TransportError, ValueError):
            pass
    assert "images" in (await http.get(urls["response_url"], headers=key)).json()
    assert len(fal.requests) == 1


async def test_an_answer_without_an_end(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]
) -> None:
    urls = await submit(http, key)
    fal.faults.add("endless", "result")
    size = 0
    async with http.stream("GET", urls["response_url"], headers=key) as answer:
        assert answer.status_code == 200
        async for chunk in answer.aiter_bytes():
            size += len(chunk)
            if size > 10**6:
                break
    assert size > 10**6
    assert "images" in (await http.get(urls["response_url"], headers=key)).json()


async def test_media_that_cannot_be_fetched(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]
) -> None:
    urls = await submit(http, key)
    result = (await http.get(urls["response_url"], headers=key)).json()
    url = result["images"][0]["url"]
    fal.faults.add("not_found", "media")
    assert (await http.get(url)).status_code == 404
    fal.faults.add("cut", "media")
    with pytest.raises(httpx.TransportError):
        await http.get(url)
    fal.faults.add(Fault("slow", seconds=30), "media")
    with pytest.raises(httpx.ReadTimeout):
        await http.get(url, timeout=0.05)
    assert (await http.get(url)).content[:2] == b"\xff\xd8"


async def test_a_cancel_that_is_refused(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]
) -> None:
    fal.pace = "manual"
    urls = await submit(http, key)
    fal.faults.add("refused", "cancel")
    refused = await http.put(urls["cancel_url"], headers=key)
    assert (refused.status_code, refused.json()) == (400, {"status": "ALREADY_COMPLETED"})
    assert fal.requests[0].state == "queued"


@pytest.mark.parametrize(
    ("fault", "seen", "later", "balance"),
    [
        (Fault("late", seconds=600), [], [25_000_000], -25_000_000),
        (Fault("missing"), [], [], -25_000_000),
        (Fault("changed", nanos=31), [31], [31], -31),
        (Fault("absurd"), [10**18], [10**18], 0),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_bills_that_are_not_as_expected(
    http: httpx.AsyncClient,
    fal: FalWorld,
    key: dict[str, str],
    admin_key: dict[str, str],
    fault: Fault,
    seen: list[int],
    later: list[int],
    balance: int,
) -> None:
    fal.faults.add(fault, "bill")
    before = fal.balance_nanos
    await submit(http, key)
    await fal.wait_for(lambda: fal.requests[0].ok)

    async def events() -> list[int]:
        answer = await http.get("/fal/v1/models/billing-events", headers=admin_key)
        return [event["cost_estimate_nano_usd"] for event in answer.json()["billing_events"]]

    assert await events() == seen
    fal.clock.advance(601)
    assert await events() == later
    assert fal.balance_nanos - before == balance


@pytest.mark.parametrize(
    ("kind", "status"), [("rate_limited", 429), ("server_error", 500), ("html", 200)]
)
async def test_the_platform_fails_in_its_own_shape(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str], kind: str, status: int
) -> None:
    fal.faults.add(kind, "pricing")
    url = "/fal/v1/models/pricing"
    answer = await http.get(url, params={"endpoint_id": FLUX}, headers=key)
    assert answer.status_code == status
    if kind == "html":
        assert answer.text.startswith("<html>")
    else:
        assert answer.json()["error"]["type"] == kind
    assert (await http.get(url, params={"endpoint_id": FLUX}, headers=key)).json()["prices"]


def test_a_fault_that_cannot_happen_is_no_fault(fal: FalWorld) -> None:
    with pytest.raises(ValueError, match=says("fal has no operation 'subbmit'")):
        fal.faults.add("reset", "subbmit")
    with pytest.raises(ValueError, match=says("status has no fault 'locked'")):
        fal.faults.add("locked", "status")
