"""fal's queue: submit, status, status stream, result, cancel."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.sandbox.fal.errors import FalError
from bot.sandbox.fal.jobs import FalRequest
from bot.sandbox.wire import Events, Exact, dumps

if TYPE_CHECKING:
    from bot.sandbox.fal.world import FalWorld

STILL_RUNNING = "Request is still in progress"


async def submit(world: FalWorld, request: Request) -> Response:
    """`POST /{endpoint_id}`."""
    world.account.require_key(request.headers.get("authorization"))
    name = request.path_params["endpoint"].strip("/")
    endpoint = world.endpoints.get(name)
    if endpoint is None or endpoint.kind == "3d":  # that is only listed here
        raise FalError(404, f"Application '{name}' not found")
    world.account.require_open()
    _check_timeout(request)
    try:
        arguments = json.loads(await request.body() or b"{}")
    except ValueError:
        raise FalError(400, "Invalid JSON") from None
    complete = dict(arguments) if isinstance(arguments, dict) else {}
    if world.validates_at == "submit":
        complete = endpoint.check(arguments)
        _refuse_telegram(world, complete)
    headers = {name.lower(): value for name, value in request.headers.items()}
    headers.pop("authorization", None)
    made = FalRequest(
        endpoint,
        arguments,
        complete,
        headers,
        request.query_params.get("fal_webhook"),
        world.clock.now(),
    )
    world.accept(made)
    return JSONResponse(
        {
            **_urls(world, made),
            "gateway_request_id": made.gateway_request_id,
            "status": "IN_QUEUE",
            "queue_position": world.position(made),
        },
        headers={"x-fal-request-id": made.request_id},
    )


def _check_timeout(request: Request) -> None:
    given = request.headers.get("x-fal-request-timeout")
    try:
        if given is not None and float(given) <= 1:
            raise ValueError(given)
    except ValueError:
        raise FalError(400, "X-Fal-Request-Timeout must be more than 1 second") from None


def _refuse_telegram(world: FalWorld, complete: dict[str, Any]) -> None:
    """Fail at once for a URL that would hand the bot's token to another company."""
    several = [("image_urls", url) for url in complete.get("image_urls", [])]
    for field, url in [
        *((f, complete.get(f, "")) for f in ("image_url", "end_image_url")),
        *several,
    ]:
        if not url.startswith("data:") and world.storage.is_telegram_url(url):
            world.storage.fetch_input(url, field)


def _find(world: FalWorld, request: Request, unless: FalError | None = None) -> FalRequest:
    """The request that a URL is about; raises FalError 401 or 404 (or `unless`)."""
    world.account.require_key(request.headers.get("authorization"))
    found = world.find(request.path_params["request_id"])
    app = f"{request.path_params['owner']}/{request.path_params['app']}"
    if found is None or found.endpoint.app != app or found.state == "removed":
        raise unless or FalError(404, "Request not found")
    return found


def _urls(world: FalWorld, request: FalRequest) -> dict[str, str]:
    url = world.request_url(request)
    return {
        "request_id": request.request_id,
        "response_url": url,
        "status_url": f"{url}/status",
        "cancel_url": f"{url}/cancel",
    }


def status_json(world: FalWorld, request: FalRequest, logs: bool) -> dict[str, Any]:
    """The status object (fal's "Queue")."""
    body: dict[str, Any] = _urls(world, request)
    if request.state == "queued":
        return {**body, "status": "IN_QUEUE", "queue_position": world.position(request)}
    body["logs"] = request.logs if logs else None
    if request.state == "running":
        return {**body, "status": "IN_PROGRESS"}
    body |= {"status": "COMPLETED", "metrics": {"inference_time": request.seconds}}
    if not request.ok:
        detail = request.output["detail"]
        body["error"] = detail if isinstance(detail, str) else detail[0]["msg"]
        body["error_type"] = request.output.get("error_type") or (
            "invalid_request" if isinstance(detail, str) else detail[0]["type"]
        )
    return body


def _wants_logs(request: Request) -> bool:
    return request.query_params.get("logs", "").lower() in ("1", "true")


async def status(world: FalWorld, request: Request) -> Response:
    """`GET {status_url}`: 202 while under way, 200 when complete."""
    found = _find(world, request)
    code = 200 if found.state == "completed" else 202
    return JSONResponse(status_json(world, found, _wants_logs(request)), code)


async def stream(world: FalWorld, request: Request) -> Response:
    """`GET {status_url}/stream`: a status object at each change, until COMPLETED."""
    found = _find(world, request)
    fault = request.state.fault
    kind = fault.kind if fault is not None else None
    source = _events(world, found, _wants_logs(request), kind)
    return Events(source, cut=kind == "cut")


async def _events(
    world: FalWorld, request: FalRequest, logs: bool, fault: str | None
) -> AsyncIterator[str]:
    before: object = None
    while request.state != "removed":
        place = world.position(request) if request.state == "queued" else None
        now = (request.state, place, len(request.logs) if logs else 0)
        if now == before:
            if request.state == "completed":
                return
            await request.changes.wait()
            continue
        before = now
        if fault == "garbage":
            yield 'data: {"status": "IN_'
            return
        yield f"data: {dumps(status_json(world, request, logs))}"
        if fault == "cut":
            return


async def result(world: FalWorld, request: Request) -> Response:
    """`GET {response_url}`: whatever the model answered, with its own status."""
    found = _find(world, request)
    if found.status_code is None:
        raise FalError(400, STILL_RUNNING)
    headers = {**found.output_headers, "x-fal-request-id": found.request_id}
    if found.units is not None:
        headers["x-fal-billable-units"] = f"{found.units.normalize():f}"
    return Exact(found.output, found.status_code, headers)


async def cancel(world: FalWorld, request: Request) -> Response:
    """`PUT {cancel_url}`."""
    missing = JSONResponse({"status": "NOT_FOUND"}, 404)
    try:
        found = _find(world, request)
    except FalError as error:
        if error.status == 404:
            return missing
        raise
    fault = request.state.fault
    refused = fault is not None and fault.kind == "refused"
    if refused or not world.cancel(found):
        return JSONResponse({"status": "ALREADY_COMPLETED"}, 400)
    return JSONResponse({"status": "CANCELLATION_REQUESTED"}, 202)
