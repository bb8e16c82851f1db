"""What a person's picture is: its type and its size, read from its head alone."""

from __future__ import annotations

import io
import warnings
from typing import NamedTuple

from bot.errors import BadRequest

# What fal's models read (fal documentation, "Working with files").
CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}


class Picture(NamedTuple):
    """A picture's media type, and its width and height in pixels."""

    content_type: str
    width: int
    height: int


def look_at(data: bytes) -> Picture:
    """What the picture in `data` is. Raises `BadRequest` if it is none that fal reads."""
    # Only who gets a picture needs the library: it takes memory and a part of every start.
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Only the head is read here; what claims to be larger than twice this is refused.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                return Picture(CONTENT_TYPES[image.format or ""], *image.size)
    except (OSError, ValueError, KeyError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadRequest("bad_picture") from error
