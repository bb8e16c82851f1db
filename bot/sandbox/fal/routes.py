"""fal over HTTP: which path is which operation, and the faults around each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from bot.sandbox.fal import files, models, platform, queue
from bot.sandbox.fal.account import locked_error
from bot.sandbox.fal.errors import LOCKED, WRONG_KEY, FalError, PlatformError, model_error
from bot.sandbox.faults import Fault
from bot.sandbox.wire import Cut, Endless, first_of

if TYPE_CHECKING:
    from bot.sandbox.fal.world import FalWorld

Handler = Callable[["FalWorld", Request], Awaitable[Response]]

PAGE = "<html><head><title>Just a moment...</title></head><body>checking</body></html>"
BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
PLATFORM = {"models", "pricing", "billing_events", "requests", "billing", "meta"}
REQUEST = "/queue/{owner}/{app}/requests/{request_id}"


def routes(world: FalWorld) -> list[BaseRoute]:
    """All routes of the fal side."""

    def route(path: str, operation: str, handler: Handler, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            return await guarded(world, request, operation, handler)

        return Route(path, endpoint, methods=[method])

    return [
        route(REQUEST + "/status/stream", "stream", queue.stream),
        route(REQUEST + "/status", "status", queue.status),
        route(REQUEST + "/cancel", "cancel", queue.cancel, "PUT"),
        route(REQUEST, "result", queue.result),
        route("/queue/{endpoint:path}", "submit", queue.submit, "POST"),
        route("/v1/models", "models", models.models),
        route("/v1/models/pricing", "pricing", platform.pricing),
        route("/v1/models/billing-events", "billing_events", platform.billing_events),
        route("/v1/models/requests/by-endpoint", "requests", platform.requests_by_endpoint),
        route("/v1/account/billing", "billing", platform.billing),
        route("/v1/meta", "meta", platform.meta),
        route("/rest/storage/auth/token", "token", files.token, "POST"),
        route("/rest/storage/upload/initiate", "token", files.initiate, "POST"),
        route("/rest/.well-known/jwks.json", "jwks", files.jwks),
        route("/cdn/files/upload", "upload", files.upload, "POST"),
        route("/cdn/files/put/{path:path}", "upload", files.put, "PUT"),
        route("/cdn/files/{path:path}", "media", files.media),
    ]


async def guarded(world: FalWorld, request: Request, operation: str, handler: Handler) -> Response:
    """Answer one request, with the fault that is due."""
    from bot.sandbox.fal.world import FalCall

    endpoint = _endpoint(world, request, operation)
    headers = dict(request.headers)
    world.calls.append(FalCall(operation, request.method, str(request.url), headers, endpoint))
    fault = world.faults.next(operation, endpoint)
    request.state.fault = fault
    try:
        before = await _before(world, operation, fault)
        if before is not None:
            return before
        answer = await handler(world, request)
    except (FalError, PlatformError) as error:
        answer = error.response()
    finally:
        world.changes.notify()
    return _after(world, operation, fault, answer)


def _endpoint(world: FalWorld, request: Request, operation: str) -> str | None:
    if operation == "submit":
        return str(request.path_params["endpoint"])
    known = world.find(request.path_params.get("request_id", ""))
    return known.endpoint_id if known else None


async def _before(world: FalWorld, operation: str, fault: Fault | None) -> Response | None:
    """What the fault does instead of the work; None lets the work be done."""
    if fault is None:
        return None
    if fault.kind == "reset":
        return Cut()
    if fault.kind == "hang":
        return Cut(world.faults.held())
    if fault.kind == "bad_gateway":
        return HTMLResponse(BAD_GATEWAY, 502)
    if fault.kind == "slow":
        # A slow server, and not a test that waits: the delay is what is being tested.
        await first_of(asyncio.sleep(fault.seconds), world.faults.held()())
    if fault.kind == "locked":
        raise locked_error(fault.message or LOCKED)
    if fault.kind == "unprocessable":
        raise model_error("value_error", "Value error", ["prompt"])
    statuses = {
        "rate_limited": (429, "Too many requests", {"Retry-After": str(fault.retry_after)}),
        "unavailable": (503, "Service unavailable", None),
        "server_error": (500, "Internal server error", None),
        "unauthorized": (401, WRONG_KEY, None),
        "not_found": (404, "Not found", None),
    }
    if fault.kind in statuses:
        status, message, headers = statuses[fault.kind]
        if operation in PLATFORM:
            raise PlatformError(status, message, headers)
        raise FalError(status, message, None, headers)
    return None


def _after(world: FalWorld, operation: str, fault: Fault | None, answer: Response) -> Response:
    """What the fault does with the answer to the work that was done."""
    if fault is None or (operation == "stream" and fault.kind in ("cut", "garbage")):
        return answer
    if fault.kind == "answer_lost":
        return Cut()
    if fault.kind == "answer_hangs":
        return Cut(world.faults.held())
    if fault.kind == "html":
        return HTMLResponse(PAGE)
    if fault.kind == "bad_gateway_after":
        return HTMLResponse(BAD_GATEWAY, 502)
    if fault.kind == "cut":
        return Cut(partial=answer)
    if fault.kind == "endless":
        return Endless(answer)
    if fault.kind == "garbage":
        body = bytes(answer.body)
        return Response(body[: len(body) // 2], answer.status_code, media_type="application/json")
    if fault.kind == "no_units" and "x-fal-billable-units" in answer.headers:
        del answer.headers["x-fal-billable-units"]
    return answer
