"""fal's platform API: prices, bills, requests, balance, and the callbacks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fal_client
import httpx
import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from bot.sandbox.fal import FalWorld, Price

FLUX = "fal-ai/flux/dev"
LUMA = "fal-ai/luma-dream-machine"
CAT = {"prompt": "a cat", "seed": 7}


async def test_prices_carry_all_their_digits(
    http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]
) -> None:
    fal.prices[LUMA] = Price("compute seconds", Decimal("0.000575000001"))
    answer = await http.get(
        "/fal/v1/models/pricing", params={"endpoint_id": f"{FLUX},{LUMA}"}, headers=key
    )
    body = json.loads(answer.text, parse_float=Decimal)
    assert body == {
        "prices": [
            {
                "endpoint_id": FLUX,
                "unit_price": Decimal("0.025"),
                "unit": "megapixels",
                "currency": "USD",
            },
            {
                "endpoint_id": LUMA,
                "unit_price": Decimal("0.000575000001"),
                "unit": "compute seconds",
                "currency": "USD",
            },
        ],
        "next_cursor": None,
        "has_more": False,
    }


async def test_the_catalog_describes_what_an_endpoint_takes_and_gives(
    http: httpx.AsyncClient, fal: FalWorld
) -> None:
    params = {"endpoint_id": LUMA, "expand": "openapi-3.0"}
    answer = (await http.get("/fal/v1/models", params=params)).json()
    [model] = answer["models"]
    assert model["metadata"]["category"] == "text-to-video"
    description = model["openapi"]
    reference = description["paths"][f"/{LUMA}"]["post"]["requestBody"]["content"]
    name = reference["application/json"]["schema"]["$ref"].rpartition("/")[2]
    taken = description["components"]["schemas"][name]
    assert taken["required"] == ["prompt"]
    assert taken["properties"]["loop"] == {"type": "boolean", "default": False}
    assert taken["properties"]["prompt"] == {"type": "string", "minLength": 3, "maxLength": 5000}
    assert answer["has_more"] is False


async def test_the_catalog_is_searched_and_paged_without_a_key(http: httpx.AsyncClient) -> None:
    async def ids(**params: str) -> list[str]:
        answer = (await http.get("/fal/v1/models", params=params)).json()
        return [model["endpoint_id"] for model in answer["models"]]

    assert await ids(q="recraft") == ["fal-ai/recraft/v3/text-to-image"]
    assert await ids(status="deprecated") == ["fal-ai/fast-lcm-diffusion"]
    assert "fal-ai/nano-banana/edit" in await ids(category="image-to-image")
    first = (await http.get("/fal/v1/models", params={"limit": "2"})).json()
    second = await ids(limit="2", cursor=first["next_cursor"])
    assert len(second) == 2
    assert "openapi" not in first["models"][0]
    wrong = {"Authorization": "Key wrong"}
    assert (await http.get("/fal/v1/models", headers=wrong)).status_code == 401


@pytest.mark.parametrize(
    ("path", "params", "status", "kind"),
    [
        ("models/pricing", {}, 400, "validation_error"),
        ("models/pricing", {"endpoint_id": ",".join(["x"] * 51)}, 400, "validation_error"),
        ("models/pricing", {"endpoint_id": "fal-ai/nothing"}, 404, "not_found"),
        ("models/pricing", {"endpoint": FLUX}, 400, "validation_error"),
        ("models", {"endpoint_id": "fal-ai/nothing"}, 404, "not_found"),
        ("models", {"endpoint_id": ",".join(["x"] * 51)}, 400, "validation_error"),
        ("models", {"status": "new"}, 400, "validation_error"),
        ("models", {"name": "flux"}, 400, "validation_error"),
        ("models/billing-events", {"start": "yesterday"}, 400, "validation_error"),
        ("models/billing-events", {"start": "2020-01-01"}, 400, "validation_error"),
        ("models/billing-events", {"limit": "0"}, 400, "validation_error"),
        ("models/billing-events", {"cursor": "!"}, 400, "validation_error"),
        ("models/requests/by-endpoint", {}, 400, "validation_error"),
        ("models/requests/by-endpoint", {"endpoint_id": FLUX, "limit": "101"}, 400, None),
        ("models/requests/by-endpoint", {"endpoint_id": FLUX, "status": "good"}, 400, None),
        ("models/requests/by-endpoint", {"endpoint_id": FLUX, "request_id": "7"}, 400, None),
        ("models/requests/by-endpoint", {"endpoint_id": FLUX, "sort_by": "cost"}, 400, None),
    ],
)
async def test_what_the_platform_refuses(
    http: httpx.AsyncClient,
    admin_key: dict[str, str],
    path: str,
    params: dict[str, str],
    status: int,
    kind: str | None,
) -> None:
    answer = await http.get(f"/fal/v1/{path}", params=params, headers=admin_key)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["type"] == (kind or "validation_error")
    assert error["message"]


async def test_scopes_of_keys(
    http: httpx.AsyncClient, key: dict[str, str], admin_key: dict[str, str]
) -> None:
    for path in ("models/billing-events", "account/billing"):
        assert (await http.get(f"/fal/v1/{path}")).status_code == 401
        denied = await http.get(f"/fal/v1/{path}", headers=key)
        assert (denied.status_code, denied.json()["error"]["type"]) == (403, "authorization_error")
        assert (await http.get(f"/fal/v1/{path}", headers=admin_key)).status_code == 200
    pricing = await http.get("/fal/v1/models/pricing", params={"endpoint_id": FLUX})
    assert pricing.status_code == 401
    assert "webhook_ip_ranges" in (await http.get("/fal/v1/meta")).json()


async def test_bills_appear_late_and_exact(
    client: fal_client.AsyncClient,
    http: httpx.AsyncClient,
    fal: FalWorld,
    admin_key: dict[str, str],
) -> None:
    fal.account.billing_delay_seconds = 60
    fal.discount = Decimal("12.5")
    handle = await client.submit(FLUX, {**CAT, "image_size": "square_hd"})
    await handle.get(interval=0.01)
    params = {"request_id": handle.request_id}
    url = "/fal/v1/models/billing-events"
    early = await http.get(url, params=params, headers=admin_key)
    assert early.json()["billing_events"] == []
    fal.clock.advance(61)
    answer = await http.get(url, params=params, headers=admin_key)
    (event,) = json.loads(answer.text, parse_float=Decimal)["billing_events"]
    assert datetime.fromisoformat(event.pop("timestamp")).tzinfo is not None
    assert event == {
        "request_id": handle.request_id,
        "endpoint_id": FLUX,
        "output_units": 2,
        "unit_price": Decimal("0.025"),
        "percent_discount": Decimal("12.5"),
        "cost_subtotal": Decimal("0.05"),
        "cost_discount": Decimal("0.00625"),
        "cost_total": Decimal("0.04375"),
        "cost_estimate_nano_usd": 43_750_000,
    }
    balance = await http.get("/fal/v1/account/billing", headers=admin_key)
    assert balance.json() == {"username": "sandbox-team"}
    balance = await http.get(
        "/fal/v1/account/billing", params={"expand": "credits"}, headers=admin_key
    )
    shown = json.loads(balance.text, parse_float=Decimal)["credits"]
    assert shown == {"current_balance": Decimal("99.95625"), "currency": "USD"}


async def test_pages_lead_to_each_bill_once(
    http: httpx.AsyncClient, fal: FalWorld, admin_key: dict[str, str]
) -> None:
    for nanos in range(1, 8):
        fal.outside_spending(nanos)
    seen: list[int] = []
    params: dict[str, Any] = {"limit": 3}
    while True:
        page = await http.get("/fal/v1/models/billing-events", params=params, headers=admin_key)
        body = page.json()
        seen += [event["cost_estimate_nano_usd"] for event in body["billing_events"]]
        assert body["has_more"] == (body["next_cursor"] is not None)
        if not body["has_more"]:
            break
        params["cursor"] = body["next_cursor"]
    assert sorted(seen) == list(range(1, 8))
    assert fal.balance_nanos == 100 * 10**9 - 28


async def test_requests_are_listed_with_their_payloads(
    client: fal_client.AsyncClient, http: httpx.AsyncClient, fal: FalWorld, key: dict[str, str]
) -> None:
    fal.pace = "manual"
    for seed in range(3):
        await client.submit(FLUX, {**CAT, "seed": seed})
    await client.submit(FLUX, {**CAT, "seed": 3}, headers={"X-Fal-Store-IO": "0"})
    fal.complete(fal.requests[0])
    fal.fail(fal.requests[1], 422, "content_policy_violation")
    fal.complete(fal.requests[3])
    url = "/fal/v1/models/requests/by-endpoint"

    async def listed(**params: str) -> list[dict[str, Any]]:
        answer = await http.get(url, params={"endpoint_id": FLUX, **params}, headers=key)
        items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
        return items

    # What still waits has no started_at, and so no place in the list.
    assert len(await listed()) == 3
    assert "json_input" not in (await listed())[0]
    payloads = {item["request_id"]: item for item in await listed(expand="payloads")}
    first = payloads[fal.requests[0].request_id]
    assert first["json_input"]["seed"] == 0
    assert first["json_output"]["images"]
    assert {"sent_at", "started_at", "ended_at", "status_code", "duration"} <= first.keys()
    assert "json_input" not in payloads[fal.requests[3].request_id]
    assert [item["status_code"] for item in await listed(status="user_error")] == [422]
    fal.start(fal.requests[2])
    running = [item for item in await listed() if item["ended_at"] is None]
    assert [item["request_id"] for item in running] == [fal.requests[2].request_id]
    fal.clock.advance(25 * 3600)
    assert await listed() == []
    assert len(await listed(request_id=fal.requests[0].request_id)) == 1


def conforms(value: Any, schema: dict[str, Any]) -> bool:
    """Whether `value` fits a schema of the OpenAPI description, as far as that is needed."""
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "number": (int, float, Decimal),
        "integer": int,
        "boolean": bool,
        "null": type(None),
    }
    wanted = schema.get("type", list(kinds))
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if not any(isinstance(value, kinds[kind]) for kind in wanted):
        return False
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        required = set(schema.get("required", []))
        return required <= value.keys() and all(
            conforms(item, properties[name]) for name, item in value.items() if name in properties
        )
    if isinstance(value, list):
        return all(conforms(item, schema["items"]) for item in value)
    return True


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/models/pricing", {"endpoint_id": FLUX}),
        ("/models/billing-events", {}),
        ("/models/requests/by-endpoint", {"endpoint_id": FLUX, "expand": "payloads"}),
        ("/account/billing", {"expand": "credits"}),
        ("/meta", {}),
    ],
)
async def test_answers_conform_to_fals_description(
    client: fal_client.AsyncClient,
    http: httpx.AsyncClient,
    admin_key: dict[str, str],
    path: str,
    params: dict[str, str],
) -> None:
    await client.subscribe(FLUX, CAT, interval=0.01)
    answer = await http.get(f"/fal/v1{path}", params=params, headers=admin_key)
    schemas = json.loads(Path(__file__).with_name("platform_answers.json").read_text("utf-8"))
    assert conforms(answer.json(), schemas[path])
    # The check itself is worth something.
    assert not conforms({}, schemas[path])


class Listener:
    """A web server that takes callbacks; its first answers have the given statuses."""

    def __init__(self, statuses: list[int]) -> None:
        self.statuses = statuses
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, _, value in (h.partition(": ") for h in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append((headers, body))
        status = self.statuses.pop(0) if self.statuses else 200
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    made = Listener([500])
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fal/7"
    yield made
    server.close()
    await server.wait_closed()


def signed_by(keys: list[dict[str, str]], headers: dict[str, str], body: bytes) -> list[bool]:
    """For each key, whether the signature is its own (fal's "Webhooks")."""
    message = "\n".join(
        (
            headers["x-fal-webhook-request-id"],
            headers["x-fal-webhook-user-id"],
            headers["x-fal-webhook-timestamp"],
            hashlib.sha256(body).hexdigest(),
        )
    ).encode()
    found = []
    for entry in keys:
        raw = base64.urlsafe_b64decode(entry["x"] + "=" * (-len(entry["x"]) % 4))
        try:
            VerifyKey(raw).verify(message, bytes.fromhex(headers["x-fal-webhook-signature"]))
            found.append(True)
        except BadSignatureError:
            found.append(False)
    return found


async def test_callbacks_are_signed_and_repeated_until_2xx(
    client: fal_client.AsyncClient, http: httpx.AsyncClient, fal: FalWorld, listener: Listener
) -> None:
    fal.webhooks.retry_seconds = 0.01
    handle = await client.submit(FLUX, CAT, webhook_url=listener.url)
    await fal.wait_for(lambda: len(fal.webhooks.attempts) == 2)
    keys = (await http.get("/fal/rest/.well-known/jwks.json")).json()["keys"]
    for headers, body in listener.received:
        assert signed_by(keys, headers, body) == [False, True]
        assert signed_by(keys, headers, body + b" ") == [False, False]
    payload = json.loads(listener.received[0][1])
    assert payload["request_id"] == handle.request_id
    assert payload["status"] == "OK"
    assert payload["payload"]["images"]
    assert payload["error"] is None
    fal.webhooks.without_payload = True
    assert await fal.webhooks.send(fal.requests[0]) == 200
    again = json.loads(listener.received[2][1])
    assert again["payload"] is None
    assert again["payload_error"]


async def test_a_failed_job_calls_back_with_its_error(
    client: fal_client.AsyncClient, fal: FalWorld, listener: Listener
) -> None:
    listener.statuses = []
    fal.pace = "manual"
    await client.submit(FLUX, CAT, webhook_url=listener.url)
    fal.fail(fal.requests[0], 422, "content_policy_violation")
    await fal.wait_for(lambda: fal.webhooks.attempts)
    payload = json.loads(listener.received[0][1])
    assert payload["status"] == "ERROR"
    assert payload["payload"]["detail"][0]["type"] == "content_policy_violation"
    assert payload["error"] == "Unexpected status code: 422"
