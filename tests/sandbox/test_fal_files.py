"""fal's files: uploads, and results that expire."""

from __future__ import annotations

import fal_client
import httpx

from bot.sandbox.fal import FalWorld

FLUX = "fal-ai/flux/dev"
CAT = {"prompt": "a cat", "seed": 7}


async def test_uploads_need_a_token_and_can_expire(
    client: fal_client.AsyncClient, http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]
) -> None:
    lifecycle = fal_client.StorageSettings(expires_in=60)
    url = await client.upload(b"text", "text/plain", "a.txt", lifecycle=lifecycle)
    stored = await http.get(url)
    assert (stored.content, stored.headers["content-type"]) == (
        b"text",
        "text/plain; charset=utf-8",
    )
    fal.clock.advance(61)
    assert (await http.get(url)).status_code == 404
    other = await client.upload(b"more", "text/plain", "b.txt", repository="fal")
    assert (await http.get(other)).content == b"more"
    refused = await http.post("/fal/cdn/files/upload", content=b"x", headers=key)
    assert refused.status_code == 401
    token = "/fal/rest/storage/auth/token"
    assert (await http.post(token, headers=key, json={})).status_code == 400
    assert (await http.post(token, params={"storage_type": "fal-cdn-v3"})).status_code == 401


async def test_results_expire_as_the_submit_asked(
    client: fal_client.AsyncClient, http: httpx.AsyncClient, fal: FalWorld
) -> None:
    headers = {"X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 60}'}
    handle = await client.submit(FLUX, CAT, headers=headers)
    url = (await handle.get(interval=0.01))["images"][0]["url"]
    fal.clock.advance(59)
    assert (await http.get(url)).status_code == 200
    fal.clock.advance(2)
    assert (await http.get(url)).status_code == 404
