"""Taking an order: what it will cost at most, and the money set aside for it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from bot.added import AddedModels
from bot.balance import BalanceWatch
from bot.catalog import Catalog, Endpoint, Kind
from bot.errors import BadRequest, TooDear, TooManyJobs
from bot.options import NOTHING_SAID, Options, find_model
from bot.prices import PriceBook
from bot.pricing import Quote, quote
from db import ledger
from db.accounts import NotEnough, TooManyActive
from db.leases import LEASED_FOR
from db.models import ContentJob, Person
from db.sql import now

LONGEST_PROMPT = 4000
MAX_SEED = 2**31


@dataclass(frozen=True, slots=True)
class Source:
    """The picture that a request starts from: a file at Telegram, its size in pixels."""

    file_id: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person asked for. `origin` names the message or button, once and for all."""

    kind: Kind
    prompt: str
    origin: str
    chat_id: int
    thread_id: int | None = None
    message_id: int | None = None
    source: Source | None = None
    options: Options = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class Offer:
    """An order with all that is sent to fal, and the most that it will cost.

    `is_try`: the account is locked, and it is time to see whether it still is.
    """

    order: Order
    endpoint: Endpoint
    arguments: dict[str, object]
    quote: Quote
    is_try: bool = False


class OrderDesk:
    """Turns orders into jobs whose money is set aside."""

    def __init__(
        self,
        catalog: Catalog,
        added: AddedModels,
        prices: PriceBook,
        balance: BalanceWatch,
        max_active_jobs: int,
    ) -> None:
        self._catalog = catalog
        self._added = added
        self._prices = prices
        self._balance = balance
        self._max_active_jobs = max_active_jobs

    async def quote(self, person: Person, order: Order) -> Offer:
        """What an order comes to. Stores nothing.

        Raises `BadRequest`, `AccountLocked` or `UnknownUnit`.
        """
        prompt = order.prompt.strip()
        if not prompt:
            raise BadRequest(f"no_prompt_{order.kind}")
        if len(prompt) > LONGEST_PROMPT:
            raise BadRequest("prompt_too_long", most=LONGEST_PROMPT, length=len(prompt))
        is_try = await self._balance.refuse_while_locked()
        options = order.options
        endpoint = await self._endpoint(person, order)
        arguments: dict[str, object] = {**endpoint.arguments, "prompt": prompt}
        arguments |= _shape(endpoint, options.aspect_ratio, person.aspect_ratio)
        if endpoint.takes_seed:
            arguments["seed"] = (
                secrets.randbelow(MAX_SEED) if options.seed is None else options.seed
            )
        elif options.seed is not None:
            raise BadRequest("option_seed_unused")
        return await self._offer(order, endpoint, arguments, is_try)

    async def quote_again(self, job: ContentJob, order: Order, *, new_seed: bool) -> Offer:
        """What it comes to to make a job once more, at today's price.

        Raises `BadRequest` if its model is gone, `AccountLocked` or `UnknownUnit`.
        """
        await self._added.refresh()
        try:
            endpoint = self._catalog.endpoint(job.endpoint)
        except KeyError:
            raise BadRequest("model_gone") from None
        is_try = await self._balance.refuse_while_locked()
        arguments = {
            name: value for name, value in job.arguments.items() if name != job.source_argument
        }
        image = endpoint.image_argument
        if image is not None and image in endpoint.arguments:
            arguments[image] = endpoint.arguments[image]  # the empty list that it goes into
        if new_seed and endpoint.takes_seed:
            arguments["seed"] = secrets.randbelow(MAX_SEED)
        return await self._offer(order, endpoint, arguments, is_try)

    async def _offer(
        self, order: Order, endpoint: Endpoint, arguments: dict[str, object], is_try: bool
    ) -> Offer:
        size = None if order.source is None else (order.source.width, order.source.height)
        price = await self._prices.of(endpoint)
        return Offer(order, endpoint, arguments, quote(endpoint, arguments, price, size), is_try)

    async def _endpoint(self, person: Person, order: Order) -> Endpoint:
        """The endpoint of the model asked for, else of the person's, else of the default one.

        Raises `BadRequest` if there is no such model, or it does not start from what there is.
        """
        await self._added.refresh()
        kind, with_image = order.kind, order.source is not None
        if order.options.model is not None:
            model = find_model(order.options.model, kind, self._catalog)
            asked = model.image if with_image else model.text
            if asked is None:
                raise BadRequest(
                    "model_without_image" if with_image else "model_only_image", model=model.name
                )
            return asked
        chosen = person.image_model if kind == "image" else person.video_model
        return self._catalog.choose(kind, chosen, with_image=with_image)

    async def place(self, person: Person, offer: Offer, *, lease_owner: str) -> ContentJob:
        """Set the money aside and store the job, leased to `lease_owner`.

        Raises `TooDear`, `TooManyJobs` or `AccountLocked`.
        """
        if offer.is_try:
            await self._balance.let_try()
        order, endpoint, quoted = offer.order, offer.endpoint, offer.quote
        seed = offer.arguments.get("seed")
        job = ContentJob(
            person_id=person.id,
            origin=order.origin,
            chat_id=order.chat_id,
            thread_id=order.thread_id,
            command_message_id=order.message_id,
            kind=order.kind,
            endpoint=endpoint.id,
            prompt=str(offer.arguments["prompt"]),
            arguments=offer.arguments,
            seed=seed if isinstance(seed, int) else None,
            source_file_id=order.source and order.source.file_id,
            source_width=order.source and order.source.width,
            source_height=order.source and order.source.height,
            source_argument=endpoint.image_argument,
            unit=quoted.price.unit,
            unit_price_nanos=quoted.price.unit_price_nanos,
            price_origin=quoted.price.origin,
            quote_nanos=quoted.nanos,
            lease_owner=lease_owner,
            lease_until=now() + LEASED_FOR,
            created_at=now(),
        )
        return await self._hold(job)

    async def _hold(self, job: ContentJob) -> ContentJob:
        try:
            movement = await ledger.hold(job, max_active_jobs=self._max_active_jobs)
        except NotEnough as error:
            raise TooDear(quote_nanos=job.quote_nanos, available_nanos=error.available_nanos) from (
                error
            )
        except TooManyActive as error:
            raise TooManyJobs(count=self._max_active_jobs) from error
        return await ContentJob.get(id=movement.job_id)


def _shape(endpoint: Endpoint, asked: str | None, usual: str | None) -> Mapping[str, object]:
    """The arguments of an aspect ratio. Raises `BadRequest` if one was asked for that there is not.

    The usual one of a person is used where the model has it.
    """
    if asked is not None and asked not in endpoint.aspect_ratios:
        if not endpoint.aspect_ratios:
            raise BadRequest("option_ratio_none")
        raise BadRequest("option_ratio_unused", ratios=", ".join(endpoint.aspect_ratios))
    return endpoint.aspect_ratios.get(asked or usual or "", {})
