"""fal's platform API, after its OpenAPI description: prices, bills, requests, balance."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.sandbox.fal.account import NANOS, Bill
from bot.sandbox.fal.errors import PlatformError
from bot.sandbox.fal.jobs import FalRequest
from bot.sandbox.wire import Exact

if TYPE_CHECKING:
    from bot.sandbox.fal.world import FalWorld

Item = TypeVar("Item")

MOST_IDS = 50
LONGEST_SPAN = timedelta(days=90)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
PAGED = {"limit", "cursor"}
BILLING_LIMIT = 10_000
REQUESTS_LIMIT = 100
WEBHOOK_RANGES = ["34.123.59.101/32", "34.135.41.243/32", "35.239.83.87/32"]


def enter(world: FalWorld, request: Request, scope: str, allowed: set[str]) -> None:
    """Check key and parameter names; raises PlatformError 401, 403 or 400.

    With the scope `none` no key is needed, but a wrong one is refused.
    """
    given = request.headers.get("authorization")
    key = world.account.key_in(given)
    if key is None and (given is not None or scope != "none"):
        raise PlatformError(401, "Authentication required")
    if scope == "admin" and key != "admin":
        raise PlatformError(403, "Access denied")
    unknown = sorted(set(request.query_params.keys()) - allowed)
    if unknown:
        world.complaints.append(f"{request.url.path}: unknown parameter {', '.join(unknown)}")
        raise PlatformError(400, f"Invalid request parameters: {', '.join(unknown)}")


def ids_of(request: Request, name: str, required: bool = False) -> list[str]:
    """A list of ids, comma-separated or repeated, 1 to 50; raises PlatformError 400."""
    given = request.query_params.getlist(name)
    ids = [part.strip() for value in given for part in value.split(",") if part.strip()]
    if len(ids) > MOST_IDS or ((required or given) and not ids):
        raise PlatformError(400, f"{name} must have 1 to {MOST_IDS} values")
    return ids


def _moment(request: Request, name: str, otherwise: datetime) -> datetime:
    text = request.query_params.get(name)
    if text is None:
        return otherwise
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PlatformError(400, f"{name} is not an ISO 8601 date") from None
    if moment.tzinfo is None:
        if not DATE.fullmatch(text):
            raise PlatformError(400, f"{name} needs a time zone")
        moment = moment.replace(tzinfo=UTC)
    return moment


def _span(
    world: FalWorld, request: Request, default: timedelta = timedelta(days=1)
) -> tuple[datetime, datetime]:
    """The asked time span; without one, the last 24 hours. Raises PlatformError 400."""
    now = world.clock.now()
    end = _moment(request, "end", now + timedelta(microseconds=1))
    start = _moment(request, "start", now - default)
    if end < start:
        raise PlatformError(400, "start must be before end")
    if end - start > LONGEST_SPAN + timedelta(seconds=1):
        raise PlatformError(400, "Date range is capped at 90 days")
    return start, end


def page_of(
    request: Request, items: list[Item], default: int, most: int
) -> tuple[list[Item], dict[str, Any]]:
    """One page of `items` and the fields that lead to the next; raises PlatformError 400."""
    try:
        limit = int(request.query_params.get("limit", default))
        cursor = request.query_params.get("cursor")
        page = int(base64.b64decode(cursor, validate=True)) if cursor else 1
    except (ValueError, binascii.Error):
        raise PlatformError(400, "Invalid limit or cursor") from None
    if not 1 <= limit <= most or page < 1:
        raise PlatformError(400, "Invalid limit or cursor")
    first = (page - 1) * limit
    more = len(items) > first + limit
    cursor = base64.b64encode(str(page + 1).encode()).decode() if more else None
    return items[first : first + limit], {"next_cursor": cursor, "has_more": more}


async def pricing(world: FalWorld, request: Request) -> Response:
    """`GET /models/pricing`."""
    enter(world, request, "api", {"endpoint_id"})
    ids = ids_of(request, "endpoint_id", required=True)
    unknown = [name for name in ids if name not in world.prices]
    if unknown:
        raise PlatformError(404, f"Endpoint not found: {unknown[0]}")
    prices = [
        {
            "endpoint_id": name,
            "unit_price": world.prices[name].unit_price,
            "unit": world.prices[name].unit,
            "currency": "USD",
        }
        for name in dict.fromkeys(ids)
    ]
    return Exact({"prices": prices, "next_cursor": None, "has_more": False})


def bill_json(bill: Bill) -> dict[str, Any]:
    """One billing event; US dollars, with all their digits."""
    return {
        "request_id": bill.request_id,
        "endpoint_id": bill.endpoint_id,
        "timestamp": stamp(bill.at),
        "output_units": bill.units,
        "unit_price": bill.unit_price,
        "percent_discount": bill.percent_discount,
        "cost_subtotal": bill.subtotal,
        "cost_discount": max(bill.subtotal - bill.total, Decimal(0)),
        "cost_total": bill.total,
        "cost_estimate_nano_usd": bill.total_nanos,
    }


async def billing_events(world: FalWorld, request: Request) -> Response:
    """`GET /models/billing-events`; needs an admin key."""
    allowed = PAGED | {"start", "end", "endpoint_id", "request_id", "api_key_id"}
    enter(world, request, "admin", allowed | {"login_username", "expand"})
    start, end = _span(world, request)
    endpoints, ids = ids_of(request, "endpoint_id"), ids_of(request, "request_id")
    now = world.clock.now()
    bills = [
        bill
        for bill in sorted(world.account.bills, key=lambda bill: bill.at, reverse=True)
        if bill.visible_at is not None
        and bill.visible_at <= now
        and start <= bill.at < end
        and (not endpoints or bill.endpoint_id in endpoints)
        and (not ids or bill.request_id in ids)
    ]
    page, more = page_of(request, bills, 50, BILLING_LIMIT)
    return Exact({"billing_events": [bill_json(bill) for bill in page], **more})


async def requests_by_endpoint(world: FalWorld, request: Request) -> Response:
    """`GET /models/requests/by-endpoint`: requests that have started, newest end first."""
    allowed = PAGED | {"endpoint_id", "start", "end", "status", "request_id", "expand", "sort_by"}
    enter(world, request, "api", allowed)
    endpoints = ids_of(request, "endpoint_id", required=True)
    wanted = request.query_params.get("request_id")
    if wanted is not None and not _is_uuid(wanted):
        raise PlatformError(400, "request_id must be a UUID")
    start, end = _span(world, request, LONGEST_SPAN if wanted else timedelta(days=1))
    outcome = request.query_params.get("status")
    order = request.query_params.get("sort_by", "ended_at")
    if outcome not in (None, "success", "error", "user_error"):
        raise PlatformError(400, "status must be success, error or user_error")
    if order not in ("ended_at", "duration"):
        raise PlatformError(400, "sort_by must be ended_at or duration")
    found = [
        one
        for one in world.requests
        if one.endpoint_id in endpoints
        and _listed(world, one)
        and start <= one.sent_at < end
        and wanted in (None, one.request_id)
        and outcome in (None, _outcome(one))
    ]
    now = world.clock.now()
    if order == "duration":
        found.sort(key=lambda one: one.seconds, reverse=True)
    else:
        found.sort(key=lambda one: one.ended_at or now, reverse=True)
    page, more = page_of(request, found, 50, REQUESTS_LIMIT)
    payloads = "payloads" in ids_of(request, "expand")
    return JSONResponse({"items": [request_json(one, payloads) for one in page], **more})


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _listed(world: FalWorld, request: FalRequest) -> bool:
    """Whether the list has it: started_at is required there, so what waits is not in it."""
    since = request.ended_at or request.started_at
    if since is None or (request.ended_at is None and not world.lists_running):
        return False
    return world.clock.now() - since >= timedelta(seconds=world.listing_delay_seconds)


def _outcome(request: FalRequest) -> str | None:
    if request.status_code is None:
        return None
    if request.status_code < 400:
        return "success"
    return "user_error" if request.status_code < 500 else "error"


def request_json(request: FalRequest, payloads: bool) -> dict[str, Any]:
    """One item of the request list."""
    item: dict[str, Any] = {
        "request_id": request.request_id,
        "endpoint_id": request.endpoint_id,
        "sent_at": stamp(request.sent_at),
        "started_at": stamp(request.started_at or request.sent_at),
        "ended_at": stamp(request.ended_at) if request.ended_at else None,
        "status_code": request.status_code,
        "duration": request.seconds if request.ended_at else None,
    }
    if payloads and request.headers.get("x-fal-store-io") != "0":
        item["json_input"] = request.arguments
        item["json_output"] = request.output
    return item


async def billing(world: FalWorld, request: Request) -> Response:
    """`GET /account/billing`; needs an admin key."""
    enter(world, request, "admin", {"expand"})
    body: dict[str, Any] = {"username": world.account.username}
    if "credits" in ids_of(request, "expand"):
        balance = Decimal(max(world.account.balance_nanos, 0)) / NANOS
        body["credits"] = {"current_balance": balance, "currency": "USD"}
    return Exact(body)


async def meta(world: FalWorld, request: Request) -> Response:
    """`GET /meta`; public."""
    return JSONResponse({"webhook_ip_ranges": WEBHOOK_RANGES})


def stamp(moment: datetime) -> str:
    """ISO 8601 with a Z, as fal writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
