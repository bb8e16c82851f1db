"""A page to draw on in pixels: boxes and words, as PNG.

matplotlib is imported only when something is drawn; its figures are made without `pyplot`, which
keeps state between pictures and is not safe in threads.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle from its upper left corner; its corners are round as far as it is large enough.

    With `flat` the lower corners are not.
    """

    x: float
    y: float
    width: float
    height: float
    radius: float = 0
    flat: bool = False

    def path(self) -> Path:
        from matplotlib.path import Path

        upper = min(self.radius, self.width / 2, self.height / (1 if self.flat else 2))
        lower = 0.0 if self.flat else upper
        right, bottom = self.x + self.width, self.y + self.height
        corners = (
            (self.x, self.y, upper, (0, -1), (1, 0)),
            (right, self.y, upper, (1, 0), (0, 1)),
            (right, bottom, lower, (0, 1), (-1, 0)),
            (self.x, bottom, lower, (-1, 0), (0, -1)),
        )
        points = []
        for x, y, radius, (in_x, in_y), (out_x, out_y) in corners:
            near = radius * 0.4477  # where the handles of a quarter of a circle are
            points += [(x - radius * in_x, y - radius * in_y), (x - near * in_x, y - near * in_y)]
            points += [
                (x + near * out_x, y + near * out_y),
                (x + radius * out_x, y + radius * out_y),
            ]
        codes = [Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4] * 4
        return Path(points, [Path.MOVETO, *codes[1:]])


class Sheet:
    """A page to draw on, in pixels from the upper left corner."""

    def __init__(self, width: int, height: int, *, ground: str, text: str) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._text = text
        # At 72 dots per inch a point is a pixel, in lengths and in sizes of type.
        figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor=ground)
        self._canvas = FigureCanvasAgg(figure)
        self._axes = figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set(xlim=(0, width), ylim=(height, 0))

    def png(self) -> bytes:
        buffer = io.BytesIO()
        # Telegram packs it anew anyway: a third of the time went into packing it tightly.
        self._canvas.figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 1})
        return buffer.getvalue()

    def box(self, box: Box, colour: str) -> None:
        self.boxes([box], colour)

    def boxes(self, boxes: Sequence[Box], colour: str) -> None:
        """All of one colour at once: a year of bars is no slower than a week."""
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        path = Path.make_compound_path(*(box.path() for box in boxes))
        # Not `add_patch`: it looks at every corner to find out how large a plot would have to be.
        self._axes.add_artist(PathPatch(path, facecolor=colour, linewidth=0))

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float,
        *,
        colour: str | None = None,
        bold: bool = False,
        align: Literal["left", "center", "right"] = "left",
        room: float | None = None,
    ) -> float:
        """Words on the line `y`, cut in the middle where they need more than `room`; their width.

        What the typeface does not have becomes a question mark.
        """
        words = _printable(words, bold)
        width = self.width(words, size, bold=bold)
        if room is not None and width > room:
            # In the middle: names of one maker differ at the end.
            kept = int(len(words) * room / width) + 1
            shown = words
            while width > room and kept > 0:
                kept -= 1
                shown = f"{words[: kept - kept // 2]}…{words[len(words) - kept // 2 :]}"
                width = self.width(shown, size, bold=bold)
            words = shown
        self._axes.text(
            x,
            y,
            words,
            color=colour or self._text,
            fontproperties=_font(size, bold),
            horizontalalignment=align,
            verticalalignment="baseline",
            parse_math=False,  # a dollar sign is a dollar sign
        )
        return width

    def fitting(self, words: str, size: float, room: float, *, bold: bool = False) -> float:
        """The size, at most `size`, at which the words need no more than `room`."""
        while self.width(words, size, bold=bold) > room and size > 1:
            size = min(size - 1, size * room / self.width(words, size, bold=bold))
        return size

    def width(self, words: str, size: float, *, bold: bool = False) -> float:
        """How many pixels wide the words are."""
        from matplotlib.textpath import text_to_path

        words = _printable(words, bold)
        return float(
            text_to_path.get_text_width_height_descent(words, _font(size, bold), ismath=False)[0]
        )


def _printable(words: str, bold: bool) -> str:
    """The words with a question mark for what the typeface does not have."""
    from matplotlib.font_manager import findfont, get_font

    face = get_font(findfont(_font(10, bold)))
    return "".join(character if face.get_char_index(ord(character)) else "?" for character in words)


def _font(size: float, bold: bool) -> FontProperties:
    from matplotlib.font_manager import FontProperties

    # The typeface that comes with matplotlib: the picture is the same on every machine.
    return FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
