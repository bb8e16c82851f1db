"""fal's platform API: prices, the list of requests, bills, the account's balance.

Every amount is read as `Decimal` (JSON numbers with `parse_float=Decimal`), never as `float`.
Facts: fal's OpenAPI description "Platform APIs".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from time import monotonic

import httpx

from bot.fal.errors import Refused, Unavailable
from bot.fal.transport import (
    OnError,
    Watched,
    is_of_fal,
    parse_json,
    refusal,
    retry_after,
    unwatched,
)
from bot.money import NANOS_PER_DOLLAR

logger = logging.getLogger(__name__)

MOST_DOLLARS = 10**6
IDS_PER_CALL = 50
# Most items of a page: the list of requests gives no more, that of bills ten times as many
# (OpenAPI, "limit").
PAGE_LIMIT = 100
BILLS_PAGE_LIMIT = 1000
MOST_PAGES = 100
LONGEST_ID, LONGEST_ENDPOINT = 96, 192
ONE_NANO = Decimal("1e-9")
TIMEOUT = httpx.Timeout(20, connect=10)
# Each piece of an answer may come in time, and the whole of it never.
LONGEST_ANSWER_SECONDS = 60.0

Params = dict[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """The price of an endpoint: US dollars a unit."""

    endpoint: str
    unit: str
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class ListedModel:
    """An endpoint as fal's catalog has it; `openapi` describes what it takes and gives.

    `category` is `text-to-image` and the like, None where fal does not say it.
    """

    endpoint: str
    name: str
    category: str | None
    is_retired: bool
    openapi: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ListedRequest:
    """A request in fal's own list, with the arguments it was sent with (none: not told)."""

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

    def __init__(self, key: str, url: str, on_error: OnError = unwatched) -> None:
        self._http = httpx.AsyncClient(
            transport=Watched(on_error),
            headers={"Authorization": f"Key {key}"},
            timeout=TIMEOUT,
            follow_redirects=False,
        )
        self._url = url
        self._quiet_until: dict[str, float] = {}

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def prices(self, endpoints: Sequence[str]) -> list[ListedPrice]:
        """The prices of endpoints; one that makes no sense, or not in dollars, is missing.

        Raises `Unavailable`, or `Refused` when the key may not ask or fal does not know one.
        """
        prices = []
        for start in range(0, len(endpoints), IDS_PER_CALL):
            ids = ",".join(endpoints[start : start + IDS_PER_CALL])
            async for page in self._pages("/models/pricing", {"endpoint_id": ids}, "prices"):
                prices += [price for item in page if (price := _price(item)) is not None]
        return prices

    async def model(self, endpoint: str) -> ListedModel | None:
        """What fal's catalog has of an endpoint; None if it has none of that name.

        Raises `Unavailable`, or `Refused` when the key may not ask.
        """
        try:
            answer = await self._get(
                "/models", {"endpoint_id": endpoint, "expand": "openapi-3.0", "limit": "1"}
            )
        except Refused as error:
            if error.status == 404:
                return None
            raise
        found = answer.get("models")
        if not isinstance(found, list):
            raise Unavailable("/models: no models")
        return next((model for item in found if (model := _model(item, endpoint))), None)

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
        async for page in self._pages("/models/requests/by-endpoint", params, "items"):
            for item in page:
                request_id = item.get("request_id")
                if isinstance(request_id, str):
                    found.append(
                        ListedRequest(
                            request_id,
                            str(item.get("endpoint_id", endpoint)),
                            _moment(item.get("sent_at")),
                            _arguments(item.get("json_input")),
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
            ids = request_ids[start : start + IDS_PER_CALL]
            bills, _ = await self._bills({"request_id": ",".join(ids), "start": _text(since)})
            found |= {request_id: bill for request_id, bill in bills.items() if request_id in ids}
        return found

    async def bills_since(self, since: datetime) -> dict[str, Bill]:
        """All bills of the account since a moment, by request id; needs an ADMIN key.

        Raises `Unavailable` unless the list was read to its end; `Refused`.
        """
        bills, unsure = await self._bills({"start": _text(since)})
        for request_id in unsure:
            bills.pop(request_id, None)
        return bills | await self.bills_of(sorted(unsure), since)

    async def _bills(self, params: Params) -> tuple[dict[str, Bill], set[str]]:
        """Bills by request id, and the ids that were met on more than one page.

        Several events of a request add up. But the pages are numbers (OpenAPI, "cursor"): when
        an event is added while they are read, the last one of a page comes again on the next.
        A request with any event that makes no sense is left out.
        """
        bills: dict[str, Bill] = {}
        senseless: set[str] = set()
        unsure: set[str] = set()
        params = {**params, "limit": str(BILLS_PAGE_LIMIT)}
        async for page in self._pages("/models/billing-events", params, "billing_events"):
            before = set(bills)
            for item in page:
                request_id = _name(item.get("request_id"), LONGEST_ID)
                if request_id is None:
                    logger.warning("a bill without a request id is left out")
                    continue
                bill = _sum(bills.get(request_id), _bill(request_id, item))
                if bill is None:
                    senseless.add(request_id)
                else:
                    bills[request_id] = bill
                if request_id in before:
                    unsure.add(request_id)
        for request_id in senseless:
            logger.warning("the bill of request %s makes no sense, asking again later", request_id)
            bills.pop(request_id, None)
        return bills, unsure - senseless

    async def _pages(
        self, path: str, params: Params, items: str
    ) -> AsyncIterator[list[dict[str, object]]]:
        """All objects of a list, page by page.

        Raises `Unavailable`, also for a list that does not come to an end, or `Refused`.
        """
        cursors: set[str] = set()
        for _ in range(MOST_PAGES):
            page = await self._get(path, params)
            found = page.get(items)
            if not isinstance(found, list):
                raise Unavailable(f"{path}: no {items}")
            objects = [item for item in found if isinstance(item, dict)]
            if len(objects) < len(found):
                logger.warning("%s: some %s cannot be read and are left out", path, items)
            yield objects
            cursor = page.get("next_cursor")
            if not cursor and not page.get("has_more"):
                return
            if not isinstance(cursor, str) or cursor in cursors:
                raise Unavailable(f"{path}: the list goes on nowhere")
            cursors.add(cursor)
            params = {**params, "cursor": cursor}
        raise Unavailable(f"{path}: more than {MOST_PAGES} pages")

    async def _get(self, path: str, params: Params) -> dict[str, object]:
        wait = self._quiet_until.get(path, 0.0) - monotonic()
        if wait > 0:
            raise Unavailable(f"{path}: fal asked to wait", wait)
        try:
            async with asyncio.timeout(LONGEST_ANSWER_SECONDS):
                response = await self._http.get(self._url + path, params=params)
        except (httpx.HTTPError, TimeoutError) as error:
            raise Unavailable(type(error).__name__) from error
        answer = parse_json(response.content)
        if response.is_success and isinstance(answer, dict):
            return answer
        if response.status_code in (400, 401, 403, 404, 422) and is_of_fal(answer):
            raise refusal(response.status_code, response.headers, answer)
        seconds = retry_after(response.headers)
        if seconds is not None:
            self._quiet_until[path] = monotonic() + seconds
        raise Unavailable(f"HTTP {response.status_code}", seconds)


def _arguments(payload: object) -> Mapping[str, object]:
    """The arguments in a payload, JSON or its text (OpenAPI gives it no type)."""
    arguments = parse_json(payload) if isinstance(payload, str) else payload
    return arguments if isinstance(arguments, dict) else {}


def _price(item: Mapping[str, object]) -> ListedPrice | None:
    """A listed price; None, with a warning, if it is nothing, no number or not in dollars."""
    endpoint, unit = _name(item.get("endpoint_id"), LONGEST_ENDPOINT), item.get("unit")
    amount = decimal(item.get("unit_price"))
    if endpoint and isinstance(unit, str) and amount and item.get("currency") == "USD":
        return ListedPrice(endpoint, unit, amount)
    logger.warning("the price of %s makes no sense, asking again later", endpoint)
    return None


def _model(item: object, endpoint: str) -> ListedModel | None:
    """The endpoint of that id as listed; metadata may be absent (OpenAPI, "Model search")."""
    if not isinstance(item, dict) or item.get("endpoint_id") != endpoint:
        return None
    metadata, openapi = item.get("metadata"), item.get("openapi")
    metadata = metadata if isinstance(metadata, dict) else {}
    return ListedModel(
        endpoint,
        _name(metadata.get("display_name"), LONGEST_ENDPOINT) or endpoint,
        _name(metadata.get("category"), LONGEST_ID),
        metadata.get("status") == "deprecated",
        openapi if isinstance(openapi, dict) else {},
    )


def _bill(request_id: str, item: Mapping[str, object]) -> Bill | None:
    """A billing event as a bill; None if its amounts are missing, absurd or contradict each other.

    `cost_estimate_nano_usd` is `cost_total` in nano-dollars (OpenAPI, "Billing Events").
    """
    nanos = nanos_of(item.get("cost_estimate_nano_usd"), dollars=False)
    total = nanos_of(item.get("cost_total"), dollars=True)
    endpoint = _name(item.get("endpoint_id"), LONGEST_ENDPOINT)
    billed_at = _moment(item.get("timestamp"))
    if nanos is None or total is None or endpoint is None or billed_at is None:
        return None
    return Bill(request_id, endpoint, nanos, billed_at) if abs(nanos - total) <= 1 else None


def _sum(first: Bill | None, second: Bill | None) -> Bill | None:
    """Two bills of the same request as one; None if there is no second, or it is absurd."""
    if first is None or second is None:
        return second
    nanos = first.cost_nanos + second.cost_nanos
    most = MOST_DOLLARS * NANOS_PER_DOLLAR
    return replace(second, cost_nanos=nanos) if nanos <= most else None


def _name(value: object, longest: int) -> str | None:
    """A text that names something and can be stored; None for anything else."""
    is_name = isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()
    return str(value) if is_name else None


def nanos_of(value: object, *, dollars: bool) -> int | None:
    """A JSON number of dollars or nano-dollars as whole nano-dollars, half a nano up.

    None for anything but a number from zero to a million dollars.
    """
    number = decimal(value)
    if number is None or number > (MOST_DOLLARS if dollars else MOST_DOLLARS * NANOS_PER_DOLLAR):
        return None
    # Rounded once, from all digits: a product would be rounded to 28 of them before.
    if not dollars:
        return int(number.to_integral_value(ROUND_HALF_UP))
    return int(number.quantize(ONE_NANO, ROUND_HALF_UP).scaleb(9))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def decimal(value: object) -> Decimal | None:
    """A JSON number as a `Decimal` of at least zero; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() and number >= 0 else None


def _moment(value: object) -> datetime | None:
    """A moment in UTC, which is also meant where no zone is given; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None or moment.tzinfo is None:
            return moment and moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
