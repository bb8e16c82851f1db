"""Models that administrators put on offer beside the catalog, the same on all processes."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from tortoise.exceptions import IntegrityError

from bot.catalog import Catalog, Endpoint, Model
from bot.errors import BadRequest
from bot.fal.platform import Platform
from bot.i18n import shortened
from bot.prices import PriceBook
from bot.schema import endpoint_of, read_endpoint, vars_of
from db.actions import record
from db.models import AddedModel, Person
from db.sql import in_transaction, now
from db.steps import within
from db.together import Together

logger = logging.getLogger(__name__)

# As many as still fit into one message of `/models`, with names of this length.
MOST_ADDED = 16
LONGEST_NAME = 40
LONGEST_KEY = 32
LONGEST_ENDPOINT = 192

_ENDPOINT = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)+", re.ASCII)
# What people copy: the page of a model, its playground, its API.
_PAGE = re.compile(r"^(?:https?://)?(?:www\.)?fal\.(?:ai|run)/(?:models/)?")
_PAGE_END = re.compile(r"(?:/(?:api|playground|llms\.txt|examples|requests))?/?(?:[?#].*)?$")
# The ends of one model are told apart by these, so they are no part of its name.
_WAYS = {"text-to-image", "image-to-image", "text-to-video", "image-to-video", "edit"}


class AddedModels:
    """Puts endpoints of fal on offer and takes them away again; the table is the truth."""

    def __init__(self, catalog: Catalog, prices: PriceBook, platform: Platform) -> None:
        self._catalog = catalog
        self._prices = prices
        self._platform = platform
        self._shown: tuple[int, ...] = ()
        self._read = Together(_read)

    async def refresh(self) -> None:
        """Bring the catalog in line with the table: asked ahead of whatever depends on it."""
        rows = await self._read(None)
        ids = tuple(row.id for row in rows)
        if ids != self._shown:
            self._catalog.take_in(_models(rows, self._catalog))
            self._prices.look_again()
            self._shown = ids

    async def add(self, text: str, admin_id: int) -> Endpoint:
        """Put an endpoint on offer that fal knows, with its price and what it takes.

        Raises `BadRequest` or `UnknownUnit` for what cannot be offered, or not yet, `FalError` if
        fal does not say.
        """
        endpoint_id = _endpoint_id(text)
        await self.refresh()
        if endpoint_id in self._catalog.endpoint_ids:
            raise BadRequest("model_there", model=self._catalog.model_of(endpoint_id).name)
        if len(self._shown) >= MOST_ADDED:
            raise BadRequest("models_full", most=str(MOST_ADDED))
        listed = await self._platform.model(endpoint_id)
        if listed is None:
            raise BadRequest("model_unknown", model=endpoint_id)
        if listed.is_retired:
            raise BadRequest("model_retired", model=endpoint_id)
        price = await self._prices.learn(endpoint_id)
        if price is None:
            raise BadRequest("model_unpriced", model=endpoint_id)
        endpoint = read_endpoint(endpoint_id, listed.category, listed.openapi, price)
        await self._keep(endpoint, listed.name, admin_id)
        await self.refresh()
        return endpoint

    async def remove(self, text: str, admin_id: int) -> str:
        """Take a model away, by its key or an endpoint of it; return its name.

        Jobs under way go on, and what was made stays. Raises `BadRequest`.
        """
        await self.refresh()
        word = _PAGE_END.sub("", _PAGE.sub("", text.strip()))
        rows = await AddedModel.filter(endpoint=word) or await AddedModel.filter(key=word.lower())
        if not rows:
            own = {model.key for model in self._catalog.own}
            own |= {endpoint.id for model in self._catalog.own for endpoint in model.endpoints}
            raise BadRequest("model_own" if word in own else "model_not_added", model=word)
        async with in_transaction() as transaction:
            for row in rows:
                await row.delete(using_db=transaction)
                action = record(admin_id, "model_removed", None, _detail(row.endpoint))
                await within(transaction, action)
        await self.refresh()
        return rows[0].name

    async def added_by(self) -> dict[str, Person]:
        """Who put each model on offer, by its key."""
        rows = await AddedModel.all().order_by("id").values_list("key", "added_by")
        people = await Person.in_bulk({admin_id for _, admin_id in rows})
        return {key: people[admin_id] for key, admin_id in reversed(rows) if admin_id in people}

    async def _keep(self, endpoint: Endpoint, name: str, admin_id: int) -> None:
        """Store an endpoint; what another admin stored meanwhile is seen by the indexes."""
        for _ in range(MOST_ADDED):
            await self.refresh()
            key = _free_key(endpoint, self._catalog)
            try:
                async with in_transaction() as transaction:
                    await AddedModel.create(
                        endpoint=endpoint.id,
                        key=key,
                        name=shortened(name, LONGEST_NAME),
                        takes_image=endpoint.takes_image,
                        definition=vars_of(endpoint),
                        added_by=admin_id,
                        created_at=now(),
                        using_db=transaction,
                    )
                    action = record(admin_id, "model_added", None, _detail(endpoint.id))
                    await within(transaction, action)
            except IntegrityError:
                if await AddedModel.exists(endpoint=endpoint.id):
                    raise BadRequest("model_there", model=name) from None
            else:
                return


async def _read(askers: Sequence[None]) -> list[list[AddedModel]]:
    """All rows, the oldest first, for each of those who ask at the same moment."""
    rows = await AddedModel.all().order_by("id")
    return [rows for _ in askers]


def _models(rows: Sequence[AddedModel], catalog: Catalog) -> tuple[Model, ...]:
    """The rows as models; one that this version cannot use is left out."""
    own_keys = {model.key for model in catalog.own}
    own_ids = {endpoint.id for model in catalog.own for endpoint in model.endpoints}
    models: dict[str, Model] = {}
    for row in rows:
        try:
            endpoint = endpoint_of(row.definition)
        except ValueError:
            logger.warning("the added model %s cannot be read, leaving it out", row.endpoint)
            continue
        if row.key in own_keys or endpoint.id in own_ids:
            logger.warning("the added model %s is in the catalog by now", row.endpoint)
            continue
        other = models.get(row.key)
        models[row.key] = Model(
            key=row.key,
            name=other.name if other else row.name,
            kind=endpoint.kind,
            text=endpoint if not endpoint.takes_image else other.text if other else None,
            image=endpoint if endpoint.takes_image else other.image if other else None,
        )
    return tuple(models.values())


def _endpoint_id(text: str) -> str:
    """The endpoint that is meant: typed, or the address of its page. Raises `BadRequest`."""
    word = _PAGE_END.sub("", _PAGE.sub("", text.strip()))
    if len(word) > LONGEST_ENDPOINT or not _ENDPOINT.fullmatch(word):
        raise BadRequest("no_endpoint")
    return word


def _free_key(endpoint: Endpoint, catalog: Catalog) -> str:
    """A key by its name at fal; that of an added model whose other end this is."""
    _, *parts = endpoint.id.lower().split("/")
    words = "-".join(part for part in parts if part not in _WAYS) or parts[-1]
    base = re.sub(r"[^a-z0-9.-]+", "-", words).strip("-.") or "model"
    taken = {model.key: model for model in catalog.models}
    own = {model.key for model in catalog.own}
    for number in range(1, MOST_ADDED + len(taken) + 2):
        ending = "" if number == 1 else f"-{number}"
        key = base[: LONGEST_KEY - len(ending)].rstrip("-.") + ending
        model = taken.get(key)
        if model is None:
            return key
        end = model.image if endpoint.takes_image else model.text
        if key not in own and model.kind == endpoint.kind and end is None:
            return key
    raise BadRequest("models_full", most=str(MOST_ADDED))


def _detail(endpoint_id: str) -> str:
    """An endpoint for the record of what admins did, whose end says more than its beginning."""
    return endpoint_id if len(endpoint_id) <= 64 else "…" + endpoint_id[-63:]
