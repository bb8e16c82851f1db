"""Taking an order: what it will cost at most, and the money set aside for it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from bot.balance import BalanceWatch
from bot.catalog import Catalog, Kind
from bot.errors import BadRequest, TooDear, TooManyJobs
from bot.prices import PriceBook
from bot.pricing import quote
from db import ledger
from db.accounts import NotEnough, TooManyActive
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


class OrderDesk:
    """Turns orders into jobs whose money is set aside."""

    def __init__(
        self, catalog: Catalog, prices: PriceBook, balance: BalanceWatch, max_active_jobs: int
    ) -> None:
        self._catalog = catalog
        self._prices = prices
        self._balance = balance
        self._max_active_jobs = max_active_jobs

    async def place(self, person: Person, order: Order) -> ContentJob:
        """Quote an order, set the money aside, store the job and start it.

        Raises `BadRequest`, `AccountLocked`, `UnknownUnit`, `TooDear` or `TooManyJobs`; then
        nothing is stored.
        """
        prompt = order.prompt.strip()
        if not prompt:
            raise BadRequest(f"no_prompt_{order.kind}")
        if len(prompt) > LONGEST_PROMPT:
            raise BadRequest("prompt_too_long", most=LONGEST_PROMPT, length=len(prompt))
        await self._balance.refuse_while_locked()
        chosen = person.image_model if order.kind == "image" else person.video_model
        endpoint = self._catalog.choose(order.kind, chosen, with_image=order.source is not None)
        price = await self._prices.of(endpoint)
        arguments: dict[str, object] = {**endpoint.arguments, "prompt": prompt}
        size = None if order.source is None else (order.source.width, order.source.height)
        quoted = quote(endpoint, arguments, price, size)
        seed = secrets.randbelow(MAX_SEED) if endpoint.takes_seed else None
        if seed is not None:
            arguments["seed"] = seed
        job = ContentJob(
            person_id=person.id,
            origin=order.origin,
            chat_id=order.chat_id,
            thread_id=order.thread_id,
            command_message_id=order.message_id,
            kind=order.kind,
            endpoint=endpoint.id,
            prompt=prompt,
            arguments=arguments,
            seed=seed,
            source_file_id=order.source and order.source.file_id,
            source_argument=endpoint.image_argument,
            unit=price.unit,
            unit_price_nanos=price.unit_price_nanos,
            price_origin=price.origin,
            quote_nanos=quoted.nanos,
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
