"""One call of a method of the Bot API."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request


@dataclass(eq=False)
class Upload:
    """A file that came with a call."""

    name: str
    data: bytes
    mime: str | None = None


@dataclass(eq=False)
class Call:
    """What the bot asked and what it was told.

    `given` is as it came, `params` as declared types, `error` the description of a refusal,
    `fault` the kind of the fault that struck. `answered` tells whether it was processed.
    """

    method: str
    at: datetime
    given: dict[str, Any]
    uploads: dict[str, Upload] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    result: Any = None
    error: str | None = None
    fault: str | None = None

    @property
    def ok(self) -> bool:
        """Whether Telegram did what was asked."""
        return self.result is not None and self.error is None

    @property
    def chat_id(self) -> int | None:
        """The chat it is about, if that is a number."""
        try:
            return int(self.given["chat_id"])
        except (KeyError, TypeError, ValueError):
            return None

    def __repr__(self) -> str:
        return f"<Call {self.method} {self.given} {self.error or 'ok'}>"


async def read_call(request: Request, method: str, at: datetime) -> Call:
    """The call in `request`: JSON, a form, multipart or a query (Bot API, "Making requests").

    Raises ValueError for a body that is none of these.
    """
    given: dict[str, Any] = dict(request.query_params)
    uploads: dict[str, Upload] = {}
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        body = await request.json()
        if not isinstance(body, dict):
            raise ValueError("not an object")
        given |= body
    elif kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
        async with request.form(max_part_size=60 * 1024 * 1024) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    data = await value.read()
                    uploads[name] = Upload(value.filename or name, data, value.content_type)
                else:
                    given[name] = value
    return Call(method, at, given, uploads)
