"""The dashboard picture can be read whatever the figures are."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bot import charts
from bot.budget import Figures
from bot.canvas import Sheet
from bot.charts import DaySpending, draw_dashboard
from bot.i18n import LANGUAGES, load_texts
from bot.money import Currency

TODAY = date(2026, 11, 23)
DOLLAR = 10**9
USD, EUR = Currency(), Currency("EUR", Decimal("0.8642"))
YEN, RIAL = Currency("JPY", Decimal("153.2")), Currency("IRR", Decimal(1_300_000))
EN = load_texts("en")
HALF = Figures(10 * DOLLAR, 5 * DOLLAR, DOLLAR // 2, 70 * DOLLAR)
MODELS = {
    "FLUX.1 [dev]": 25_000_000,
    "FLUX.1 [schnell]": 3_000_000,
    "Luma Dream Machine": 500_000_000,
    "Luma Ray 2 Flash": 200_000_000,
}
LONG = {f"fal-ai/a-long-maker-name/a-long-model-name/{i}/image-to-video": DOLLAR for i in range(9)}
FOREIGN = {"模型 ⚡ $x^2$ \\frac": DOLLAR, "line\nbreak\tand <b>": DOLLAR}


def spending(models: Mapping[str, int], length: int = 30) -> list[DaySpending]:
    """Days that end today, each with some of the models."""
    return [
        DaySpending(
            TODAY - timedelta(days=length - 1 - i),
            {
                name: nanos * (i % 4)
                for n, (name, nanos) in enumerate(models.items())
                if (i + n) % 3
            },
        )
        for i in range(length)
    ]


CASES: dict[str, tuple[list[DaySpending], Figures]] = {
    "a month": (spending(MODELS), HALF),
    "a year": (spending(MODELS, 365), HALF),
    "a week": (spending(MODELS, 7), HALF),
    "two days": (spending(MODELS, 2), HALF),
    "one day": ([DaySpending(TODAY, MODELS)], HALF),
    "no days": ([], HALF),
    "nothing spent": (spending({}), Figures(10 * DOLLAR, 0, 0, 0)),
    "no budget": (spending(MODELS), Figures(None, 5 * DOLLAR, 0, 70 * DOLLAR)),
    "nothing at all": (spending({}), Figures(None, 0, 0, 0)),
    "budget of zero": (spending({}), Figures(0, 0, 0, 0)),
    "overspent": (spending(MODELS), Figures(DOLLAR, 2 * DOLLAR, DOLLAR, 2 * DOLLAR)),
    "credited": (spending({"a": -5, "b": 7}), Figures(DOLLAR, -2 * DOLLAR, 0, -2 * DOLLAR)),
    "long names": (spending(LONG), HALF),
    "foreign names": (spending(FOREIGN), HALF),
    "tiny": (spending({"a": 1, "b": 3}), Figures(9, 4, 1, 4)),
    "huge": (
        spending({"a": 10**15, "b": 10**15 - 1}),
        Figures(10**15, 123_456_789, 1, 2**63 - 1),
    ),
    "beyond": (spending({"a": 10**17}), Figures(10**15, 2**62, 10**14, 2**63 - 1)),
}


def assert_readable(sheet: Sheet) -> None:
    """All words stand within the page and apart from each other."""
    page = sheet._axes.bbox
    boxes = [(text.get_text(), text.get_window_extent()) for text in sheet._axes.texts]
    for words, box in boxes:
        assert box.x0 >= 32, words
        assert box.x1 <= page.width - 32, words
        assert 0 <= box.y0 <= box.y1 <= page.height, words
    for (one, first), (other, second) in combinations(boxes, 2):
        apart = (
            first.x1 <= second.x0
            or second.x1 <= first.x0
            or first.y1 <= second.y0 + 6  # accents and descenders may come close
            or second.y1 <= first.y0 + 6
        )
        assert apart, (one, other)


def dashboard(
    days: list[DaySpending],
    figures: Figures,
    language: str,
    currency: Currency,
    *,
    of_team: bool = False,
) -> charts._Dashboard:
    shown = charts._Spending.of(charts._all_days(days), "Others")
    texts = load_texts(language)
    return charts._Dashboard(shown, figures, texts, currency, charts._LIGHT, of_team=of_team)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("currency", [USD, EUR, RIAL], ids=lambda currency: currency.code)
@pytest.mark.parametrize("case", CASES)
def test_nothing_is_cut_and_nothing_covers_anything(
    case: str, currency: Currency, language: str
) -> None:
    assert_readable(dashboard(*CASES[case], language, currency).sheet)


@settings(max_examples=40, deadline=None)
@given(
    budget=st.none() | st.integers(0, 10**15),
    spent=st.integers(-(10**12), 2 * 10**15),
    held=st.integers(0, 10**15),
    nanos=st.lists(st.integers(-(10**9), 10**14), max_size=12),
    language=st.sampled_from(LANGUAGES),
)
def test_any_figures_can_be_read(
    budget: int | None, spent: int, held: int, nanos: list[int], language: str
) -> None:
    days = [DaySpending(TODAY - timedelta(days=3 * i), {"a": n}) for i, n in enumerate(nanos)]
    figures = Figures(budget, spent, held, spent)
    assert_readable(dashboard(days, figures, language, USD).sheet)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_picture_is_a_png_as_wide_as_a_phone_shows_sharply(dark: bool) -> None:
    png = draw_dashboard(*CASES["a month"], EN, USD, dark=dark)
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        assert picture.width == charts.WIDTH
        assert 0.5 < picture.width / picture.height < 2
        ground = picture.convert("L").tobytes()[0]
    assert (ground < 128) == dark


def words(case: str, *, of_team: bool = False) -> list[str]:
    sheet = dashboard(*CASES[case], "en", USD, of_team=of_team).sheet
    return [text.get_text() for text in sheet._axes.texts]


def test_the_figures_are_named_in_the_picture() -> None:
    assert {"$5.00", "of $10.00", "50 %", "Available", "$4.50", "$0.50"} <= set(words("a month"))
    assert {"Last 30 days", "25 Oct", "23 Nov", "Luma Dream Machine"} <= set(words("a month"))
    assert "Held for running jobs" not in words("nothing spent")
    assert "Nothing spent yet" in words("nothing spent")
    assert {"No budget set", "$70.00", "spent in all"} <= set(words("no budget"))
    of_team = set(words("no budget", of_team=True))
    assert {"Everybody together", "$70.00", "spent in all"} <= of_team
    assert "No budget set" not in of_team
    assert {"-$1.00", "-100 %"} <= set(words("overspent"))
    assert {"Last day", "23 Nov"} <= set(words("one day"))


def test_many_models_are_taken_together() -> None:
    assert "Others" in words("long names")
    assert sum(label.startswith("fal-ai/") for label in words("long names")) == 4
    assert "Others" not in words("a month")


def test_names_are_words_and_never_formulas() -> None:
    assert "?? ⚡ $x^2$ \\frac" in words("foreign names")
    assert "line?break?and <b>" in words("foreign names")


def test_a_year_has_a_bar_for_each_week_and_loses_nothing() -> None:
    days = spending({"a": 1}, 365)
    bars = charts._Spending.of(days, "").bars()
    assert len(bars) == 53
    assert sum(sum(bar.parts) for bar in bars) == sum(sum(day.by_model.values()) for day in days)
    assert bars[-1].day == TODAY - timedelta(days=6)


def test_days_that_were_left_out_are_still_shown() -> None:
    days = [DaySpending(TODAY, {"a": 1}), DaySpending(TODAY - timedelta(days=29), {"a": 2})]
    shown = charts._all_days(days)
    assert len(shown) == 30
    assert [shown[0].by_model, shown[1].by_model] == [{"a": 2}, {}]


@given(highest=st.integers(1, 10**17), currency=st.sampled_from([USD, EUR, YEN, RIAL]))
def test_the_axis_reaches_the_highest_bar(highest: int, currency: Currency) -> None:
    ticks = charts._Amounts("en", currency).ticks(highest)
    assert ticks[0] == 0
    assert ticks[-1] >= highest - 1
    assert 2 <= len(ticks) <= 6
    assert sorted(set(ticks)) == ticks


def test_pictures_drawn_side_by_side_are_the_same_as_alone() -> None:
    cases = [CASES[name] for name in ("a month", "no budget", "tiny", "huge")]
    alone = [draw_dashboard(days, figures, EN, USD) for days, figures in cases]
    with ThreadPoolExecutor(4) as threads:
        drawn = [threads.submit(draw_dashboard, *case, EN, USD) for case in cases]
        together = [picture.result() for picture in drawn]
    assert alone == together


@pytest.mark.parametrize("case", ["a month", "a year", "long names"])
def test_a_picture_takes_less_than_300_milliseconds_once_warm(case: str) -> None:
    spent = []
    for _ in range(5):
        start = time.process_time()
        draw_dashboard(*CASES[case], EN, USD)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.3


def test_nothing_is_loaded_before_the_first_picture() -> None:
    check = "import sys, bot.charts; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
