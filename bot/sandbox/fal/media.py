"""The pictures and videos that the sandbox makes: a small landscape for each prompt and seed."""

from __future__ import annotations

import colorsys
import importlib.util
import io
import random
import textwrap
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

Colour = tuple[int, int, int]


def draw_scene(prompt: str, seed: int, size: tuple[int, int], kind: str = "JPEG") -> bytes:
    """A sky, a sun and hills with the prompt written on them; the same again for the same seed."""
    dice = random.Random(f"{prompt}\n{seed}")
    hue = dice.random()
    width, height = size
    sky = Image.new("RGB", (3, 4))
    for x in range(3):
        for y in range(4):
            sky.putpixel((x, y), _colour(hue + y * 0.05 + dice.random() * 0.06, 0.55, 1 - y * 0.06))
    picture = sky.resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    radius = min(size) * (0.08 + dice.random() * 0.07)
    left, top = width * (0.2 + dice.random() * 0.6), height * (0.2 + dice.random() * 0.25)
    draw.ellipse(
        (left - radius, top - radius, left + radius, top + radius), fill=_colour(hue + 0.5, 0.12, 1)
    )
    for layer in range(3):
        top = height * (0.55 + layer * 0.13)
        rough = height * 0.07
        ridge = [(width * step / 8, top + dice.uniform(-rough, rough)) for step in range(9)]
        colour = _colour(hue + 0.08, 0.5, 0.5 - layer * 0.13)
        draw.polygon([(0, height), *ridge, (width, height)], fill=colour)
    _letter(picture, prompt)
    return _encode(picture, kind)


def derive(source: bytes, prompt: str, seed: int, kind: str = "JPEG") -> bytes:
    """The source picture in few colours of one tint, with the prompt on it: clearly made of it."""
    hue = random.Random(f"{prompt}\n{seed}").random()
    with Image.open(io.BytesIO(source)) as opened:
        grey = ImageOps.posterize(ImageOps.exif_transpose(opened).convert("L"), 3)
    picture = ImageOps.colorize(
        grey,
        black=_colour(hue, 0.7, 0.15),
        mid=_colour(hue + 0.1, 0.65, 0.7),
        white=_colour(hue + 0.2, 0.2, 1),
    )
    # At the top: a picture that was made here has its own prompt at the bottom.
    _letter(picture, prompt, top=True)
    return _encode(picture, kind)


def black(size: tuple[int, int], kind: str = "JPEG") -> bytes:
    """What the safety checker leaves of a picture."""
    return _encode(Image.new("RGB", size), kind)


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels; raises OSError if it is no picture."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture.size


@cache
def sample_video() -> bytes:
    """A real H.264 video of two seconds, 360 by 640 pixels.

    Made once with PyAV (libx264, crf 27, 24 frames a second) from frames drawn with Pillow: a
    colour gradient that turns, a sun on an orbit and a hill; `+faststart`.
    """
    return Path(__file__).with_name("sample.mp4").read_bytes()


@cache
def _font(points: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font with accents, which comes with matplotlib; else Pillow's own, which has none."""
    found = importlib.util.find_spec("matplotlib")
    if found is not None and found.origin is not None:
        file = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.exists():
            return ImageFont.truetype(file, points)
    return ImageFont.load_default(points)


def _letter(picture: Image.Image, prompt: str, top: bool = False) -> None:
    """Write the prompt at the bottom (or the top), in white with a shadow."""
    width, height = picture.size
    points = max(10, round(min(width, height) * 0.045))
    font = _font(points)
    columns = max(8, int(width * 1.7 / points))
    lines = textwrap.wrap(prompt, columns, max_lines=3, placeholder=" …") or [""]
    text = "\n".join(lines)
    draw = ImageDraw.Draw(picture)
    place = (width / 2, points * 0.8 if top else height - points * 0.8)
    draw.multiline_text(
        place,
        text,
        font=font,
        anchor="ma" if top else "md",
        align="center",
        fill="white",
        stroke_width=max(1, points // 14),
        stroke_fill=(0, 0, 0),
    )


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, max(0.0, min(1.0, value)))
    return round(red * 255), round(green * 255), round(blue * 255)


def _encode(picture: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **({"quality": 88} if kind == "JPEG" else {"compress_level": 1}))
    return out.getvalue()
