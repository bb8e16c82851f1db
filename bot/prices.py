"""fal's side of the books: what it says that things cost."""

from __future__ import annotations

import logging

from bot.catalog import Catalog, Endpoint
from bot.fal.errors import FalError
from bot.fal.platform import Platform
from bot.money import nanos_from_decimal
from bot.pricing import Price, fallback_price
from db.models import Price as StoredPrice
from db.sql import now

logger = logging.getLogger(__name__)


class PriceBook:
    """The prices of the catalog's endpoints: fal's last word, else the catalog's fallback."""

    def __init__(self, catalog: Catalog, platform: Platform) -> None:
        self._catalog = catalog
        self._platform = platform

    async def of(self, endpoint: Endpoint) -> Price:
        """The price of an endpoint; its `origin` tells whether fal said so."""
        stored = await StoredPrice.get_or_none(endpoint=endpoint.id)
        if stored is None:
            return fallback_price(endpoint)
        return Price(
            endpoint.id, stored.unit, stored.unit_price_nanos, "api", stored.fetched_at.date()
        )

    async def refresh(self) -> int:
        """Ask fal for all prices and keep them; return how many. What fails keeps the old ones."""
        try:
            listed = await self._platform.prices(self._catalog.endpoint_ids)
        except FalError as error:
            logger.warning("the price list cannot be read (%s), keeping what is known", error)
            return 0
        kept = 0
        for price in listed:
            try:
                nanos = nanos_from_decimal(price.unit_price)
            except ValueError:
                logger.warning("the price of %s cannot be kept exactly", price.endpoint)
                continue
            await StoredPrice.update_or_create(
                endpoint=price.endpoint,
                defaults={"unit": price.unit, "unit_price_nanos": nanos, "fetched_at": now()},
            )
            kept += 1
        return kept
