"""fal's side of the books: what it says that things cost."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation

from bot.catalog import Catalog, Endpoint
from bot.errors import BadRequest, UnknownUnit
from bot.fal.errors import FalError, Refused
from bot.fal.platform import IDS_PER_CALL, ONE_NANO, ListedPrice, Platform
from bot.money import MAX_BUDGET_NANOS, nanos_from_decimal
from bot.pricing import Price, fallback_price, quote
from db.models import Price as StoredPrice
from db.sql import now
from db.turns import take_turn

logger = logging.getLogger(__name__)

# One request a minute, of all processes and across restarts: turns may come a tenth early.
TURN, ASKED_EVERY = "price list", timedelta(seconds=70)
KNOWN_FOR = timedelta(days=1)
LONGEST_UNIT = 64
# fal is asked once a day; what another process was told may be used a minute late.
READ_EVERY_SECONDS = 60.0
# Two steps of a number of 53 bits (IEEE 754), which is what JSON's numbers come from.
NOISE = Decimal("4.5e-16")
# Width and height in pixels that a picture is taken to have as long as there is none.
COMMON_SIZE = (800, 600)


class PriceBook:
    """The prices of the catalog's endpoints: fal's last word, else the catalog's fallback."""

    def __init__(self, catalog: Catalog, platform: Platform) -> None:
        self._catalog = catalog
        self._platform = platform
        self._to_ask: list[Sequence[str]] = []
        self._told: dict[str, Price] = {}
        self._usual: dict[Price, int | None] = {}
        self._read_at = -READ_EVERY_SECONDS

    async def of(self, endpoint: Endpoint) -> Price:
        """The price of an endpoint; its `origin` tells whether fal said so."""
        moment = time.monotonic()
        if moment - self._read_at >= READ_EVERY_SECONDS:
            self._told = {price.endpoint: _as_told(price) for price in await StoredPrice.all()}
            self._read_at = moment
            self._usual.clear()
        return self._told.get(endpoint.id) or fallback_price(endpoint)

    async def usual_quote(self, endpoint: Endpoint) -> int | None:
        """What a request comes to that is not known yet, in nano-dollars; None: not to be known.

        Computed once for each price.
        """
        price = await self.of(endpoint)
        if price not in self._usual:
            try:
                quoted = quote(endpoint, endpoint.arguments, price, COMMON_SIZE).nanos
            except UnknownUnit:
                quoted = None
            self._usual[price] = quoted
        return self._usual[price]

    async def learn(self, endpoint_id: str) -> Price | None:
        """Ask fal for the price of one endpoint and keep it; None if fal has none that can be kept.

        Between two turns it is the one that is known for today. Raises `BadRequest` if there is
        none, or `FalError`.
        """
        if not await take_turn(TURN, ASKED_EVERY):
            known = await StoredPrice.get_or_none(
                endpoint=endpoint_id, fetched_at__gt=now() - KNOWN_FOR
            )
            if known is None:
                raise BadRequest("price_later")
            return _as_told(known)
        try:
            listed = await self._platform.prices([endpoint_id])
        except Refused as error:
            if error.status == 404:
                return None
            raise
        for price in listed:
            if price.endpoint == endpoint_id and (told := await self._keep(price)) is not None:
                return told
        return None

    def look_again(self) -> None:
        """Read the prices anew at the next question: there are more of them now."""
        self._read_at = -READ_EVERY_SECONDS

    async def refresh(self) -> int:
        """Ask fal for prices and keep them; what fails keeps the old ones.

        One request at most. Return how many prices are known for today; 0 as long as there is
        more to ask, in a few minutes.
        """
        ids = self._catalog.endpoint_ids
        if not await take_turn(TURN, ASKED_EVERY):
            # Whoever had the turn may have asked for one price only.
            known = await self._known()
            return known if known == len(ids) else 0
        self._to_ask = self._to_ask or [
            ids[start : start + IDS_PER_CALL] for start in range(0, len(ids), IDS_PER_CALL)
        ]
        asked = self._to_ask.pop(0)
        try:
            for price in await self._platform.prices(asked):
                await self._keep(price)
        except FalError as error:
            logger.warning("the price list cannot be read (%s), keeping what is known", error)
            self._to_ask[:0] = _after(error, asked)
        return 0 if self._to_ask else await self._known()

    async def _keep(self, price: ListedPrice) -> Price | None:
        try:
            nanos = nanos_from_decimal(_without_noise(price.unit_price))
        except (ValueError, InvalidOperation):
            nanos = 0
        is_unit = 0 < len(price.unit) <= LONGEST_UNIT and price.unit.isprintable()
        # Not finer than a nano-dollar, nor dearer than the largest budget.
        if not is_unit or not 0 < nanos <= MAX_BUDGET_NANOS:
            logger.warning("the price of %s cannot be kept exactly", price.endpoint)
            return None
        stored, _ = await StoredPrice.update_or_create(
            endpoint=price.endpoint,
            defaults={"unit": price.unit, "unit_price_nanos": nanos, "fetched_at": now()},
        )
        told = self._told[price.endpoint] = _as_told(stored)
        return told

    async def _known(self) -> int:
        return await StoredPrice.filter(
            endpoint__in=list(self._catalog.endpoint_ids), fetched_at__gt=now() - KNOWN_FOR
        ).count()


def _as_told(stored: StoredPrice) -> Price:
    """A price that fal said."""
    day = stored.fetched_at.date()
    return Price(stored.endpoint, stored.unit, stored.unit_price_nanos, "api", day)


def _without_noise(amount: Decimal) -> Decimal:
    """The amount without what binary fractions add where it was computed (0.025 less a tenth).

    They say 0.022500000000000003: no more than such a part of it is taken away. Raises
    `InvalidOperation` for an amount beyond all measure.
    """
    rounded = amount.quantize(ONE_NANO)
    return rounded if abs(rounded - amount) <= amount * NOISE else amount


def _after(error: FalError, asked: Sequence[str]) -> list[Sequence[str]]:
    """What to ask after a failure: the same again, or its halves if fal does not know one of it.

    One endpoint that fal has taken away must not keep the prices of all others from us.
    """
    if not (isinstance(error, Refused) and error.status == 404):
        return [asked]
    half = len(asked) // 2
    return [asked[:half], asked[half:]] if half else []
