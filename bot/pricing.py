"""What a request costs: at most before it is sent, exactly once fal has said the units. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Literal

from bot.errors import UnknownUnit
from bot.money import nanos_from_decimal

if TYPE_CHECKING:
    from bot.catalog import Endpoint

_PIXELS_PER_MEGAPIXEL = 10**6
_MAX_NANOS = 2**63 - 1
# fal.ai, API of flux/dev: the presets of `image_size`, width and height in pixels.
IMAGE_SIZES = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
_UNIT = re.compile(r"(?:(?P<size>[1-9]\d{0,5}) )?(?P<name>[a-z]+?)s?")
_SECONDS = re.compile(r"(?P<seconds>[0-9]{1,6}(?:\.[0-9]{1,6})?)s?")


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit of an endpoint costs, from fal's price list or the catalog's fallback."""

    endpoint: str
    unit: str
    unit_price_nanos: int
    origin: Literal["api", "fallback"]
    as_of: date


@dataclass(frozen=True, slots=True)
class Quote:
    """The most that a request will cost, and the price that says so."""

    nanos: int
    price: Price


def fallback_price(endpoint: Endpoint) -> Price:
    """The catalog's price, for as long as the pricing API has not given one."""
    return Price(
        endpoint=endpoint.id,
        unit=endpoint.unit,
        unit_price_nanos=nanos_from_decimal(endpoint.fallback_unit_price),
        origin="fallback",
        as_of=endpoint.as_of,
    )


def quote(
    endpoint: Endpoint,
    arguments: Mapping[str, object],
    price: Price,
    source_size: tuple[int, int] | None = None,
) -> Quote:
    """The most that a request with `arguments` will cost at `price`, rounded up to a nano-dollar.

    `source_size` is width and height in pixels of the picture that an image-to-image request
    starts from: the result has its size. Where the price's unit cannot be counted beforehand the
    endpoint's `max_cost` is the quote; without one raises `UnknownUnit`. Raises `ValueError` past
    64 bits.
    """
    units = _Request(endpoint, arguments, source_size).units(price.unit)
    if units is not None:
        nanos = ceil(units * price.unit_price_nanos)
    elif endpoint.max_cost is not None:
        nanos = nanos_from_decimal(endpoint.max_cost)
    else:
        raise UnknownUnit(model=endpoint.id, unit=price.unit)
    if not 0 <= nanos <= _MAX_NANOS:
        raise ValueError(f"a quote of {nanos} nano-dollars cannot be stored")
    return Quote(nanos, price)


def charge_for_units(units: Decimal, unit_price_nanos: int) -> int:
    """What `units` cost in nano-dollars, half a one rounded up.

    `units` is what fal billed (header `x-fal-billable-units`). Raises `ValueError` for what is no
    number of units (NaN, infinite, negative) or costs more than 64 bits hold.
    """
    # The exponent is looked at before anything is multiplied out: 1e999999 is one short header.
    if not units.is_finite() or units < 0 or units.adjusted() > 18:
        raise ValueError("not a number of units that can be charged")
    if units.adjusted() < -30:
        return 0
    nanos = Fraction(units) * unit_price_nanos
    rounded = (2 * nanos.numerator + nanos.denominator) // (2 * nanos.denominator)
    if not 0 <= rounded <= _MAX_NANOS:
        raise ValueError("a charge that cannot be stored")
    return rounded


@dataclass(frozen=True, slots=True)
class _Request:
    """What is known of a request before it is sent; counts are `None` where it is not enough."""

    endpoint: Endpoint
    arguments: Mapping[str, object]
    source_size: tuple[int, int] | None

    def units(self, unit: str) -> Fraction | None:
        """How many of `unit` the request takes at most."""
        match = _UNIT.fullmatch(" ".join(unit.casefold().split()))
        count = _COUNTS.get((self.endpoint.kind, match["name"])) if match else None
        amount = count(self) if count else None
        factor = self._factor()
        if match is None or amount is None or factor is None:
            return None
        if match["size"]:  # "5 seconds": begun units count
            amount = Fraction(ceil(amount / int(match["size"])))
        return amount * factor

    def requests(self) -> Fraction | None:
        return Fraction(1)

    def images(self) -> Fraction | None:
        # fal.ai, Platform API, Pricing: "per image/video with proportional adjustments for
        # resolution/length". A model that is known to be priced by size is counted by size.
        if self.endpoint.unit.casefold().startswith("megapixel"):
            return self.megapixels()
        number = self._number_of_images()
        return None if number is None else Fraction(number)

    def megapixels(self) -> Fraction | None:
        """Whole megapixels, begun ones counted in each picture (fal.ai, model page of flux/dev)."""
        number, size = self._number_of_images(), self._image_size()
        if number is None or size is None:
            return None
        return Fraction(number * ceil(Fraction(size[0] * size[1], _PIXELS_PER_MEGAPIXEL)))

    def videos(self) -> Fraction | None:
        """One, and one more for each begun length of a video beyond the first."""
        if self.endpoint.duration_seconds is None:
            return None if "duration" in self.arguments else Fraction(1)
        seconds = self.seconds()
        return seconds and Fraction(ceil(seconds / Fraction(self.endpoint.duration_seconds)))

    def seconds(self) -> Fraction | None:
        duration = self.arguments.get("duration", self.endpoint.duration_seconds)
        match = _SECONDS.fullmatch(str(duration))
        return (Fraction(match["seconds"]) or None) if match else None

    def minutes(self) -> Fraction | None:
        seconds = self.seconds()
        return seconds and seconds / 60

    def _number_of_images(self) -> int | None:
        return _whole(self.arguments.get("num_images", 1))

    def _image_size(self) -> tuple[int, int] | None:
        """Width and height of each picture in pixels."""
        size = self.arguments.get("image_size")
        sides: tuple[object, object] | None = None
        if isinstance(size, str):
            sides = IMAGE_SIZES.get(size)
        elif isinstance(size, Mapping):
            sides = (size.get("width"), size.get("height"))
        elif size is None and self.endpoint.takes_image:
            sides = self.source_size
        width, height = (_whole(side) for side in sides or (None, None))
        return None if width is None or height is None else (width, height)

    def _factor(self) -> Fraction | None:
        factor = Fraction(1)
        for argument, factors in self.endpoint.factors.items():
            value = factors.get(str(self.arguments.get(argument)))
            if value is None:
                return None
            factor *= Fraction(value)
        return factor


def _whole(value: object) -> int | None:
    """A whole number over zero, as JSON has it; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


# Seconds of an image model are compute seconds, megapixels of a video model are all its frames:
# neither is known beforehand.
_COUNTS: Mapping[tuple[str, str], Callable[[_Request], Fraction | None]] = {
    ("image", "request"): _Request.requests,
    ("image", "image"): _Request.images,
    ("image", "megapixel"): _Request.megapixels,
    ("video", "request"): _Request.requests,
    ("video", "video"): _Request.videos,
    ("video", "second"): _Request.seconds,
    ("video", "minute"): _Request.minutes,
}
