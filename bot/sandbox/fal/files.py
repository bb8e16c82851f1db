"""fal's storage over HTTP: tokens and uploads as fal-client makes them, downloads, keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.sandbox.fal.errors import FalError
from bot.sandbox.fal.storage import upload_headers
from bot.sandbox.wire import read_json

if TYPE_CHECKING:
    from bot.sandbox.fal.world import FalWorld


async def token(world: FalWorld, request: Request) -> Response:
    """`POST {rest}/storage/auth/token?storage_type=fal-cdn-v3`."""
    world.account.require_key(request.headers.get("authorization"))
    if request.query_params.get("storage_type") != "fal-cdn-v3":
        raise FalError(400, "Unknown storage type")
    value, ends = world.storage.new_token()
    return JSONResponse(
        {
            "token": value,
            "token_type": "Bearer",
            "base_url": world.storage.cdn_url,
            "expires_at": ends.isoformat(),
        }
    )


async def initiate(world: FalWorld, request: Request) -> Response:
    """`POST {rest}/storage/upload/initiate`: where to put a file, and where it will be."""
    world.account.require_key(request.headers.get("authorization"))
    try:
        body = await read_json(request)
        name, content_type = body["file_name"], body["content_type"]
    except (ValueError, KeyError, TypeError):
        raise FalError(422, "file_name and content_type are required") from None
    lifecycle = request.headers.get("x-fal-object-lifecycle-preference")
    file = world.storage.add(b"", content_type, name, lifecycle, uploaded=True)
    put = f"{world.storage.cdn_url}/files/put/{file.path}"
    return JSONResponse({"upload_url": put, "file_url": world.storage.url(file)})


async def put(world: FalWorld, request: Request) -> Response:
    """The second half of an upload that was initiated."""
    file = world.storage.get(request.path_params["path"])
    if file is None:
        raise FalError(404, "File not found")
    data = await request.body()
    file.content = lambda: data
    return Response(status_code=200)


async def upload(world: FalWorld, request: Request) -> Response:
    """`POST {cdn}/files/upload` with the bytes as the body."""
    if not world.storage.accepts(request.headers.get("authorization")):
        raise FalError(401, "Invalid or expired upload token")
    content_type, name, lifecycle = upload_headers(request.headers)
    file = world.storage.add(await request.body(), content_type, name, lifecycle, uploaded=True)
    return JSONResponse({"access_url": world.storage.url(file)})


async def media(world: FalWorld, request: Request) -> Response:
    """A file; public."""
    file = world.storage.get(request.path_params["path"])
    if file is None:
        raise FalError(404, "File not found")
    file.downloads += 1
    return Response(file.content(), media_type=file.content_type)


async def jwks(world: FalWorld, request: Request) -> Response:
    """The public keys of the callbacks' signatures."""
    return JSONResponse(world.webhooks.jwks())
