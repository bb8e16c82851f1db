"""Files on Telegram's side: what was uploaded or sent, by file_id."""

from __future__ import annotations

import io
import itertools
import secrets
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from bot.sandbox.telegram.errors import Refusal, bad_request

MEGABYTE = 1024 * 1024
DOWNLOAD_BYTES = 20 * MEGABYTE
PHOTO_BYTES = 10 * MEGABYTE
UPLOAD_BYTES = 50 * MEGABYTE
PHOTO_SIDES = 10_000
PHOTO_RATIO = 20
SIZES = (90, 320, 800, 1280)
KINDS = {"photo": "Photo", "video": "Video", "document": "Document", "sticker": "Sticker"}


@dataclass(eq=False)
class StoredFile:
    """One file. `content` makes the bytes when somebody wants them."""

    kind: str
    content: Callable[[], bytes]
    path: str
    size: int | None = None
    width: int = 0
    height: int = 0
    name: str | None = None
    mime: str | None = None
    duration: int = 0
    group: list[StoredFile] = field(default_factory=list)
    file_id: str = field(default_factory=lambda: "AgACAgQAAxk" + secrets.token_urlsafe(36))
    file_unique_id: str = field(default_factory=lambda: "AQAD" + secrets.token_urlsafe(9))

    @property
    def data(self) -> bytes:
        return self.content()

    def json(self) -> dict[str, Any]:
        """The fields that all kinds of files share (Bot API, "PhotoSize", "Document")."""
        body: dict[str, Any] = {"file_id": self.file_id, "file_unique_id": self.file_unique_id}
        if self.kind in ("photo", "video", "sticker"):
            body |= {"width": self.width, "height": self.height}
        if self.kind == "video":
            body["duration"] = self.duration
        if self.kind == "sticker":
            body |= {"type": "regular", "is_animated": False, "is_video": False}
        if self.kind in ("video", "document"):
            body |= {
                key: value
                for key, value in (("file_name", self.name), ("mime_type", self.mime))
                if value
            }
        if self.size is not None:
            body["file_size"] = self.size
        return body

    def in_message(self) -> Any:
        """The value of the message's field named after the kind; a photo is all its sizes."""
        if self.kind == "photo":
            return [size.json() for size in self.group]
        return self.json()


class Files:
    """All files that Telegram knows."""

    def __init__(self) -> None:
        self._by_id: dict[str, StoredFile] = {}
        self._by_path: dict[str, StoredFile] = {}
        self._numbers = itertools.count(1)

    def get(self, file_id: str) -> StoredFile | None:
        return self._by_id.get(file_id)

    def at(self, path: str) -> StoredFile | None:
        return self._by_path.get(path)

    def add(self, kind: str, data: bytes, name: str | None = None, **details: Any) -> StoredFile:
        """Keep a video, a document or a sticker."""
        extension = (name or "").rpartition(".")[2] or {"video": "mp4", "sticker": "webp"}.get(kind)
        return self._keep(
            StoredFile(
                kind,
                lambda: data,
                f"{kind}s/file_{next(self._numbers)}.{extension or 'bin'}",
                size=details.pop("size", len(data)),
                name=name,
                **details,
            )
        )

    def add_photo(self, data: bytes) -> StoredFile:
        """Keep a photo in the sizes that Telegram makes of it; the largest is returned.

        Raises Refusal for what Telegram does not take as a photo.
        """
        width, height = photo_size(data)
        sizes: list[StoredFile] = []
        for side in SIZES:
            scale = min(1.0, side / max(width, height))
            made = (max(1, round(width * scale)), max(1, round(height * scale)))
            sizes.append(self._photo(data, made))
            if scale == 1.0:
                break
        for one in sizes:
            one.group = sizes
        return sizes[-1]

    def _photo(self, data: bytes, size: tuple[int, int]) -> StoredFile:
        rendered: list[bytes] = []

        def content() -> bytes:
            if not rendered:
                rendered.append(as_jpeg(data, size))
            return rendered[0]

        path = f"photos/file_{next(self._numbers)}.jpg"
        return self._keep(StoredFile("photo", content, path, width=size[0], height=size[1]))

    def _keep(self, file: StoredFile) -> StoredFile:
        self._by_id[file.file_id] = file
        self._by_path[file.path] = file
        return file

    def store(self, kind: str, data: bytes, name: str | None, **details: Any) -> StoredFile:
        """Keep what a bot uploads as `kind`; raises Refusal for what breaks a limit."""
        if not data:
            raise bad_request("file must be non-empty")
        if len(data) > UPLOAD_BYTES:
            raise Refusal(413, "Request Entity Too Large")
        if kind == "photo":
            if len(data) > PHOTO_BYTES:
                raise bad_request(
                    f"file of size {len(data)} bytes is too big for a photo; "
                    f"the maximum size is {PHOTO_BYTES} bytes"
                )
            return self.add_photo(data)
        if kind == "video" and data[4:8] != b"ftyp":
            # Telegram shows only MPEG4 as a video; anything else becomes a document.
            return self.add("document", data, name)
        if kind == "video":
            details.setdefault("mime", "video/mp4")
        return self.add(kind, data, name, **details)

    def reuse(self, kind: str, file_id: str) -> StoredFile | None:
        """The file to send again as `kind`; None if the id is unknown. Raises Refusal."""
        file = self.get(file_id)
        if file is not None and file.kind != kind:
            raise bad_request(f"can't use file of type {KINDS[file.kind]} as {KINDS[kind]}")
        return file


def photo_size(data: bytes) -> tuple[int, int]:
    """Width and height of a picture in pixels; raises Refusal if it cannot be a photo."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as picture:
            warnings.simplefilter("ignore")
            width, height = picture.size
            picture.draft("RGB", (width // 8, height // 8))
            if width + height <= PHOTO_SIDES:
                picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise bad_request("IMAGE_PROCESS_FAILED") from None
    if width + height > PHOTO_SIDES or max(width, height) > PHOTO_RATIO * min(width, height):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    return width, height


def as_jpeg(data: bytes, size: tuple[int, int]) -> bytes:
    """The picture as a JPEG of `size` pixels; itself, if it is one already."""
    with Image.open(io.BytesIO(data)) as picture:
        if picture.format == "JPEG" and picture.size == size:
            return data
        picture.draft("RGB", size)
        out = io.BytesIO()
        picture.convert("RGB").resize(size).save(out, "JPEG", quality=87)
        return out.getvalue()
