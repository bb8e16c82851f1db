"""A quote is the most that a request can cost; a charge is what was billed, to the nano-dollar."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.catalog import Endpoint, load_catalog
from bot.errors import UnknownUnit
from bot.pricing import Price, Quote, charge_for_units, fallback_price, quote

CATALOG = load_catalog()
FLUX = CATALOG.endpoint("fal-ai/flux/dev")
FLUX_FROM_IMAGE = CATALOG.endpoint("fal-ai/flux/dev/image-to-image")
LUMA = CATALOG.endpoint("fal-ai/luma-dream-machine")
RAY = CATALOG.endpoint("fal-ai/luma-dream-machine/ray-2-flash")
FLAT_IMAGE = replace(FLUX, unit="images")
MAX_64 = 2**63 - 1

sides = st.integers(1, 16_384)


def price(unit: str, nanos: int = 25_000_000) -> Price:
    return Price("fal-ai/x", unit, nanos, origin="api", as_of=date(2026, 11, 23))


def quoted(endpoint: Endpoint, unit: str, nanos: int = 100, **changes: Any) -> int:
    return quote(endpoint, {**endpoint.arguments, **changes}, price(unit, nanos)).nanos


@pytest.mark.parametrize(
    ("endpoint_id", "nanos"),
    [
        ("fal-ai/flux/dev", 25_000_000),
        ("fal-ai/flux/schnell", 3_000_000),
        ("fal-ai/luma-dream-machine", 500_000_000),
        ("fal-ai/luma-dream-machine/image-to-video", 500_000_000),
        ("fal-ai/luma-dream-machine/ray-2-flash", 200_000_000),
        ("fal-ai/luma-dream-machine/ray-2-flash/image-to-video", 200_000_000),
    ],
)
def test_the_catalog_is_quoted_at_its_fallback_prices(endpoint_id: str, nanos: int) -> None:
    endpoint = CATALOG.endpoint(endpoint_id)
    found = quote(endpoint, endpoint.arguments, fallback_price(endpoint))
    assert found == Quote(nanos, fallback_price(endpoint))
    assert found.price.origin == "fallback"
    assert found.price.as_of == endpoint.as_of


@pytest.mark.parametrize(
    ("size", "megapixels"),
    [
        ("square_hd", 2),
        ("square", 1),
        ("portrait_4_3", 1),
        ("portrait_16_9", 1),
        ("landscape_4_3", 1),
        ("landscape_16_9", 1),
        ({"width": 1000, "height": 1000}, 1),
        ({"width": 1001, "height": 1000}, 2),
        ({"width": 1, "height": 1}, 1),
        ({"width": 2000, "height": 1500}, 3),
    ],
)
def test_begun_megapixels_count_in_each_picture(size: object, megapixels: int) -> None:
    assert quoted(FLUX, "megapixels", image_size=size) == 100 * megapixels
    assert quoted(FLUX, "megapixels", image_size=size, num_images=3) == 300 * megapixels


@given(width=sides, height=sides, number=st.integers(1, 4), nanos=st.integers(0, 10**12))
@example(width=1000, height=1000, number=1, nanos=1)
def test_a_quote_covers_the_charge_for_any_size(
    width: int, height: int, number: int, nanos: int
) -> None:
    listed = price("megapixels", nanos)
    arguments = {"image_size": {"width": width, "height": height}, "num_images": number}
    found = quote(FLUX, arguments, listed)
    billed = [
        Decimal(number * ceil(width * height / 10**6)),
        Decimal(number * width * height).scaleb(-6),
    ]
    assert all(found.nanos >= charge_for_units(units, nanos) for units in billed)
    from_image = quote(FLUX_FROM_IMAGE, {"num_images": number}, listed, (width, height))
    assert from_image.nanos == found.nanos


def test_a_picture_made_from_a_picture_has_its_size() -> None:
    listed = price("megapixels", 100)
    arguments = FLUX_FROM_IMAGE.arguments
    assert quote(FLUX_FROM_IMAGE, arguments, listed, (1280, 960)).nanos == 200
    assert quote(FLUX_FROM_IMAGE, arguments, listed, (1000, 1000)).nanos == 100
    with pytest.raises(UnknownUnit):
        quote(FLUX_FROM_IMAGE, arguments, listed)
    with pytest.raises(UnknownUnit):
        quote(FLUX_FROM_IMAGE, arguments, listed, (0, 1000))


def test_the_size_of_a_picture_does_not_matter_without_one() -> None:
    with pytest.raises(UnknownUnit):
        quote(FLUX, {"num_images": 1}, price("megapixels"), (100, 100))


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": "auto"},
        {"image_size": {"width": 1000}},
        {"image_size": {"width": 1000, "height": True}},
        {"image_size": {"width": 1000, "height": "1000"}},
        {"image_size": {"width": 1000.5, "height": 1000}},
        {"image_size": [1000, 1000]},
        {"num_images": 0},
        {"num_images": -1},
        {"num_images": "2"},
        {"num_images": None},
        {"num_images": True},
    ],
)
def test_what_cannot_be_counted_is_not_guessed(changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownUnit):
        quoted(FLUX, "megapixels", **changes)


def test_pictures_are_counted() -> None:
    assert quoted(FLAT_IMAGE, "images") == 100
    assert quoted(FLAT_IMAGE, "images", num_images=4, image_size="square_hd") == 400
    assert quote(FLAT_IMAGE, {}, price("image", 100)).nanos == 100
    with pytest.raises(UnknownUnit):
        quoted(FLAT_IMAGE, "images", num_images=0)


def test_a_model_priced_by_size_is_counted_by_size_when_listed_per_image() -> None:
    assert quoted(FLUX, "images") == 100
    assert quoted(FLUX, "images", num_images=2, image_size="square_hd") == 400


@pytest.mark.parametrize(
    ("endpoint", "unit", "nanos"),
    [
        (FLUX, "Megapixel", 100),
        (FLUX, " MEGAPIXELS ", 100),
        (FLUX, "requests", 100),
        (FLUX, "request", 100),
        (LUMA, "request", 100),
        (LUMA, "videos", 100),
        (LUMA, "video", 100),
        (LUMA, "seconds", 500),
        (LUMA, "second", 500),
        (LUMA, "5  seconds", 100),
        (LUMA, "2 seconds", 300),
        (LUMA, "10 seconds", 100),
        (LUMA, "minutes", 9),  # 100 x 5 / 60, rounded up
        (RAY, "videos", 100),
        (RAY, "5 seconds", 100),
        (RAY, "seconds", 500),
        (RAY, "minute", 9),
    ],
)
def test_the_unit_of_the_price_list_counts(endpoint: Endpoint, unit: str, nanos: int) -> None:
    assert quoted(endpoint, unit) == nanos


@pytest.mark.parametrize(
    ("endpoint", "unit"),
    [
        (FLUX, "compute seconds"),
        (FLUX, "units"),
        (FLUX, "1000 characters"),
        (FLUX, "seconds"),  # of an image model: compute seconds
        (FLUX, "videos"),
        (FLUX, ""),
        (FLUX, "0 images"),
        (LUMA, "megapixels"),  # of a video: all its frames
        (LUMA, "images"),
        (LUMA, "credits"),
    ],
)
def test_an_unknown_unit_is_refused_unless_there_is_a_maximum(
    endpoint: Endpoint, unit: str
) -> None:
    with pytest.raises(UnknownUnit) as refused:
        quoted(endpoint, unit)
    assert refused.value.params == {"model": endpoint.id, "unit": unit}
    capped = replace(endpoint, max_cost=Decimal("0.75"))
    found = quote(capped, capped.arguments, price(unit))
    assert found.nanos == 750_000_000


def test_a_maximum_is_not_used_where_the_units_are_known() -> None:
    capped = replace(FLUX, max_cost=Decimal("0.75"))
    assert quoted(capped, "megapixels") == 100


@pytest.mark.parametrize(
    ("changes", "videos", "seconds"),
    [
        ({"duration": "5s"}, 1, 5),
        ({"duration": "9s"}, 2, 9),
        ({"duration": 9}, 2, 9),
        ({"duration": "10"}, 2, 10),
        ({"duration": 5.0}, 1, 5),
        ({"resolution": "720p"}, 2, 10),
        ({"resolution": "1080p", "duration": "9s"}, 8, 36),
    ],
)
def test_longer_and_sharper_videos_cost_more(
    changes: dict[str, Any], videos: int, seconds: int
) -> None:
    assert quoted(RAY, "videos", **changes) == 100 * videos
    assert quoted(RAY, "5 seconds", **changes) == 100 * videos
    assert quoted(RAY, "seconds", **changes) == 100 * seconds


@pytest.mark.parametrize(
    "changes",
    [
        {"duration": "auto"},
        {"duration": None},
        {"duration": "0s"},
        {"duration": -5},
        {"duration": True},
        {"duration": "1e9"},
        {"resolution": "4k"},
        {"resolution": None},
    ],
)
@pytest.mark.parametrize("unit", ["videos", "seconds", "minutes", "5 seconds"])
def test_a_video_of_unknown_length_or_size_is_refused(changes: dict[str, Any], unit: str) -> None:
    with pytest.raises(UnknownUnit):
        quoted(RAY, unit, **changes)


def test_a_video_model_without_a_known_length_is_one_video_unless_it_is_asked_for_more() -> None:
    endpoint = replace(LUMA, duration_seconds=None)
    assert quoted(endpoint, "videos") == 100
    with pytest.raises(UnknownUnit):
        quoted(endpoint, "videos", duration="9s")
    with pytest.raises(UnknownUnit):
        quoted(endpoint, "seconds")


@given(seconds=st.integers(1, 600), nanos=st.integers(0, 10**12))
def test_minutes_are_an_exact_share_rounded_up(seconds: int, nanos: int) -> None:
    found = quote(LUMA, {"duration": f"{seconds}s"}, price("minutes", nanos))
    exact = Fraction(seconds, 60) * nanos
    assert exact <= found.nanos < exact + 1


def test_a_quote_that_64_bits_cannot_hold_is_refused() -> None:
    assert quoted(FLUX, "megapixels", MAX_64) == MAX_64
    with pytest.raises(ValueError, match="cannot be stored"):
        quoted(FLUX, "megapixels", MAX_64, num_images=2)
    with pytest.raises(ValueError, match="cannot be stored"):
        quoted(FLUX, "megapixels", -1)


@pytest.mark.parametrize(
    ("units", "nanos", "charge"),
    [
        ("1", 25_000_000, 25_000_000),
        ("0", 25_000_000, 0),
        ("0.5", 1, 1),
        ("0.4999999999999999999999999", 1, 0),
        ("1.5", 1, 2),
        ("2.5", 1, 3),  # half up, not to even
        ("2.4999999999", 1, 2),
        ("0.786432", 25_000_000, 19_660_800),
        ("1", MAX_64, MAX_64),
        ("1e-19", MAX_64, 1),
        ("1e-20", MAX_64, 0),
        ("1e-999999", MAX_64, 0),
        ("1e18", 9, 9 * 10**18),
    ],
)
def test_a_charge_is_rounded_at_half_a_nano_dollar(units: str, nanos: int, charge: int) -> None:
    assert charge_for_units(Decimal(units), nanos) == charge


@pytest.mark.parametrize(
    "units", ["NaN", "sNaN", "Infinity", "-Infinity", "-1", "1e19", "1e999999"]
)
def test_what_is_no_number_of_units_is_not_charged(units: str) -> None:
    with pytest.raises(ValueError, match="charged"):
        charge_for_units(Decimal(units), 1)


@pytest.mark.parametrize("units", ["1.000000000000000001", "2"])
def test_a_charge_that_64_bits_cannot_hold_is_refused(units: str) -> None:
    with pytest.raises(ValueError, match="stored"):
        charge_for_units(Decimal(units), MAX_64)


@given(
    units=st.decimals("0", "1000", places=9, allow_nan=False),
    nanos=st.integers(0, 10**12),
)
def test_a_charge_is_never_further_than_half_a_nano_dollar_off(units: Decimal, nanos: int) -> None:
    exact = Fraction(units) * nanos
    charge = charge_for_units(units, nanos)
    assert -Fraction(1, 2) < charge - exact <= Fraction(1, 2)
