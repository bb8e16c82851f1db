"""What a budget looks like: remaining, percent, emoji, bar, status line and forecast. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bot.i18n import Texts
from bot.money import Currency, format_amount


@dataclass(frozen=True, slots=True)
class Figures:
    """A person's figures as the ledger has them, all in nano-dollars.

    `spent_nanos` counts since the budget was set, `total_spent_nanos` since the beginning. Without
    a budget (`None`) nothing is enforced, and what remains is not known.
    """

    budget_nanos: int | None
    spent_nanos: int
    held_nanos: int
    total_spent_nanos: int

    @property
    def remaining_nanos(self) -> int | None:
        """Budget less spent; below zero where fal billed more than the quote."""
        return None if self.budget_nanos is None else self.budget_nanos - self.spent_nanos

    @property
    def available_nanos(self) -> int | None:
        """Remaining less holds: what a new job may cost at most."""
        remaining = self.remaining_nanos
        return None if remaining is None else remaining - self.held_nanos

    @property
    def percent(self) -> int | None:
        """What remains of the budget in whole percent, rounded down; 0 of a budget of zero."""
        remaining = self.remaining_nanos
        if remaining is None or self.budget_nanos is None:
            return None
        return remaining * 100 // self.budget_nanos if self.budget_nanos else 0

    @property
    def emoji(self) -> str:
        """🟢 over 50 % of the budget remains, 🟡 25 % to 50 %, 🔴 less, or a budget of zero.

        Decided on the exact amounts: 50.001 % is green though its `percent` is 50.
        Empty without a budget.
        """
        remaining = self.remaining_nanos
        if remaining is None or self.budget_nanos is None:
            return ""
        if self.budget_nanos == 0 or remaining * 4 < self.budget_nanos:
            return "🔴"
        return "🟢" if remaining * 2 > self.budget_nanos else "🟡"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is left, in days at the recent pace, pictures and videos; `None` where not known."""

    days: int | None
    pictures: int | None
    videos: int | None


def bar(figures: Figures, width: int = 10) -> str:
    """What remains as a bar of `width` cells, held cells marked: `▓▓▓▓▒░░░░░`; empty, no budget.

    Cells are rounded down, so that a full bar means that nothing was spent.
    """
    available, remaining = figures.available_nanos, figures.remaining_nanos
    if available is None or remaining is None:
        return ""
    free = _cells(available, figures.budget_nanos, width)
    left = max(free, _cells(remaining, figures.budget_nanos, width))
    return "▓" * free + "▒" * (left - free) + "░" * (width - left)


def status_line(figures: Figures, texts: Texts, currency: Currency) -> str:
    """`🟢 $7.65 of $10.00 left (76 %)`, or `Spent: $0.00` without a budget. Free of markup."""
    if figures.budget_nanos is None or figures.remaining_nanos is None:
        spent = format_amount(figures.spent_nanos, texts.language, currency)
        return texts.plain("status.spent", spent=spent)
    return texts.plain(
        "status.left",
        emoji=figures.emoji,
        remaining=format_amount(figures.remaining_nanos, texts.language, currency),
        budget=format_amount(figures.budget_nanos, texts.language, currency),
        percent=str(figures.percent),
    )


def forecast(
    figures: Figures,
    spent_last_7_days_nanos: int,
    picture_quote_nanos: int | None,
    video_quote_nanos: int | None,
    days_observed: int = 7,
) -> Forecast:
    """How long what is available lasts, everything rounded down.

    `spent_last_7_days_nanos` was spent within `days_observed` days: fewer than 7 for a newcomer.
    Days are not known without spending, nor worth a word once nothing is left; counts not without
    a quote over zero, and nothing is without a budget.
    """
    available = figures.available_nanos
    if available is None:
        return Forecast(days=None, pictures=None, videos=None)
    left = max(0, available)
    days = None
    if left and spent_last_7_days_nanos > 0:
        days = left * max(1, days_observed) // spent_last_7_days_nanos
    return Forecast(
        days=days,
        pictures=left // picture_quote_nanos if picture_quote_nanos else None,
        videos=left // video_quote_nanos if video_quote_nanos else None,
    )


def forecast_lines(forecast: Forecast, texts: Texts) -> list[str]:
    """The forecast in sentences, free of markup; none for what is not known or not possible."""
    lines = []
    if forecast.days == 0:
        lines.append(texts.plain("forecast.today"))
    elif forecast.days is not None:
        lines.append(texts.plain("forecast.days", count=forecast.days))
    counts = []
    if forecast.pictures:
        counts.append(texts.plain("forecast.pictures", count=forecast.pictures))
    if forecast.videos:
        counts.append(texts.plain("forecast.videos", count=forecast.videos))
    if counts:
        both = texts.plain("forecast.or", first=counts[0], second=counts[-1])
        lines.append(texts.plain("forecast.enough", what=both if len(counts) > 1 else counts[0]))
    return lines


def _cells(part_nanos: int, budget_nanos: int | None, width: int) -> int:
    return min(width, max(0, part_nanos) * width // budget_nanos) if budget_nanos else 0
