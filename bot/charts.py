"""The dashboard picture: what remains, and what was spent by day and model.

It is shown about 360 points wide on a phone, a third of its size: nothing is written smaller than
34 pixels where the words leave a choice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from bot.budget import Figures
from bot.canvas import Box, Sheet
from bot.i18n import Texts
from bot.money import NANOS_PER_DOLLAR, Currency, format_amount

WIDTH = 1080

_MARGIN, _PADDING = 32, 44
_LEFT, _RIGHT = _MARGIN + _PADDING, WIDTH - _MARGIN - _PADDING
_ROW = 56
_SMALL, _ROW_SIZE, _TITLE, _LARGE, _HUGE = 34, 36, 38, 44, 120
_PLOT_HEIGHT = 400
_MOST_MODELS = 5
_MOST_BARS = 60


@dataclass(frozen=True, slots=True)
class DaySpending:
    """What was spent on one day, in nano-dollars by the name of the model."""

    day: date
    by_model: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Colours:
    ground: str
    card: str
    text: str
    quiet: str
    line: str
    track: str
    held: str
    status: Mapping[str, str]
    models: tuple[str, ...]


# The colours of the models keep apart for colour-blind people too, in this order.
_LIGHT = _Colours(
    ground="#eef1f5",
    card="#ffffff",
    text="#17202b",
    quiet="#5d6b7c",
    line="#e6eaef",
    track="#d5dce4",
    held="#9fb3c8",
    status={"🟢": "#1fa855", "🟡": "#e0a100", "🔴": "#e0383e"},
    models=("#2f6fed", "#f08c00", "#12a594", "#9b51e0", "#e64980"),
)
_DARK = _Colours(
    ground="#0e1621",
    card="#17212b",
    text="#f3f6f9",
    quiet="#93a4b5",
    line="#263442",
    track="#34465a",
    held="#5b7188",
    status={"🟢": "#3ccf74", "🟡": "#f2c037", "🔴": "#ff5d5d"},
    models=("#5b95ff", "#ffae42", "#2ed3bf", "#b884f5", "#ff7eb0"),
)


def draw_dashboard(
    days: Sequence[DaySpending],
    figures: Figures,
    texts: Texts,
    currency: Currency,
    *,
    dark: bool = False,
    of_team: bool = False,
) -> bytes:
    """The picture as PNG, `WIDTH` pixels wide and as high as it needs to be.

    The first and the last of `days` say which time is shown; days without spending may be left out
    between them. Amounts are rounded to a thousandth, or to three digits where they are less than
    one: the exact ones belong into the caption. Safe in a thread of its own, which is where it
    belongs: it takes a tenth of a second, the first time more.
    """
    spending = _Spending.of(_all_days(days), texts.plain("chart.others"))
    dashboard = _Dashboard(
        spending, figures, texts, currency, _DARK if dark else _LIGHT, of_team=of_team
    )
    return dashboard.png()


class _Dashboard:
    """Two cards: the budget above, the spending below."""

    def __init__(
        self,
        spending: _Spending,
        figures: Figures,
        texts: Texts,
        currency: Currency,
        colours: _Colours,
        *,
        of_team: bool = False,
    ) -> None:
        self.spending, self.figures, self.texts, self.colours = spending, figures, texts, colours
        self.of_team = of_team
        self.write = _Amounts(texts.language, currency)
        rows = self._budget_rows()
        upper = 324 + _ROW * len(rows) if rows else 256
        lower = 264 + _PLOT_HEIGHT + _ROW * len(spending.models) if spending.any else 320
        height = upper + lower + 3 * _MARGIN
        self.sheet = Sheet(WIDTH, height, ground=colours.ground, text=colours.text)
        self._card(_MARGIN, upper)
        self._draw_number(_MARGIN)
        if rows:
            self._draw_bar(_MARGIN + 246)
            self._draw_rows(_MARGIN + 346, rows)
        top = upper + 2 * _MARGIN
        self._card(top, lower)
        self._draw_total(top)
        if spending.any:
            self._draw_plot(top + 140, top + 140 + _PLOT_HEIGHT)
            self._draw_rows(top + 264 + _PLOT_HEIGHT, self._model_rows())
        else:
            nothing = texts.plain("chart.nothing_spent")
            self.sheet.text(
                WIDTH / 2, top + 200, nothing, _LARGE, colour=colours.quiet, align="center"
            )

    def png(self) -> bytes:
        return self.sheet.png()

    def _card(self, top: float, height: float) -> None:
        self.sheet.box(Box(_MARGIN, top, WIDTH - 2 * _MARGIN, height, 36), self.colours.card)

    def _budget_rows(self) -> list[tuple[str, int, str]]:
        """What the budget is made of: name, amount and colour; nothing without a budget."""
        figures, colours = self.figures, self.colours
        if figures.available_nanos is None:
            return []
        available, held = self.texts.plain("chart.available"), self.texts.plain("chart.held")
        rows = [(available, figures.available_nanos, colours.status[figures.emoji])]
        if figures.held_nanos:
            rows.append((held, figures.held_nanos, colours.held))
        return [*rows, (self.texts.plain("chart.spent"), figures.spent_nanos, colours.track)]

    def _model_rows(self) -> list[tuple[str, int, str]]:
        colours = self.colours.models
        return [
            (name, sum(by_day), colour)
            for (name, by_day), colour in zip(self.spending.models, colours, strict=False)
        ]

    def _draw_rows(self, y: float, rows: Sequence[tuple[str, int, str]]) -> None:
        """A key: in each line a swatch, a name, and its amount at the right."""
        for name, nanos, colour in rows:
            self.sheet.box(Box(_LEFT, y - 28, 30, 30, 9), colour)
            amount = self.write(nanos)
            used = self.sheet.text(_RIGHT, y, amount, _ROW_SIZE, bold=True, align="right")
            room = _RIGHT - _LEFT - 50 - used - 24
            size = max(_SMALL, self.sheet.fitting(name, _ROW_SIZE, room))
            self.sheet.text(_LEFT + 50, y, name, size, room=room)
            y += _ROW

    def _draw_number(self, top: float) -> None:
        """What remains as one large number, or all that was spent where there is no budget."""
        figures, sheet, quiet = self.figures, self.sheet, self.colours.quiet
        if figures.budget_nanos is None or figures.remaining_nanos is None:
            # The team has no budget of its own; that its members have none is not said.
            title = self.texts.plain("chart.team" if self.of_team else "chart.no_budget")
            beside = self.texts.plain("chart.total")
            corner, number, left = [], self.write(figures.total_spent_nanos), _LEFT
        else:
            title = self.texts.plain("chart.remaining")
            beside = self.texts.plain("chart.of", budget=self.write(figures.budget_nanos))
            number, left = self.write(figures.remaining_nanos), _LEFT + 80
            corner = [f"{figures.percent} %"]
        room = _RIGHT - left
        room_beside = room - sheet.width(beside, _LARGE) - 24
        # Beside the number where it leaves room, else above it in the corner.
        stacked = sheet.width(number, 84, bold=True) > room_beside
        if stacked:
            corner.insert(0, beside)
        size = sheet.fitting(number, _HUGE, room if stacked else room_beside, bold=True)
        used = sheet.text(left, top + 202, number, size, bold=True)
        if not stacked:
            sheet.text(left + used + 24, top + 202, beside, _LARGE, colour=quiet)
        if figures.emoji:  # the typeface has no emoji: a dot of its colour, as high as the digits
            middle = top + 202 - size * 0.365
            dot = Box(_LEFT, middle - 27, 54, 54, radius=27)
            sheet.box(dot, self.colours.status[figures.emoji])
        used = sheet.text(_LEFT, top + 76, title, _TITLE, colour=quiet)
        words = " · ".join(corner)
        size = sheet.fitting(words, _TITLE, _RIGHT - _LEFT - used - 24)
        sheet.text(_RIGHT, top + 76, words, size, colour=quiet, align="right")

    def _draw_bar(self, y: float) -> None:
        """The budget as a bar: available, then held, then spent."""
        figures, colours, width, height = self.figures, self.colours, _RIGHT - _LEFT, 36
        self.sheet.box(Box(_LEFT, y, width, height, height / 2), colours.track)
        budget = figures.budget_nanos
        parts = (
            (figures.remaining_nanos or 0, colours.held),
            (figures.available_nanos or 0, colours.status[figures.emoji]),
        )
        for nanos, colour in parts:
            if budget and nanos > 0:  # what is too little to be seen is a dot
                shown = max(height, width * min(nanos, budget) / budget)
                self.sheet.box(Box(_LEFT, y, shown, height, height / 2), colour)

    def _draw_total(self, top: float) -> None:
        """The title of the spending, and its sum."""
        total = self.write(sum(sum(by_day) for _, by_day in self.spending.models))
        used = self.sheet.text(_RIGHT, top + 76, total, _LARGE, bold=True, align="right")
        if self.spending.days:
            title = self.texts.plain("chart.days", count=len(self.spending.days))
            size = self.sheet.fitting(title, _TITLE, _RIGHT - _LEFT - used - 24)
            self.sheet.text(_LEFT, top + 76, title, size, colour=self.colours.quiet)

    def _draw_plot(self, top: float, bottom: float) -> None:
        """Amounts at the left, days below, and between them a bar for each day."""
        sheet, quiet, bars = self.sheet, self.colours.quiet, self.spending.bars()
        ticks = self.write.ticks(max(sum(bar.parts) for bar in bars))
        labels = [self.write.whole(nanos) for nanos in ticks]
        left = _LEFT + 20 + max(sheet.width(label, _SMALL) for label in labels)
        scale = (bottom - top) / ticks[-1]  # pixels for a nano-dollar
        for nanos, label in zip(ticks, labels, strict=True):
            y = bottom - nanos * scale
            sheet.box(Box(left, y - 1, _RIGHT - left, 2), self.colours.line)
            sheet.text(left - 20, y + 12, label, _SMALL, colour=quiet, align="right")
        slot = (_RIGHT - left) / len(bars)
        width = min(72.0, slot * 0.7)
        boxes: list[list[Box]] = [[] for _ in self.spending.models]
        for index, bar in enumerate(bars):
            x, y = left + slot * (index + 0.5) - width / 2, bottom
            uppermost = max((n for n, nanos in enumerate(bar.parts) if nanos), default=0)
            for n, nanos in enumerate(bar.parts):
                y -= nanos * scale
                radius = 8 if n == uppermost else 0
                boxes[n].append(Box(x, y, width, nanos * scale, radius, flat=True))
        for stacked, colour in zip(boxes, self.colours.models, strict=False):
            sheet.boxes(stacked, colour)
        wide = max(sheet.width(self.texts.day(bar.day), _SMALL) for bar in bars) + 30
        number = max(1, min(3 if len(bars) <= 6 else 4, int((_RIGHT - left) / wide)))
        for index in _spread(len(bars), number):
            day = self.texts.day(bars[index].day)
            half = sheet.width(day, _SMALL) / 2
            x = min(max(left + slot * (index + 0.5), left + half), _RIGHT - half)
            sheet.text(x, bottom + 52, day, _SMALL, colour=quiet, align="center")


@dataclass(frozen=True, slots=True)
class _Amounts:
    """Writes amounts in the language and currency of the reader, short enough for a picture."""

    language: str
    currency: Currency

    def __call__(self, nanos: int) -> str:
        value = self._value(nanos)
        digits = 3 if abs(value) >= 1 else 2 - value.adjusted()
        rounded = value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP) if value else value
        return format_amount(self._nanos(rounded), self.language, self.currency)

    def whole(self, nanos: int) -> str:
        """The amount without the decimals where there are none: `$5`, `5 €`."""
        return re.sub(r"[.,]00(?!\d)", "", self(nanos))

    def ticks(self, highest_nanos: int) -> list[int]:
        """Two to six round amounts, from zero to no less than the highest, in nano-dollars."""
        highest = self._value(highest_nanos)
        rough = highest / 4
        unit = Decimal(1).scaleb(rough.adjusted())
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
        step = max(step, self._value(1))
        count = int((highest / step).to_integral_value(ROUND_CEILING))
        return [self._nanos(step * i) for i in range(count + 1)]

    def _value(self, nanos: int) -> Decimal:
        return Decimal(nanos) * self.currency.rate / NANOS_PER_DOLLAR

    def _nanos(self, value: Decimal) -> int:
        exact = value / self.currency.rate * NANOS_PER_DOLLAR
        return int(exact.to_integral_value(ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class _Bar:
    """One bar: its first day, and nano-dollars by model from below. None is less than zero."""

    day: date
    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Spending:
    """All days of the time, and the models with their nano-dollars a day, the largest first."""

    days: tuple[date, ...]
    models: tuple[tuple[str, tuple[int, ...]], ...]

    @classmethod
    def of(cls, days: Sequence[DaySpending], others: str) -> _Spending:
        """The smallest models are taken together as `others` where there are too many."""
        totals: Counter[str] = Counter()
        for day in days:
            totals.update(day.by_model)
        names = sorted(totals, key=lambda name: (-totals[name], name))
        shown = names if len(names) <= _MOST_MODELS else names[: _MOST_MODELS - 1]
        groups = [(name, [name]) for name in shown]
        if rest := names[len(shown) :]:
            groups.append((others, rest))
        models = tuple(
            (label, tuple(sum(day.by_model.get(name, 0) for name in group) for day in days))
            for label, group in groups
        )
        return cls(tuple(day.day for day in days), models)

    @property
    def any(self) -> bool:
        """Whether there is anything to draw."""
        return any(nanos > 0 for _, by_day in self.models for nanos in by_day)

    def bars(self) -> list[_Bar]:
        """A bar for each day, or for several where there are many; the last one ends today."""
        number = -(-len(self.days) // _MOST_BARS)
        ends = range(len(self.days), 0, -number)
        spans = [slice(max(0, end - number), end) for end in reversed(ends)]
        # A corrected bill can leave a day below zero: that has no height.
        return [
            _Bar(
                self.days[span.start],
                tuple(sum(max(0, nanos) for nanos in by_day[span]) for _, by_day in self.models),
            )
            for span in spans
        ]


def _all_days(days: Sequence[DaySpending]) -> list[DaySpending]:
    """The days in order, those in between without spending too."""
    by_day = {day.day: day for day in days}
    if not by_day:
        return []
    first, last = min(by_day), max(by_day)
    every = (first + timedelta(days=i) for i in range((last - first).days + 1))
    return [by_day.get(day, DaySpending(day, {})) for day in every]


def _spread(length: int, number: int) -> list[int]:
    """Up to `number` places among `length`, the first and the last and evenly between."""
    number = min(length, number)
    return [round(i * (length - 1) / max(1, number - 1)) for i in range(number)]
