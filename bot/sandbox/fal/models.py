"""fal's catalog, after its OpenAPI description ("Model search"): what there is, and its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from bot.sandbox.fal.errors import PlatformError
from bot.sandbox.fal.platform import PAGED, enter, ids_of, page_of
from bot.sandbox.fal.schemas import SIZES, Endpoint, Field
from bot.sandbox.wire import Exact

if TYPE_CHECKING:
    from bot.sandbox.fal.world import FalWorld

SCHEMA = "#/components/schemas/"
MOST_MODELS = 100
WHEN = "2026-01-15T12:00:00.000Z"
FILE = {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]}
IMAGE_SIZE = {
    "type": "object",
    "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}},
}
# What a result has, by what the endpoint makes.
OUTPUTS: dict[str, dict[str, Any]] = {
    "image": {"images": {"type": "array", "items": {"$ref": f"{SCHEMA}File"}}},
    "video": {"video": {"$ref": f"{SCHEMA}File"}},
    "3d": {"model_mesh": {"$ref": f"{SCHEMA}File"}},
}


async def models(world: FalWorld, request: Request) -> Response:
    """`GET /models`; public, but a wrong key is refused."""
    allowed = PAGED | {"endpoint_id", "q", "category", "status", "expand"}
    enter(world, request, "none", allowed)
    asked = ids_of(request, "endpoint_id")
    if world.unknown_models == "not_found" and (set(asked) - world.endpoints.keys()):
        raise PlatformError(404, "Resource not found")
    words = request.query_params.get("q", "").casefold()
    category, status = (request.query_params.get(name) for name in ("category", "status"))
    if status not in (None, "active", "deprecated"):
        raise PlatformError(400, "status must be active or deprecated")
    found = [
        endpoint
        for endpoint in world.endpoints.values()
        if (not asked or endpoint.id in asked)
        and words in f"{endpoint.id} {endpoint.name}".casefold()
        and category in (None, endpoint.category)
        and status in (None, endpoint.status)
    ]
    page, more = page_of(request, found, 50, MOST_MODELS)
    expanded = ids_of(request, "expand")
    return Exact({"models": [model_json(world, one, expanded) for one in page], **more})


def model_json(world: FalWorld, endpoint: Endpoint, expanded: list[str]) -> dict[str, Any]:
    """One endpoint as it is listed."""
    item: dict[str, Any] = {
        "endpoint_id": endpoint.id,
        "metadata": {
            "display_name": endpoint.name or endpoint.id,
            "category": endpoint.category,
            "description": f"{endpoint.name}, {endpoint.category}",
            "status": endpoint.status,
            "tags": [],
            "updated_at": WHEN,
            "is_favorited": None,
            "thumbnail_url": f"{world.base_url}/cdn/files/thumbnail.jpg",
            "model_url": f"https://fal.run/{endpoint.id}",
            "date": WHEN,
            "highlighted": False,
            "pinned": False,
        },
    }
    if endpoint.id in world.without_metadata:
        del item["metadata"]
    if "openapi-3.0" in expanded:
        failed = {"error": {"code": "expansion_failed", "message": "Failed to expand"}}
        item["openapi"] = failed if endpoint.id in world.undescribed else openapi(endpoint)
    return item


def openapi(endpoint: Endpoint) -> dict[str, Any]:
    """The description of an endpoint in the queue, as fal writes it."""
    name = "".join(part.title() for part in endpoint.id.replace("/", "-").split("-"))
    request = f"/{endpoint.id}/requests/{{request_id}}"
    status = _answer("QueueStatus")
    taken = {"application/json": {"schema": {"$ref": f"{SCHEMA}{name}Input"}}}
    return {
        "openapi": "3.0.4",
        "info": {"title": f"Queue OpenAPI for {endpoint.id}", "version": "1.0.0"},
        "components": {
            "schemas": {
                "QueueStatus": {
                    "type": "object",
                    "properties": {"status": {"type": "string"}, "request_id": {"type": "string"}},
                    "required": ["status", "request_id"],
                },
                "ImageSize": IMAGE_SIZE,
                "File": FILE,
                f"{name}Input": {
                    "type": "object",
                    "properties": {n: _property(f) for n, f in endpoint.fields.items()},
                    "required": [n for n, f in endpoint.fields.items() if f.required],
                },
                f"{name}Output": {"type": "object", "properties": OUTPUTS[endpoint.kind]},
            }
        },
        "paths": {
            f"{request}/status": {"get": {"responses": status}},
            f"{request}/cancel": {"put": {"responses": {"200": {"description": "cancelled"}}}},
            f"/{endpoint.id}": {
                "post": {"requestBody": {"required": True, "content": taken}, "responses": status}
            },
            request: {"get": {"responses": _answer(f"{name}Output")}},
        },
    }


def _answer(schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"{SCHEMA}{schema}"}}}
    return {"200": {"description": "The answer.", "content": content}}


def _property(field: Field) -> dict[str, Any]:
    """An argument as JSON schema."""
    shape: dict[str, Any]
    if field.kind == "size":
        presets = {"enum": list(SIZES), "type": "string"}
        shape = {"anyOf": [{"$ref": f"{SCHEMA}ImageSize"}, presets]}
    elif field.kind == "images":
        shape = {"type": "array", "items": {"type": "string"}}
    else:
        shape = {"type": "string" if field.kind == "image" else field.kind}
        if field.choices:
            shape["enum"] = list(field.choices)
        for bound, value in (("minimum", field.minimum), ("maximum", field.maximum)):
            if value is not None:
                shape[f"{bound[:3]}Length" if shape["type"] == "string" else bound] = value
    if field.default is not None:
        shape["default"] = field.default
    elif not field.required:
        shape = {"anyOf": [*shape.pop("anyOf", [shape]), {"type": "null"}]}
    return shape
