"""fal's platform API: prices, the list of requests, bills, the account's balance.

Every amount is read as `Decimal` (JSON numbers with `parse_float=Decimal`), never as `float`.
Facts: fal's OpenAPI description "Platform APIs".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import httpx

from bot.fal.errors import Unavailable
from bot.fal.queue import retry_after
from bot.fal.transport import is_of_fal, parse_json, refusal

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
            "start": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
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


def decimal(value: object) -> Decimal | None:
    """A JSON number as a `Decimal` of at least zero; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() and number >= 0 else None


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
