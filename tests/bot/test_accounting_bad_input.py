"""Whatever fal answers about money: what makes no sense is no answer, and a warning is logged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from bot.fal import platform as room
from bot.fal.errors import Refused, Unavailable
from bot.fal.platform import Platform
from tests.bot.accountant import DOLLAR
from tests.support.answering import dripping

SINCE = datetime(2026, 11, 1, tzinfo=UTC)
HTML = b"<html><head><title>Just a moment...</title></head></html>"
ID = "11111111-2222-4333-8444-555555555555"
BILL: dict[str, object] = {
    "request_id": ID,
    "endpoint_id": "fal-ai/flux/dev",
    "timestamp": "2026-11-20T10:30:45Z",
    "output_units": 1,
    "unit_price": 0.025,
    "percent_discount": None,
    "cost_subtotal": 0.025,
    "cost_discount": 0,
    "cost_total": 0.025,
    "cost_estimate_nano_usd": 25_000_000,
}
PRICE: dict[str, object] = {
    "endpoint_id": "fal-ai/flux/dev",
    "unit_price": 0.025,
    "unit": "megapixels",
    "currency": "USD",
}
# Bodies that are no answer, with their HTTP status.
NO_ANSWERS: list[tuple[int, bytes]] = [
    (200, HTML),
    (200, b""),
    (200, b"null"),
    (200, b"[]"),
    (200, b"{}"),
    (200, b'{"prices": null, "billing_events": null, "items": null, "credits": null}'),
    (200, b'{"prices": {}, "billing_events": "no", "items": 1, "credits": []}'),
    (200, b'{"prices": [{"unit_price": 0.'),
    (200, b"\xff\xfe"),
    (200, b'{"prices": 1e999999999999999999999}'),
    (200, b'{"prices": ' + b"9" * 5000 + b"}"),
    (200, b"[" * 100_000),
    (204, b""),
    (302, b""),
    (429, b'{"error": {"type": "rate_limited", "message": "slow down"}}'),
    (500, b'{"error": {"type": "server_error", "message": "oh"}}'),
    (502, HTML),
    (403, HTML),
]
# What a number of money can be instead of one.
NO_AMOUNTS = ["null", '"0.025"', "-0.025", "1e16", "true", "NaN", "Infinity", "[1]", "{}", "1e999"]


@asynccontextmanager
async def serving(
    answer: Callable[[str], tuple[int, bytes]],
) -> AsyncIterator[tuple[str, list[str]]]:
    """A web server that answers each request by its target; its URL and what was asked."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.decode().split(" ")[1])
        status, body = answer(asked[-1])
        length = "" if status == 204 else f"Content-Length: {len(body)}\r\n"
        writer.write(f"HTTP/1.1 {status} So\r\n{length}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


@asynccontextmanager
async def told(*bodies: bytes, status: int = 200) -> AsyncIterator[Platform]:
    """fal's platform when it gives these answers, and the last one ever after."""
    left = list(bodies)

    def answer(_: str) -> tuple[int, bytes]:
        return status, left.pop(0) if len(left) > 1 else left[0]

    async with serving(answer) as (url, _):
        platform = Platform("key", url)
        yield platform
        await platform.aclose()


def page(name: str, *items: object, cursor: object = None) -> bytes:
    """A page of a list."""
    return json.dumps({name: items, "next_cursor": cursor, "has_more": cursor is not None}).encode()


def with_raw(thing: dict[str, object], field: str, raw: str) -> bytes:
    """The thing as JSON, with `raw` in place of one of its values."""
    return json.dumps({**thing, field: "RAW"}).replace('"RAW"', raw).encode()


def bills_page(*raw: bytes) -> bytes:
    return b'{"billing_events": [' + b",".join(raw) + b'], "next_cursor": null, "has_more": false}'


# ------------------------------------------------------------------------------- no answer at all


@pytest.mark.parametrize(("status", "body"), NO_ANSWERS)
async def test_what_is_no_answer_is_asked_again_later(status: int, body: bytes) -> None:
    async with told(body, status=status) as platform:
        for ask in (
            platform.balance(),
            platform.prices(["fal-ai/flux/dev"]),
            platform.bills_since(SINCE),
            platform.bills_of([ID], SINCE),
            platform.requests("fal-ai/flux/dev", SINCE),
        ):
            with pytest.raises(Unavailable):
                await ask


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_refusal_of_fal_is_told_apart_from_silence(status: int) -> None:
    body = b'{"error": {"type": "authorization_error", "message": "no"}}'
    async with told(body, status=status) as platform:
        with pytest.raises(Refused) as refusal:
            await platform.balance()
        assert refusal.value.status == status


async def test_nobody_there_is_asked_again_later() -> None:
    async with serving(lambda _: (200, b"")) as (url, _):
        platform = Platform("key", url)
    with pytest.raises(Unavailable):
        await platform.balance()
    await platform.aclose()


async def test_an_answer_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece of it comes in time; the whole of it would keep the books waiting for ever."""
    monkeypatch.setattr(room, "LONGEST_ANSWER_SECONDS", 0.1)
    async with dripping() as server:
        platform = Platform("an:admin key", server.url)
        with pytest.raises(Unavailable):
            await platform.balance()
        await platform.aclose()


# ------------------------------------------------------------------------------------ the balance


@pytest.mark.parametrize("amount", [*NO_AMOUNTS, "1000000.000000001"])
async def test_a_balance_that_makes_no_sense_is_none(amount: str) -> None:
    body = b'{"credits": {"current_balance": %s, "currency": "USD"}}' % amount.encode()
    async with told(body) as platform:
        with pytest.raises(Unavailable):
            await platform.balance()


@pytest.mark.parametrize("currency", ["EUR", "usd", "", None, 1])
async def test_a_balance_in_another_currency_is_none(currency: object) -> None:
    body = json.dumps({"credits": {"current_balance": 24.5, "currency": currency}}).encode()
    async with told(body) as platform:
        with pytest.raises(Unavailable):
            await platform.balance()


@pytest.mark.parametrize(
    ("amount", "nanos"),
    [
        ("24.5", 24_500_000_000),
        ("0", 0),
        ("-0", 0),
        ("1000000", 10**15),
        ("0.000000001", 1),
        ("0.0000000004999999999999999999999999999999999999", 0),
        ("0.0000000005", 1),
        ("0.123456789" + "4" * 1000, 123_456_789),
        ("999999.9999999994", 999_999_999_999_999),
        ("1e-999999999", 0),
        ("2.45E1", 24_500_000_000),
        ("24", 24_000_000_000),
    ],
)
async def test_a_balance_is_read_to_the_nano_dollar(amount: str, nanos: int) -> None:
    body = b'{"credits": {"current_balance": %s, "currency": "USD"}}' % amount.encode()
    async with told(body) as platform:
        assert await platform.balance() == nanos


# -------------------------------------------------------------------------------------- the bills


@pytest.mark.parametrize("field", sorted(set(BILL) - {"request_id"}))
async def test_only_what_decides_the_amount_must_be_there(field: str) -> None:
    bill = {name: value for name, value in BILL.items() if name != field}
    needed = {"endpoint_id", "timestamp", "cost_total", "cost_estimate_nano_usd"}
    async with told(page("billing_events", bill)) as platform:
        assert (ID in await platform.bills_since(SINCE)) is (field not in needed)


SENSELESS = [
    *[("cost_total", raw) for raw in NO_AMOUNTS],
    *[("cost_estimate_nano_usd", raw) for raw in NO_AMOUNTS],
    ("cost_total", "0.025000002"),  # contradicts the nano-dollars
    ("cost_estimate_nano_usd", "25000002"),
    ("timestamp", "null"),
    ("timestamp", "1732098645"),
    ("timestamp", '"yesterday"'),
    ("timestamp", '"0001-01-01T00:00:00+23:59"'),
    ("endpoint_id", "null"),
    ("endpoint_id", '"a\\u0000b"'),
    ("endpoint_id", json.dumps("x" * 193)),
]


@pytest.mark.parametrize(("field", "raw"), SENSELESS)
async def test_a_bill_that_makes_no_sense_is_left_out_with_a_warning(
    field: str, raw: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = {**BILL, "request_id": "other"}
    body = bills_page(with_raw(BILL, field, raw), json.dumps(other).encode())
    async with told(body) as platform:
        assert set(await platform.bills_since(SINCE)) == {"other"}
        assert set(await platform.bills_of([ID, "other"], SINCE)) == {"other"}
    assert f"the bill of request {ID} makes no sense" in caplog.text


@pytest.mark.parametrize("raw", ["null", "7", '""', '"a\\u0000b"', json.dumps("x" * 97), "{}"])
async def test_a_bill_of_no_request_is_left_out_with_a_warning(
    raw: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with told(bills_page(with_raw(BILL, "request_id", raw), b"7")) as platform:
        assert await platform.bills_since(SINCE) == {}
    assert len(caplog.records) == 2


async def test_a_request_with_one_senseless_event_among_good_ones_is_left_out() -> None:
    for order in (1, -1):
        events = [BILL, {**BILL, "cost_total": None}, BILL][::order]
        async with told(page("billing_events", *events)) as platform:
            assert await platform.bills_since(SINCE) == {}


@pytest.mark.parametrize(
    ("total", "estimate", "nanos"),
    [
        ("0.025", "25000000", 25_000_000),
        ("0.025", "25000000.0", 25_000_000),
        ("0.0250000004", "25000000.4", 25_000_000),
        ("0.0250000005", "25000000.5", 25_000_001),
        ("0.024999999", "25000000", 25_000_000),  # rounded apart by one nano-dollar
        ("0.045000000000000005", "45000000", 45_000_000),  # as floats are written
        ("1e-9", "1", 1),
        ("0", "0", 0),
        ("1000000", "1000000000000000", 10**15),
    ],
)
async def test_a_bill_is_read_to_the_nano_dollar(total: str, estimate: str, nanos: int) -> None:
    raw = with_raw({**BILL, "cost_total": "T"}, "cost_estimate_nano_usd", estimate)
    async with told(bills_page(raw.replace(b'"T"', total.encode()))) as platform:
        assert (await platform.bills_since(SINCE))[ID].cost_nanos == nanos


async def test_several_events_of_a_request_add_up() -> None:
    async with told(page("billing_events", BILL, BILL)) as platform:
        assert (await platform.bills_since(SINCE))[ID].cost_nanos == 50_000_000


async def test_what_adds_up_beyond_all_sense_is_left_out() -> None:
    large = {**BILL, "cost_total": 600_000, "cost_estimate_nano_usd": 600_000 * DOLLAR}
    async with told(page("billing_events", large, large)) as platform:
        assert await platform.bills_since(SINCE) == {}


async def test_an_event_that_comes_again_on_the_next_page_is_not_added_up() -> None:
    """The cursor is the number of a page: a new event moves all others by one."""
    first = page("billing_events", {**BILL, "request_id": "a"}, BILL, cursor="Mg==")
    second = page("billing_events", BILL, {**BILL, "request_id": "b"})
    async with told(first, second, page("billing_events", BILL)) as platform:
        bills = await platform.bills_since(SINCE)
    assert {name: bill.cost_nanos for name, bill in bills.items()} == {
        "a": 25_000_000,
        ID: 25_000_000,
        "b": 25_000_000,
    }


async def test_only_what_was_asked_for_is_taken_for_the_answer() -> None:
    async with told(page("billing_events", BILL, {**BILL, "request_id": "other"})) as platform:
        assert set(await platform.bills_of([ID], SINCE)) == {ID}


# ------------------------------------------------------------------------------- lists and cursors


@pytest.mark.parametrize("cursor", ["Mg==", 7, ["x"], True])
async def test_a_cursor_that_leads_nowhere_is_no_end_of_the_list(cursor: object) -> None:
    async with told(page("billing_events", BILL, cursor=cursor)) as platform:
        with pytest.raises(Unavailable):
            await platform.bills_since(SINCE)


async def test_more_is_said_to_be_there_and_is_not_told() -> None:
    body = json.dumps({"items": [], "next_cursor": None, "has_more": True}).encode()
    async with told(body) as platform:
        with pytest.raises(Unavailable):
            await platform.requests("fal-ai/flux/dev", SINCE)


async def test_a_list_that_never_ends_is_given_up() -> None:
    numbers = iter(range(10**6))
    endless = lambda _: (200, page("items", cursor=f"c{next(numbers)}"))  # noqa: E731
    async with serving(endless) as (url, asked):
        platform = Platform("key", url)
        with pytest.raises(Unavailable):
            await platform.requests("fal-ai/flux/dev", SINCE)
        await platform.aclose()
    assert len(asked) == 100


async def test_a_list_is_read_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    pages = [
        page("billing_events", {**BILL, "request_id": "a"}, cursor="Mg=="),
        page("billing_events", {**BILL, "request_id": "b"}, cursor="Mw=="),
        page("billing_events", {**BILL, "request_id": "c"}),
    ]
    async with told(*pages) as platform:
        assert sorted(await platform.bills_since(SINCE)) == ["a", "b", "c"]
    assert not caplog.records


# -------------------------------------------------------------------------------------- the prices


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        *[("unit_price", raw) for raw in NO_AMOUNTS if raw != "1e16" and raw != "1e999"],
        ("unit_price", "0"),
        ("currency", '"EUR"'),
        ("currency", "null"),
        ("unit", "null"),
        ("unit", "7"),
        ("endpoint_id", "null"),
    ],
)
async def test_a_price_that_makes_no_sense_is_left_out_with_a_warning(
    field: str, raw: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = json.dumps({**PRICE, "endpoint_id": "other"}).encode()
    body = b'{"prices": [%s, %s]}' % (with_raw(PRICE, field, raw), other)
    async with told(body) as platform:
        assert [price.endpoint for price in await platform.prices(["x"])] == ["other"]
    assert "makes no sense" in caplog.text
