"""fal's platform API: prices, the list of requests, bills, the account's balance.

Every amount is read as `Decimal` (JSON numbers with `parse_float=Decimal`), never as `float`.
Facts: fal's OpenAPI description "Platform APIs".
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import httpx

from bot.fal.errors import Unavailable
from bot.fal.queue import retry_after
from bot.fal.transport import is_of_fal, parse_json, refusal

logger = logging.getLogger(__name__)

NANOS_PER_DOLLAR = 10**9
MOST_DOLLARS = 10**6
IDS_PER_CALL = 50
PAGE_LIMIT = 100
MOST_PAGES = 200
TIMEOUT = httpx.Timeout(20, connect=10)

Params = dict[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """The price of an endpoint: US dollars a unit."""

    endpoint: str
    unit: str
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class ListedRequest:
    """A request in fal's own list, with the arguments it was sent with."""

    request_id: str
    endpoint: str
    sent_at: datetime | None
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Bill:
    """What fal charged for a request, after discounts: nano-dollars, exact."""

    request_id: str
    endpoint: str
    cost_nanos: int
    billed_at: datetime


class Platform:
    """The platform API of one account. `key` decides what may be asked (API or ADMIN scope)."""

    def __init__(self, key: str, url: str) -> None:
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Key {key}"}, timeout=TIMEOUT, follow_redirects=False
        )
        self._url = url

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def prices(self, endpoints: Sequence[str]) -> list[ListedPrice]:
        """The prices of endpoints; one that fal does not know, or not in dollars, is missing.

        Raises `Unavailable`, or `Refused` when the key may not ask.
        """
        prices = []
        for start in range(0, len(endpoints), IDS_PER_CALL):
            ids = ",".join(endpoints[start : start + IDS_PER_CALL])
            async for item in self._pages("/models/pricing", {"endpoint_id": ids}, "prices"):
                price = _price(item)
                if price is not None:
                    prices.append(price)
        return prices

    async def requests(self, endpoint: str, since: datetime) -> list[ListedRequest]:
        """The requests for an endpoint since a moment, with payloads.

        Raises `Unavailable` unless the list was read to its end; `Refused` when the key may
        not ask.
        """
        params: Params = {
            "endpoint_id": endpoint,
            "start": _text(since),
            "expand": "payloads",
            "limit": str(PAGE_LIMIT),
        }
        found = []
        async for item in self._pages("/models/requests/by-endpoint", params, "items"):
            arguments = item.get("json_input")
            if isinstance(item.get("request_id"), str):
                found.append(
                    ListedRequest(
                        str(item["request_id"]),
                        str(item.get("endpoint_id", endpoint)),
                        _moment(item.get("sent_at")),
                        arguments if isinstance(arguments, dict) else {},
                    )
                )
        return found

    async def balance(self) -> int:
        """The account's credit in nano-dollars; needs an ADMIN key.

        Raises `Unavailable` also for a balance that makes no sense or is not in dollars.
        """
        answer = await self._get("/account/billing", {"expand": "credits"})
        credits_ = answer.get("credits")
        if not isinstance(credits_, dict) or credits_.get("currency") != "USD":
            raise Unavailable("the balance is missing or not in dollars")
        nanos = nanos_of(credits_.get("current_balance"), dollars=True)
        if nanos is None:
            raise Unavailable("the balance makes no sense")
        return nanos

    async def bills_of(self, request_ids: Sequence[str], since: datetime) -> dict[str, Bill]:
        """The bills of requests, by request id; needs an ADMIN key.

        A request without an event yet is missing. Raises `Unavailable` or `Refused`.
        """
        found: dict[str, Bill] = {}
        for start in range(0, len(request_ids), IDS_PER_CALL):
            ids = ",".join(request_ids[start : start + IDS_PER_CALL])
            found |= await self._bills({"request_id": ids, "start": _text(since)})
        return found

    async def bills_since(self, since: datetime) -> dict[str, Bill]:
        """All bills of the account since a moment, by request id; needs an ADMIN key."""
        return await self._bills({"start": _text(since)})

    async def _bills(self, params: Params) -> dict[str, Bill]:
        """Bills by request id. One with any event that makes no sense is left out."""
        bills: dict[str, Bill] = {}
        senseless: set[str] = set()
        async for item in self._pages("/models/billing-events", params, "billing_events"):
            request_id = item.get("request_id")
            if not isinstance(request_id, str):
                continue
            bill = _bill(request_id, item)
            if bill is None:
                senseless.add(request_id)
            elif request_id in bills:
                bills[request_id] = replace(
                    bill, cost_nanos=bill.cost_nanos + bills[request_id].cost_nanos
                )
            else:
                bills[request_id] = bill
        for request_id in senseless:
            logger.warning("the bill of request %s makes no sense, asking again later", request_id)
            bills.pop(request_id, None)
        return bills

    async def _pages(
        self, path: str, params: Params, items: str
    ) -> AsyncIterator[dict[str, object]]:
        """All objects of a list, page by page. Raises `Unavailable` or `Refused`."""
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = await self._get(path, params if cursor is None else {**params, "cursor": cursor})
            found = page.get(items)
            if not isinstance(found, list):
                raise Unavailable(f"{path}: no {items}")
            for item in found:
                if isinstance(item, dict):
                    yield item
            following = page.get("next_cursor")
            if not isinstance(following, str) or not following or following == cursor:
                return
            cursor = following
        raise Unavailable(f"{path}: more than {MOST_PAGES} pages")

    async def _get(self, path: str, params: Params) -> dict[str, object]:
        try:
            response = await self._http.get(self._url + path, params=params)
        except httpx.HTTPError as error:
            raise Unavailable(type(error).__name__) from error
        answer = parse_json(response.content)
        if response.is_success and isinstance(answer, dict):
            return answer
        if response.status_code in (400, 401, 403, 404, 422) and is_of_fal(answer):
            raise refusal(response.status_code, response.headers, answer)
        raise Unavailable(f"HTTP {response.status_code}", retry_after(response.headers))


def _price(item: Mapping[str, object]) -> ListedPrice | None:
    endpoint, unit, currency = item.get("endpoint_id"), item.get("unit"), item.get("currency")
    amount = decimal(item.get("unit_price"))
    if not isinstance(endpoint, str) or not isinstance(unit, str) or amount is None:
        return None
    return ListedPrice(endpoint, unit, amount) if currency == "USD" else None


def _bill(request_id: str, item: Mapping[str, object]) -> Bill | None:
    """A billing event as a bill; None if its amounts are missing, absurd or contradict each other.

    `cost_estimate_nano_usd` is `cost_total` in nano-dollars (OpenAPI, "Billing Events").
    """
    nanos = nanos_of(item.get("cost_estimate_nano_usd"), dollars=False)
    total = nanos_of(item.get("cost_total"), dollars=True)
    billed_at = _moment(item.get("timestamp"))
    if nanos is None or total is None or billed_at is None or abs(nanos - total) > 1:
        return None
    return Bill(request_id, str(item.get("endpoint_id", "")), nanos, billed_at)


def nanos_of(value: object, *, dollars: bool) -> int | None:
    """A JSON number of dollars or nano-dollars as whole nano-dollars, half a nano up.

    None for anything but a number from zero to a million dollars.
    """
    number = decimal(value)
    if number is None or number > (MOST_DOLLARS if dollars else MOST_DOLLARS * NANOS_PER_DOLLAR):
        return None
    nanos = number * NANOS_PER_DOLLAR if dollars else number
    return int(nanos.to_integral_value(ROUND_HALF_UP))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def decimal(value: object) -> Decimal | None:
    """A JSON number as a `Decimal` of at least zero; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() and number >= 0 else None


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
