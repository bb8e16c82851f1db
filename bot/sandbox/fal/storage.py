"""fal's files: uploads and the results' media, under the CDN's URL."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.sandbox.clock import Clock
from bot.sandbox.fal.errors import FalError, model_error

ANIMALS = ("elephant", "kangaroo", "koala", "lion", "monkey", "panda", "penguin", "rabbit", "tiger")


@dataclass(eq=False)
class StoredMedia:
    """One file. `content` makes the bytes when somebody wants them."""

    path: str
    content_type: str
    content: Callable[[], bytes]
    expires_at: datetime | None = None
    uploaded: bool = False
    downloads: int = 0

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Storage:
    """All files, by their path below `/files/`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.files: dict[str, StoredMedia] = {}
        self.tokens: dict[str, datetime] = {}
        self.token_seconds = 3600.0
        self.cdn_url = ""
        self.is_telegram_url: Callable[[str], bool] = lambda url: "api.telegram.org" in url
        self.complaints: list[str] = []

    def new_token(self) -> tuple[str, datetime]:
        """A token for uploads and when it ends."""
        token = secrets.token_urlsafe(24)
        self.tokens[token] = self.clock.now() + timedelta(seconds=self.token_seconds)
        return token, self.tokens[token]

    def accepts(self, authorization: str | None) -> bool:
        """Whether an upload may happen with this Authorization header."""
        kind, _, token = (authorization or "").partition(" ")
        return kind == "Bearer" and self.tokens.get(token, self.clock.now()) > self.clock.now()

    def add(
        self,
        content: bytes | Callable[[], bytes],
        content_type: str,
        name: str,
        lifecycle: str | None = None,
        uploaded: bool = False,
    ) -> StoredMedia:
        """Keep a file; `lifecycle` is the header with its preference (JSON)."""
        path = f"{secrets.choice(ANIMALS)}/{secrets.token_urlsafe(12)}_{name}"
        made = content if callable(content) else _constant(content)
        file = StoredMedia(path, content_type, made, self._end(lifecycle), uploaded)
        self.files[path] = file
        return file

    def url(self, file: StoredMedia) -> str:
        return f"{self.cdn_url}/files/{file.path}"

    def get(self, path: str) -> StoredMedia | None:
        """The file, unless it is gone."""
        file = self.files.get(path)
        if file is not None and file.expires_at and file.expires_at <= self.clock.now():
            return None
        return file

    def _end(self, lifecycle: str | None) -> datetime | None:
        if not lifecycle:
            return None
        try:
            seconds = json.loads(lifecycle).get("expiration_duration_seconds")
            return self.clock.now() + timedelta(seconds=seconds) if seconds else None
        except (ValueError, AttributeError, TypeError):
            self.complaints.append(f"lifecycle preference is not understood: {lifecycle}")
            return None

    def fetch_input(self, url: str, field: str) -> bytes:
        """The bytes behind an `image_url`; raises FalError 422 if fal could not get them."""
        if url.startswith("data:"):
            return _data_uri(url, field)
        prefix = f"{self.cdn_url}/files/"
        file = self.get(url.removeprefix(prefix)) if url.startswith(prefix) else None
        if self.is_telegram_url(url):
            self.complaints.append(f"a Telegram URL was handed to fal as {field}")
        if file is None:
            raise model_error(
                "file_download_error",
                "Failed to download the file. Please check if the URL is accessible.",
                [field],
                url,
            )
        return file.content()


def _constant(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def _data_uri(url: str, field: str) -> bytes:
    head, comma, body = url.partition(",")
    try:
        if not comma or not head.endswith(";base64"):
            raise ValueError("not base64")
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error):
        raise model_error("file_download_error", "Invalid data URI", [field]) from None


def upload_headers(headers: Any) -> tuple[str, str, str | None]:
    """Content type, file name and lifecycle preference of an upload (as fal-client sends them)."""
    kind = headers.get("content-type", "")
    if not kind:
        raise FalError(400, "Content-Type is required")
    name = headers.get("x-fal-file-name") or "upload.bin"
    return kind, name, headers.get("x-fal-object-lifecycle")
