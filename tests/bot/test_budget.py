"""What a budget looks like, on and around every boundary."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budget import Figures, Forecast, bar, forecast, forecast_lines, status_line
from bot.i18n import load_texts
from bot.money import Currency

USD = Currency()
EN, FR = load_texts("en"), load_texts("fr")
DOLLAR = 10**9

budgets = st.integers(1, 10**15)


def figures(budget: int | None, spent: int = 0, held: int = 0) -> Figures:
    return Figures(budget_nanos=budget, spent_nanos=spent, held_nanos=held, total_spent_nanos=spent)


def test_the_status_line_has_the_agreed_form() -> None:
    shown = figures(10 * DOLLAR, spent=2_350_000_000)
    assert status_line(shown, EN, USD) == "🟢 $7.65 of $10.00 left (76 %)"
    assert status_line(shown, FR, USD) == "🟢 7,65 $ sur 10,00 $ restants (76 %)"


def test_without_a_budget_the_status_line_says_what_was_spent() -> None:
    assert status_line(figures(None), EN, USD) == "Spent: $0.00"
    assert status_line(figures(None), FR, USD) == "Dépensé : 0,00 $"
    assert status_line(figures(None, spent=25_000_000), EN, USD) == "Spent: $0.025"


@pytest.mark.parametrize(
    ("budget", "spent", "line"),
    [
        (10 * DOLLAR, 7_600_000_000, "🔴 $2.40 of $10.00 left (24 %)"),
        (10 * DOLLAR, 10 * DOLLAR, "🔴 $0.00 of $10.00 left (0 %)"),
        (10 * DOLLAR, 10_500_000_000, "🔴 -$0.50 of $10.00 left (-5 %)"),
        (0, 0, "🔴 $0.00 of $0.00 left (0 %)"),
        (0, 25_000_000, "🔴 -$0.025 of $0.00 left (0 %)"),
        (10 * DOLLAR, -DOLLAR, "🟢 $11.00 of $10.00 left (110 %)"),
    ],
)
def test_extremes_are_shown_as_they_are(budget: int, spent: int, line: str) -> None:
    assert status_line(figures(budget, spent=spent), EN, USD) == line


def test_the_status_line_speaks_the_display_currency() -> None:
    shown = figures(10 * DOLLAR, spent=5 * DOLLAR)
    euro = Currency("EUR", Decimal("0.92"))
    assert status_line(shown, EN, euro) == "🟡 €4.60 of €9.20 left (50 %)"
    assert status_line(shown, FR, euro) == "🟡 4,60 € sur 9,20 € restants (50 %)"


@given(quarter=st.integers(1, 10**14))
def test_the_colour_changes_exactly_at_half_and_at_a_quarter(quarter: int) -> None:
    budget = 4 * quarter
    assert figures(budget, spent=2 * quarter - 1).emoji == "🟢"
    assert figures(budget, spent=2 * quarter).emoji == "🟡"
    assert figures(budget, spent=3 * quarter).emoji == "🟡"
    assert figures(budget, spent=3 * quarter + 1).emoji == "🔴"


@given(budget=budgets, spent=st.integers(0, 10**15))
def test_the_colour_is_that_of_the_exact_share(budget: int, spent: int) -> None:
    share = Decimal(budget - spent) / budget
    expected = "🟢" if share > Decimal("0.5") else "🟡" if share >= Decimal("0.25") else "🔴"
    assert figures(budget, spent=spent).emoji == expected


def test_a_hair_over_half_is_green_though_fifty_percent_is_shown() -> None:
    shown = figures(10 * DOLLAR, spent=5 * DOLLAR - 1)
    assert (shown.emoji, shown.percent) == ("🟢", 50)


def test_without_a_budget_nothing_is_claimed_to_remain() -> None:
    nothing = figures(None, spent=5, held=7)
    assert nothing.remaining_nanos is None
    assert nothing.available_nanos is None
    assert nothing.percent is None
    assert nothing.emoji == ""
    assert bar(nothing) == ""


def test_holds_are_not_available_but_still_remain() -> None:
    shown = figures(100, spent=30, held=20)
    assert shown.remaining_nanos == 70
    assert shown.available_nanos == 50
    assert shown.percent == 70


@pytest.mark.parametrize(
    ("budget", "spent", "held", "cells"),
    [
        (100, 0, 0, "▓▓▓▓▓▓▓▓▓▓"),
        (100, 30, 0, "▓▓▓▓▓▓▓░░░"),
        (100, 30, 20, "▓▓▓▓▓▒▒░░░"),
        (100, 1, 0, "▓▓▓▓▓▓▓▓▓░"),
        (100, 99, 0, "░░░░░░░░░░"),
        (100, 100, 0, "░░░░░░░░░░"),
        (100, 150, 0, "░░░░░░░░░░"),
        (100, 90, 20, "▒░░░░░░░░░"),
        (100, -50, 0, "▓▓▓▓▓▓▓▓▓▓"),
        (0, 0, 0, "░░░░░░░░░░"),
    ],
)
def test_the_bar_shows_available_held_and_spent(
    budget: int, spent: int, held: int, cells: str
) -> None:
    assert bar(figures(budget, spent=spent, held=held)) == cells


@given(
    budget=st.integers(0, 10**15),
    spent=st.integers(-(10**15), 10**16),
    held=st.integers(0, 10**15),
    width=st.integers(1, 40),
)
def test_the_bar_always_has_its_width(budget: int, spent: int, held: int, width: int) -> None:
    assert len(bar(figures(budget, spent=spent, held=held), width)) == width


def test_the_forecast_counts_what_is_available_at_the_recent_pace() -> None:
    shown = figures(10 * DOLLAR, spent=2 * DOLLAR, held=DOLLAR)
    expected = Forecast(days=7, pictures=280, videos=14)
    assert forecast(shown, 7 * DOLLAR, 25_000_000, DOLLAR // 2) == expected


def test_the_forecast_of_a_newcomer_uses_the_days_observed() -> None:
    shown = figures(10 * DOLLAR)
    assert forecast(shown, 2 * DOLLAR, None, None, days_observed=1).days == 5
    assert forecast(shown, 2 * DOLLAR, None, None, days_observed=0).days == 5
    assert forecast(shown, 2 * DOLLAR, None, None).days == 35


def test_the_forecast_leaves_out_what_is_not_known() -> None:
    nothing = Forecast(days=None, pictures=None, videos=None)
    assert forecast(figures(None), DOLLAR, 1, 1) == nothing
    assert forecast(figures(DOLLAR), 0, None, None) == nothing
    assert forecast(figures(DOLLAR), -5, 0, 0) == nothing
    assert forecast_lines(nothing, EN) == []


def test_an_overspent_budget_is_enough_for_nothing() -> None:
    expected = Forecast(days=None, pictures=0, videos=0)
    assert forecast(figures(DOLLAR, spent=2 * DOLLAR), DOLLAR, 1, 1) == expected


@given(budget=budgets, spent=st.integers(0, 10**15), price=st.integers(1, 10**12))
def test_the_forecast_never_promises_more_than_there_is(
    budget: int, spent: int, price: int
) -> None:
    pictures = forecast(figures(budget, spent=spent), 0, price, None).pictures
    assert pictures is not None
    assert pictures * price <= max(0, budget - spent)


@pytest.mark.parametrize(
    ("known", "english", "french"),
    [
        (
            Forecast(days=1, pictures=None, videos=None),
            ["At the pace of the last 7 days the budget lasts about 1 more day."],
            ["Au rythme des 7 derniers jours, le budget tient encore environ 1 jour."],
        ),
        (
            Forecast(days=None, pictures=1234, videos=1),
            ["Enough for about 1,234 pictures or 1 video."],
            ["De quoi faire environ 1\u202f234 images ou 1 vidéo."],
        ),
        (
            Forecast(days=0, pictures=9, videos=0),
            [
                "At the pace of the last 7 days the budget lasts less than a day.",
                "Enough for about 9 pictures.",
            ],
            [
                "Au rythme des 7 derniers jours, le budget tient moins d’un jour.",
                "De quoi faire environ 9 images.",
            ],
        ),
    ],
)
def test_the_forecast_is_told_in_sentences(
    known: Forecast, english: list[str], french: list[str]
) -> None:
    assert forecast_lines(known, EN) == english
    assert forecast_lines(known, FR) == french
