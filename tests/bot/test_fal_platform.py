"""fal's platform API: amounts exact or nothing, lists read to their end or not at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bot.fal import platform as room
from bot.fal.errors import Refused, Unavailable
from bot.fal.platform import ListedPrice, Platform
from bot.sandbox import Fault, Sandbox
from bot.sandbox.fal import FalWorld, Price
from tests.support.answering import answering, response
from tests.support.fal import queue_at, urls_of

FLUX = "fal-ai/flux/dev"
LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
async def platform(sandbox: Sandbox) -> AsyncIterator[Platform]:
    made = Platform(sandbox.fal.account.admin_key, urls_of(sandbox).platform)
    yield made
    await made.aclose()


async def submit(sandbox: Sandbox, count: int, prompt: str = "a fox") -> None:
    async with queue_at(urls_of(sandbox), sandbox.fal.account.api_key) as queue:
        for seed in range(count):
            await queue.submit(FLUX, {"prompt": prompt, "seed": seed})


async def asked_of(body: object, status: str = "200 OK") -> AsyncIterator[Platform]:
    """A platform that answers everything with `body`."""
    text = body if isinstance(body, str) else json.dumps(body)
    async with answering(response(status, text)) as server:
        platform = Platform("a:key", server.url)
        yield platform
        await platform.aclose()


# ---------------------------------------------------------------------------------- prices


async def test_prices_are_exact(platform: Platform, fal: FalWorld) -> None:
    fal.prices[FLUX] = Price("megapixels", Decimal("0.000000001"))
    prices = await platform.prices([FLUX, "fal-ai/flux/schnell"])
    assert prices[0] == ListedPrice(FLUX, "megapixels", Decimal("0.000000001"))
    assert prices[1].unit_price == Decimal("0.003")


async def test_more_prices_than_one_question_may_ask_for(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, fal: FalWorld
) -> None:
    monkeypatch.setattr(room, "IDS_PER_CALL", 2)
    endpoints = list(fal.prices)[:5]
    assert [price.endpoint for price in await platform.prices(endpoints)] == endpoints
    assert sum(call.operation == "pricing" for call in fal.calls) == 3


@pytest.mark.parametrize(
    "item",
    [
        {"endpoint_id": FLUX, "unit": "images", "unit_price": "0.025", "currency": "USD"},
        {"endpoint_id": FLUX, "unit": "images", "unit_price": 0.025, "currency": "EUR"},
        {"endpoint_id": FLUX, "unit": "images", "unit_price": -1, "currency": "USD"},
        {"endpoint_id": FLUX, "unit": "images", "unit_price": True, "currency": "USD"},
        {"endpoint_id": FLUX, "unit": "images", "unit_price": None, "currency": "USD"},
        {"endpoint_id": FLUX, "unit": "images", "unit_price": float("nan"), "currency": "USD"},
        {"endpoint_id": FLUX, "unit": None, "unit_price": 1, "currency": "USD"},
        {"endpoint_id": None, "unit": "images", "unit_price": 1, "currency": "USD"},
        {"endpoint_id": FLUX},
        "not even an object",
    ],
    ids=str,
)
async def test_a_price_that_makes_no_sense_is_no_price(item: object) -> None:
    async for platform in asked_of({"prices": [item]}):
        assert await platform.prices([FLUX]) == []


# -------------------------------------------------------------------------------- requests


async def test_requests_come_with_what_was_sent(
    platform: Platform, sandbox: Sandbox, fal: FalWorld
) -> None:
    await submit(sandbox, 2)
    await fal.wait_for(lambda: all(one.ok for one in fal.requests))
    found = await platform.requests(FLUX, LONG_AGO)
    assert {one.request_id for one in found} == {one.request_id for one in fal.requests}
    assert sorted(str(one.arguments["seed"]) for one in found) == ["0", "1"]
    assert all(one.sent_at is not None and one.sent_at.tzinfo for one in found)


async def test_what_was_sent_may_come_as_text() -> None:
    """The OpenAPI description gives payloads no type."""
    item = {"request_id": "r1", "json_input": '{"prompt": "a fox", "seed": 7, "strength": 0.95}'}
    async for platform in asked_of({"items": [item]}):
        [found] = await platform.requests(FLUX, LONG_AGO)
        assert found.arguments == {"prompt": "a fox", "seed": 7, "strength": Decimal("0.95")}


async def test_every_page_of_a_list_is_read(
    platform: Platform, sandbox: Sandbox, fal: FalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PAGE_LIMIT", 3)
    await submit(sandbox, 7)
    await fal.wait_for(lambda: all(one.ok for one in fal.requests))
    assert len(await platform.requests(FLUX, LONG_AGO)) == 7
    assert sum(call.operation == "requests" for call in fal.calls) == 3


async def test_a_list_that_breaks_off_is_no_list(
    platform: Platform, sandbox: Sandbox, fal: FalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PAGE_LIMIT", 3)
    await submit(sandbox, 7)
    await fal.wait_for(lambda: all(one.ok for one in fal.requests))
    for kind in ("slow", "garbage"):  # the first page is well, the second is not
        fal.faults.add(kind, "requests")
    with pytest.raises(Unavailable):
        await platform.requests(FLUX, LONG_AGO)


async def test_a_list_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_PAGES", 3)
    pages = iter(range(10))

    async def turning(self: Platform, path: str, params: object) -> dict[str, object]:
        return {"items": [], "next_cursor": str(next(pages))}

    monkeypatch.setattr(Platform, "_get", turning)
    platform = Platform("a:key", "http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="more than 3 pages"):
        await platform.requests(FLUX, LONG_AGO)
    await platform.aclose()


async def test_a_cursor_that_leads_nowhere_new_is_no_end_of_the_list() -> None:
    """Who looks for a lost request must not take half a list for a whole one."""
    async for platform in asked_of({"items": [{"request_id": "r1"}], "next_cursor": "same"}):
        with pytest.raises(Unavailable):
            await platform.requests(FLUX, LONG_AGO)


@pytest.mark.parametrize(
    ("item", "count"),
    [
        ({"request_id": "r1", "sent_at": "yesterday", "json_input": [1]}, 1),
        ({"request_id": "r1", "sent_at": None}, 1),
        ({"request_id": "r1", "json_input": "[1]"}, 1),
        ({"request_id": "r1", "json_input": "{"}, 1),
        ({"request_id": 7}, 0),
        ({}, 0),
    ],
    ids=str,
)
async def test_a_request_without_an_id_is_none(item: object, count: int) -> None:
    async for platform in asked_of({"items": [item]}):
        found = await platform.requests(FLUX, LONG_AGO)
        assert len(found) == count
        assert all(one.arguments == {} and one.sent_at is None for one in found)


# ------------------------------------------------------------------------ balance and bills


async def test_the_balance_is_exact(platform: Platform, fal: FalWorld) -> None:
    fal.balance_nanos = 12_345_678_901
    assert await platform.balance() == 12_345_678_901


@pytest.mark.parametrize(
    "credits_",
    [
        None,
        {},
        {"current_balance": 5, "currency": "EUR"},
        {"current_balance": "5", "currency": "USD"},
        {"current_balance": -5, "currency": "USD"},
        {"current_balance": 10**9, "currency": "USD"},
        {"current_balance": None, "currency": "USD"},
    ],
    ids=str,
)
async def test_a_balance_that_makes_no_sense_is_none(credits_: object) -> None:
    async for platform in asked_of({"credits": credits_}):
        with pytest.raises(Unavailable):
            await platform.balance()


async def test_bills_are_what_was_charged_to_the_nano(
    platform: Platform, sandbox: Sandbox, fal: FalWorld
) -> None:
    fal.discount = Decimal("33.3")
    await submit(sandbox, 3)
    await fal.wait_for(lambda: len(fal.account.bills) == 3)
    ids = [one.request_id for one in fal.requests]
    bills = await platform.bills_of(ids[:2], LONG_AGO)
    assert {one: bill.cost_nanos for one, bill in bills.items()} == dict.fromkeys(ids[:2], 16675000)
    assert sum(bill.cost_nanos for bill in (await platform.bills_since(LONG_AGO)).values()) == (
        fal.bill_total_nanos
    )


async def test_bills_of_more_requests_than_one_question_may_ask_for(
    platform: Platform, sandbox: Sandbox, fal: FalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "IDS_PER_CALL", 2)
    await submit(sandbox, 5)
    await fal.wait_for(lambda: len(fal.account.bills) == 5)
    assert len(await platform.bills_of([one.request_id for one in fal.requests], LONG_AGO)) == 5


def event(**changes: object) -> dict[str, object]:
    return {
        "request_id": "r1",
        "endpoint_id": FLUX,
        "timestamp": "2026-01-02T03:04:05Z",
        "cost_total": 0.025,
        "cost_estimate_nano_usd": 25_000_000,
        **changes,
    }


async def test_two_events_of_one_request_are_one_bill() -> None:
    async for platform in asked_of({"billing_events": [event(), event()]}):
        bills = await platform.bills_since(LONG_AGO)
        assert [bill.cost_nanos for bill in bills.values()] == [50_000_000]


@pytest.mark.parametrize(
    "changes",
    [
        {"cost_total": None},
        {"cost_total": -0.025, "cost_estimate_nano_usd": -25_000_000},
        {"cost_total": "0.025"},
        {"cost_total": 0.026},
        {"cost_estimate_nano_usd": None},
        {"cost_estimate_nano_usd": 10**18, "cost_total": 10**9},
        {"timestamp": None},
        {"timestamp": "soon"},
    ],
    ids=str,
)
async def test_a_bill_that_makes_no_sense_is_left_out_with_all_of_its_request(
    changes: dict[str, object],
) -> None:
    events = [event(), event(**changes), event(request_id="r2"), event(request_id=None)]
    async for platform in asked_of({"billing_events": events}):
        assert list(await platform.bills_since(LONG_AGO)) == ["r2"]


# ---------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("reset"), Unavailable),
        (Fault("html"), Unavailable),
        (Fault("garbage"), Unavailable),
        (Fault("cut"), Unavailable),
        (Fault("bad_gateway"), Unavailable),
        (Fault("server_error"), Unavailable),
        (Fault("unavailable"), Unavailable),
        (Fault("rate_limited", retry_after=7), Unavailable),
        (Fault("unauthorized"), Refused),
        (Fault("not_found"), Refused),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_a_question_that_fails_says_whether_to_ask_again(
    platform: Platform, fal: FalWorld, fault: Fault, error: type[Exception]
) -> None:
    fal.faults.add(fault, "pricing")
    with pytest.raises(error) as raised:
        await platform.prices([FLUX])
    if isinstance(raised.value, Unavailable):
        expected = 7 if fault.kind == "rate_limited" else None
        assert raised.value.retry_after_seconds == expected
    if fault.kind == "rate_limited":
        with pytest.raises(Unavailable, match="asked to wait"):
            await platform.prices([FLUX])
    else:
        assert await platform.prices([FLUX])


async def test_a_key_without_the_scope_is_refused(sandbox: Sandbox) -> None:
    platform = Platform(sandbox.fal.account.api_key, urls_of(sandbox).platform)
    with pytest.raises(Refused) as refused:
        await platform.balance()
    assert refused.value.reason == "key"
    await platform.aclose()


@pytest.mark.parametrize("body", ["[]", "null", '{"prices": {}}', "{}", "1"])
async def test_what_is_no_list_is_asked_for_again(body: str) -> None:
    async for platform in asked_of(body):
        with pytest.raises(Unavailable):
            await platform.prices([FLUX])
