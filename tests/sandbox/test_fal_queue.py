"""fal's queue as the real fal-client and plain HTTP see it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import fal_client
import httpx
import pytest
from fal_client import FalClientHTTPError
from httpx_sse import aconnect_sse
from PIL import Image

from bot.sandbox import Sandbox
from bot.sandbox.fal import FalWorld, Price
from bot.sandbox.fal.media import draw_scene
from bot.sandbox.telegram import Person, plain_photo
from tests.sandbox.saying import says

FLUX = "fal-ai/flux/dev"
FLUX_IMAGE = "fal-ai/flux/dev/image-to-image"
LUMA = "fal-ai/luma-dream-machine"
RAY = "fal-ai/luma-dream-machine/ray-2-flash"
CAT = {"prompt": "a cat", "seed": 7}


def data_uri(data: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


async def opened(http: httpx.AsyncClient, url: str) -> Image.Image:
    return Image.open(io.BytesIO((await http.get(url)).raise_for_status().content))


async def test_a_picture_is_made_billed_and_can_be_fetched(
    client: fal_client.AsyncClient, http: httpx.AsyncClient, fal: FalWorld
) -> None:
    before = fal.balance_nanos
    handle = await client.submit(FLUX, {**CAT, "image_size": "square_hd", "num_images": 2})
    assert handle.status_url.endswith(f"/fal-ai/flux/requests/{handle.request_id}/status")
    result = await handle.get(interval=0.01)
    assert result["seed"] == 7
    assert result["has_nsfw_concepts"] == [False, False]
    one, two = [await opened(http, image["url"]) for image in result["images"]]
    assert one.size == two.size == (1024, 1024)
    assert one.tobytes() != two.tobytes()
    # 1.05 megapixels are two, twice
    assert fal.bill_total_nanos == 4 * 25_000_000
    assert fal.balance_nanos == before - fal.bill_total_nanos
    (request,) = fal.requests
    assert request.units == 4
    assert request.arguments["prompt"] == "a cat"
    assert "authorization" not in request.headers


async def test_the_same_seed_draws_the_same_picture() -> None:
    assert draw_scene("a cat", 7, (256, 192)) == draw_scene("a cat", 7, (256, 192))
    assert draw_scene("a cat", 7, (256, 192)) != draw_scene("a cat", 8, (256, 192))


async def test_a_picture_from_a_picture_shows_it(
    client: fal_client.AsyncClient, http: httpx.AsyncClient, fal: FalWorld
) -> None:
    url = await client.upload(plain_photo(size=(320, 200)), "image/jpeg", "cat.jpg")
    result = await client.subscribe(FLUX_IMAGE, {**CAT, "image_url": url}, interval=0.01)
    assert (await opened(http, result["images"][0]["url"])).size == (320, 200)
    inline = data_uri(plain_photo(size=(64, 48)))
    result = await client.subscribe(FLUX_IMAGE, {**CAT, "image_url": inline}, interval=0.01)
    assert result["images"][0]["width"] == 64
    assert [request.units for request in fal.requests] == [1, 1]


async def test_a_video_is_a_real_mp4_and_billed_by_its_unit(
    client: fal_client.AsyncClient, http: httpx.AsyncClient, fal: FalWorld
) -> None:
    result = await client.subscribe(LUMA, {"prompt": "a cat"}, interval=0.01)
    data = (await http.get(result["video"]["url"])).content
    assert data[4:8] == b"ftyp"
    assert len(data) == result["video"]["file_size"] < 100_000
    await client.subscribe(
        RAY, {"prompt": "a cat", "duration": "9s", "resolution": "1080p"}, interval=0.01
    )
    assert [request.units for request in fal.requests] == [1, 36]
    assert fal.bill_total_nanos == 500_000_000 + 36 * 40_000_000


async def test_a_flagged_picture_is_black_and_billed(
    client: fal_client.AsyncClient, http: httpx.AsyncClient, fal: FalWorld
) -> None:
    result = await client.subscribe(FLUX, {"prompt": "something nsfw"}, interval=0.01)
    assert result["has_nsfw_concepts"] == [True]
    picture = await opened(http, result["images"][0]["url"])
    assert picture.convert("L").getextrema() == (0, 0)
    assert fal.bill_total_nanos == 25_000_000


@pytest.mark.parametrize(
    ("endpoint", "arguments", "location", "kind"),
    [
        (FLUX, {}, "prompt", "missing"),
        (FLUX, {"prompt": 5}, "prompt", "string_type"),
        (FLUX, {"prompt": "x" * 10_001}, "prompt", "string_too_long"),
        (FLUX, {"prompt": "x", "num_images": 5}, "num_images", "less_than_equal"),
        (FLUX, {"prompt": "x", "num_images": True}, "num_images", "integer_type"),
        (FLUX, {"prompt": "x", "guidance_scale": 0}, "guidance_scale", "greater_than_equal"),
        (FLUX, {"prompt": "x", "image_size": "huge"}, "image_size", "enum"),
        (FLUX, {"prompt": "x", "output_format": "gif"}, "output_format", "literal_error"),
        (FLUX, {"prompt": "x", "image_sise": "square"}, "image_sise", "extra_forbidden"),
        (FLUX_IMAGE, {"prompt": "x"}, "image_url", "missing"),
        (LUMA, {"prompt": "xx"}, "prompt", "string_too_short"),
        (RAY, {"prompt": "cat", "duration": "7s"}, "duration", "literal_error"),
        (RAY, {"prompt": "cat", "seed": 1}, "seed", "extra_forbidden"),
    ],
)
async def test_wrong_arguments_are_refused_with_a_list(
    client: fal_client.AsyncClient,
    fal: FalWorld,
    endpoint: str,
    arguments: dict[str, Any],
    location: str,
    kind: str,
) -> None:
    with pytest.raises(FalClientHTTPError) as caught:
        await client.submit(endpoint, arguments)
    assert caught.value.status_code == 422
    (entry,) = caught.value.response.json()["detail"]
    assert entry["loc"][:2] == ["body", location]
    assert entry["type"] == kind
    assert {"loc", "msg", "type", "url"} <= entry.keys()
    assert fal.requests == []


async def test_wrong_arguments_can_show_in_the_result_instead(
    client: fal_client.AsyncClient, fal: FalWorld
) -> None:
    fal.validates_at = "result"
    handle = await client.submit(FLUX, {"prompt": 5})
    with pytest.raises(FalClientHTTPError) as caught:
        await handle.get(interval=0.01)
    assert caught.value.status_code == 422
    assert fal.bill_total_nanos == 0


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://example.org/cat.jpg", "file_download_error"),
        ("data:image/jpeg;base64,%%%", "file_download_error"),
        (data_uri(b"no picture"), "image_load_error"),
        (data_uri(plain_photo(size=(8, 8))), "image_too_small"),
    ],
)
async def test_a_picture_that_cannot_be_used_fails_the_job(
    client: fal_client.AsyncClient, fal: FalWorld, url: str, kind: str
) -> None:
    handle = await client.submit(FLUX_IMAGE, {"prompt": "x", "image_url": url})
    with pytest.raises(FalClientHTTPError) as caught:
        await handle.get(interval=0.01)
    assert caught.value.response.json()["detail"][0]["type"] == kind
    assert caught.value.response_headers["x-fal-retryable"] == "false"
    assert "x-fal-billable-units" not in caught.value.response_headers
    assert fal.bill_total_nanos == 0


async def test_telegrams_url_is_never_taken(
    client: fal_client.AsyncClient, sandbox: Sandbox, fal: FalWorld, ada: Person
) -> None:
    message = await ada.sends_photo()
    assert message.content.media is not None
    base = sandbox.environment()["TELEGRAM_API_URL"]
    for url in (
        f"{base}/file/bot{sandbox.telegram.token}/{message.content.media.path}",
        "https://api.telegram.org/file/bot1:x/photos/file_1.jpg",
    ):
        with pytest.raises(FalClientHTTPError):
            await client.submit(FLUX_IMAGE, {"prompt": "x", "image_url": url})
    assert len(fal.complaints) == 2
    assert fal.requests == []


async def test_keys_and_endpoints_are_checked(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]
) -> None:
    path = f"/fal/queue/{FLUX}"
    assert (await http.post(path, json=CAT)).status_code == 401
    wrong = {"Authorization": "Key wrong"}
    assert (await http.post(path, json=CAT, headers=wrong)).status_code == 401
    bearer = {"Authorization": f"Bearer {fal.account.api_key}"}
    assert (await http.post(path, json=CAT, headers=bearer)).status_code == 401
    unknown = await http.post("/fal/queue/fal-ai/nothing", json=CAT, headers=key)
    assert unknown.status_code == 404
    assert (await http.post(path, content=b"{", headers=key)).status_code == 400
    accepted = (await http.post(path, json=CAT, headers=key)).json()
    assert set(accepted) == {
        "request_id",
        "gateway_request_id",
        "response_url",
        "status_url",
        "cancel_url",
        "queue_position",
        "status",
    }
    other = accepted["status_url"].replace("fal-ai/flux", "fal-ai/other")
    assert (await http.get(other, headers=key)).status_code == 404
    assert (await http.get(accepted["status_url"])).status_code == 401


async def test_a_locked_account_is_not_the_keys_fault(
    client: fal_client.AsyncClient, fal: FalWorld
) -> None:
    fal.balance_nanos = 1
    await client.subscribe(FLUX, CAT, interval=0.01)
    assert fal.balance_nanos < 0
    with pytest.raises(
        FalClientHTTPError, match=says("User is locked. Reason: Exhausted")
    ) as caught:
        await client.submit(FLUX, CAT)
    assert caught.value.status_code == 403
    fal.balance_nanos = 10**9
    fal.account.locked = "Admin lock"
    with pytest.raises(FalClientHTTPError, match=says("User is locked. Reason: Admin lock")):
        await client.submit(FLUX, CAT)


async def test_the_queue_has_positions_and_a_limit(
    client: fal_client.AsyncClient, fal: FalWorld
) -> None:
    fal.pace = "manual"
    fal.concurrency = 1
    handles = [await client.submit(FLUX, CAT) for _ in range(3)]
    first, second, _ = await fal.wait_for_requests(3)
    assert await handles[2].status() == fal_client.Queued(position=2)
    fal.start(first)
    assert await handles[2].status() == fal_client.Queued(position=1)
    with pytest.raises(ValueError, match="limit is reached"):
        fal.start(second)
    fal.progress(first, "50%")
    status = await handles[0].status(with_logs=True)
    assert isinstance(status, fal_client.InProgress)
    assert status.logs is not None
    assert [line["message"] for line in status.logs] == ["Loading the model", "50%"]
    fal.complete(first)
    done = await handles[0].status()
    assert isinstance(done, fal_client.Completed)
    assert "inference_time" in done.metrics


async def test_the_status_tells_202_until_it_is_complete(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]
) -> None:
    fal.pace = "manual"
    urls = (await http.post(f"/fal/queue/{FLUX}", json=CAT, headers=key)).json()
    assert (await http.get(urls["status_url"], headers=key)).status_code == 202
    early = await http.get(urls["response_url"], headers=key)
    assert (early.status_code, early.json()) == (400, {"detail": "Request is still in progress"})
    fal.fail(fal.requests[0], 503, "runner_disconnected", "The runner went away")
    status = await http.get(urls["status_url"], headers=key)
    assert status.status_code == 200
    assert status.json()["status"] == "COMPLETED"
    assert status.json()["error_type"] == "runner_disconnected"
    result = await http.get(urls["response_url"], headers=key)
    assert result.status_code == 503
    assert result.headers["x-fal-error-type"] == "runner_disconnected"
    assert result.headers["x-fal-request-id"] == fal.requests[0].request_id
    assert result.json()["error_type"] == "runner_disconnected"


async def watched(
    http: httpx.AsyncClient, url: str, key: dict[str, str]
) -> AsyncIterator[dict[str, Any]]:
    async with aconnect_sse(http, "GET", f"{url}/stream?logs=1", headers=key) as source:
        async for event in source.aiter_sse():
            yield json.loads(event.data)


async def test_the_stream_tells_each_change_and_ends(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]
) -> None:
    fal.pace = "manual"
    urls = (await http.post(f"/fal/queue/{FLUX}", json=CAT, headers=key)).json()
    (request,) = fal.requests
    seen = []
    async for event in watched(http, urls["status_url"], key):
        seen.append(event["status"])
        if event["status"] == "IN_QUEUE":
            fal.start(request)
        elif len(event["logs"]) < 3:
            fal.progress(request, f"step {len(event['logs'])}")
        elif event["status"] == "IN_PROGRESS":
            fal.complete(request)
    assert seen == ["IN_QUEUE", "IN_PROGRESS", "IN_PROGRESS", "IN_PROGRESS", "COMPLETED"]


async def test_cancelling(client: fal_client.AsyncClient, fal: FalWorld) -> None:
    fal.pace = "manual"
    queued = await client.submit(FLUX, CAT)
    running = await client.submit(FLUX, CAT)
    fal.start(fal.requests[1])
    await queued.cancel()
    assert fal.requests[0].state == "removed"
    with pytest.raises(FalClientHTTPError) as caught:
        await queued.status()
    assert caught.value.status_code == 404
    await running.cancel()
    assert fal.requests[1].state == "running"
    assert fal.requests[1].cancel_asked
    fal.complete(fal.requests[1])
    with pytest.raises(FalClientHTTPError) as caught:
        await running.cancel()
    assert (caught.value.status_code, caught.value.response.json()["status"]) == (
        400,
        "ALREADY_COMPLETED",
    )
    with pytest.raises(FalClientHTTPError) as caught:
        await client.cancel(FLUX, "00000000-0000-4000-8000-000000000000")
    assert (caught.value.status_code, caught.value.response.json()["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(("billed", "nanos"), [(False, 0), (True, 25_000_000)])
async def test_cancelling_can_end_a_running_request(
    client: fal_client.AsyncClient, fal: FalWorld, billed: bool, nanos: int
) -> None:
    fal.pace, fal.cancel_stops_running, fal.bills_cancelled = "manual", True, billed
    fal.removed_shows = "completed"
    handle = await client.submit(FLUX, CAT)
    fal.start(fal.requests[0])
    await handle.cancel()
    with pytest.raises(FalClientHTTPError) as caught:
        await handle.get()
    assert caught.value.status_code == 499
    assert fal.bill_total_nanos == nanos
    queued = await client.submit(FLUX, CAT)
    await queued.cancel()
    with pytest.raises(FalClientHTTPError):
        await queued.get()
    assert fal.bill_total_nanos == nanos


async def test_a_request_that_waited_too_long_does_not_start(
    client: fal_client.AsyncClient, fal: FalWorld
) -> None:
    fal.pace = "manual"
    handle = await client.submit(FLUX, CAT, start_timeout=30)
    fal.clock.advance(31)
    fal.start(fal.requests[0])
    with pytest.raises(FalClientHTTPError) as caught:
        await handle.get()
    assert caught.value.status_code == 504
    assert caught.value.response_headers["x-fal-request-timeout-type"] == "user"


async def test_a_picture_larger_than_planned_costs_what_it_is(
    client: fal_client.AsyncClient, http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]
) -> None:
    fal.prices[FLUX] = Price("images", Decimal("0.0039"))
    fal.discount = Decimal(10)
    handle = await client.submit(FLUX, {**CAT, "image_size": {"width": 2000, "height": 1500}})
    await handle.get(interval=0.01)
    answer = await http.get(handle.response_url, headers=key)
    assert answer.headers["x-fal-billable-units"] == "1"
    assert fal.bill_total_nanos == 3_510_000


async def test_the_pace_for_people_moves_by_itself(
    client: fal_client.AsyncClient, fal: FalWorld
) -> None:
    fal.pace, fal.concurrency = "paced", 1
    fal.tempo["image"].queue_seconds = fal.tempo["image"].run_seconds = 0.02
    handles = [await client.submit(FLUX, CAT) for _ in range(3)]
    await asyncio.gather(*(handle.get(interval=0.01) for handle in handles))
    assert [len(request.logs) for request in fal.requests] == [5, 5, 5]


@pytest.mark.parametrize(
    ("unit", "units"),
    [
        ("seconds", "10"),
        ("minutes", "0.1666666666666666666666666667"),
        ("videos", "1"),
        ("requests", "1"),
        ("compute seconds", "1.5"),
    ],
)
async def test_a_video_can_be_billed_in_any_unit(
    client: fal_client.AsyncClient, fal: FalWorld, unit: str, units: str
) -> None:
    fal.prices[RAY] = Price(unit, Decimal("0.06"))
    arguments = {"prompt": "a cat", "duration": "5s", "resolution": "720p"}
    await client.subscribe(RAY, arguments, interval=0.01)
    assert fal.requests[0].units == Decimal(units)
    assert fal.bill_total_nanos == round(Decimal(units) * 60_000_000)
