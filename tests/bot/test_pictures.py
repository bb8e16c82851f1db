"""What a person's picture is, read from its bytes."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from bot.errors import BadRequest
from bot.pictures import look_at
from bot.sandbox.telegram.people import plain_photo


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"), ("GIF", "image/gif")],
)
def test_type_and_size_of_a_picture_are_read_from_its_bytes(kind: str, content_type: str) -> None:
    assert look_at(plain_photo(kind, (640, 480))) == (content_type, 640, 480)


def _bitmap() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "BMP")
    return out.getvalue()


def _png(width: int, height: int) -> bytes:
    """A PNG that claims to be of that size, in a hundred bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("data", [b"", b"<svg/>", plain_photo()[:20], _bitmap()], ids=len)
def test_what_fal_does_not_read_is_no_picture(data: bytes) -> None:
    with pytest.raises(BadRequest):
        look_at(data)


def test_a_small_file_that_claims_to_be_huge_is_no_picture() -> None:
    assert look_at(_png(10_000, 10_000)) == ("image/png", 10_000, 10_000)
    with pytest.raises(BadRequest):
        look_at(_png(100_000, 100_000))
