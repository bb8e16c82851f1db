"""fal's side of the books without a chat: jobs that are made, settled and billed over real HTTP.

The screen that the jobs write on is nobody's; everything else is what the bot uses. Time is the
sandbox's, on both sides of the wire, and moves when a test says so.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient

from bot.accounting import Reconciler
from bot.added import AddedModels
from bot.balance import BalanceWatch
from bot.catalog import Catalog, Kind, load_catalog
from bot.fal.platform import Platform
from bot.fal.queue import Queue, Status
from bot.fal.transport import FalUrls
from bot.jobs import Jobs
from bot.orders import Offer, Order, OrderDesk
from bot.prices import PriceBook
from bot.sandbox import Clock, Sandbox
from bot.sandbox.fal import FalWorld
from bot.settling import Settler
from db import ledger, sql
from db.connection import connect, migrate
from db.models import Access, ContentJob, Notice, Person

ADMIN_ID = 900
ALERTS = (25, 10)
DOLLAR = 10**9
LOW_NANOS = 5 * DOLLAR

_numbers = itertools.count(1)


class Nobody:
    """A screen that nobody looks at."""

    async def announce(self, job: ContentJob, person: Person) -> bool:
        return True

    async def source(self, job: ContentJob) -> tuple[bytes, str]:
        raise AssertionError("no picture was sent")

    def watch(self, job: ContentJob, person: Person) -> None: ...
    def progress(self, job_id: int, status: Status) -> None: ...

    async def show(self, job: ContentJob, person: Person) -> bool:
        return True

    async def tell(self, job: ContentJob, person: Person) -> bool:
        return True


@dataclass(slots=True)
class Accountant:
    """The parts that have to do with money, and the sandbox at the other end of the wire."""

    sandbox: Sandbox
    connection: BaseDBAsyncClient
    catalog: Catalog
    queue: Queue
    platform: Platform
    admin_platform: Platform | None
    max_active_jobs: int = 1000
    watch: BalanceWatch = field(init=False)
    settler: Settler = field(init=False)
    prices: PriceBook = field(init=False)
    desk: OrderDesk = field(init=False)
    jobs: Jobs = field(init=False)
    reconciler: Reconciler = field(init=False)

    def __post_init__(self) -> None:
        self.watch = BalanceWatch(
            self.admin_platform,
            low_nanos=LOW_NANOS,
            alert_percents=ALERTS,
            admin_ids=[ADMIN_ID],
            on_notice=_nothing,
        )
        self.settler = Settler(self.watch, ALERTS, [ADMIN_ID], _nothing)
        self.prices = PriceBook(self.catalog, self.platform)
        added = AddedModels(self.catalog, self.prices, self.platform)
        self.desk = OrderDesk(self.catalog, added, self.prices, self.watch, self.max_active_jobs)
        self.jobs = Jobs(
            desk=self.desk,
            settler=self.settler,
            queue=self.queue,
            platform=self.platform,
            screen=Nobody(),
        )
        self.reconciler = Reconciler(self.admin_platform, self.settler)

    @property
    def fal(self) -> FalWorld:
        return self.sandbox.fal

    @property
    def clock(self) -> Clock:
        return self.sandbox.clock

    async def person(self, budget_nanos: int | None = None, id: int | None = None) -> Person:  # noqa: A002
        """Somebody who is in."""
        person = await Person.create(id=id or 7000 + next(_numbers), access=Access.APPROVED)
        if budget_nanos is not None:
            await self.budget(person, budget_nanos)
        return person

    async def budget(self, person: Person, nanos: int | None) -> None:
        """Set a budget with a command of its own."""
        origin = f"test:{next(_numbers)}"
        await ledger.set_budget(person.id, nanos, actor_id=person.id, origin=origin)

    async def offer(self, person: Person, kind: Kind = "image") -> Offer:
        """Ask what a picture or a video would cost."""
        number = next(_numbers)
        order = Order(kind=kind, prompt="a fox", origin=f"test:{number}", chat_id=person.id)
        return await self.desk.quote(await Person.get(id=person.id), order)

    async def order(self, person: Person, kind: Kind = "image") -> int:
        """Ask for a picture or a video; the job's id. It is under way."""
        job = await self.jobs.place(person, await self.offer(person, kind))
        return int(job.id)

    async def make(self, person: Person, kind: Kind = "image") -> ContentJob:
        """Ask for a picture or a video and wait until it is settled."""
        job_id = await self.order(person, kind)
        await self.settled()
        return await ContentJob.get(id=job_id)

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while tasks := [t for t in asyncio.all_tasks() if t.get_name().startswith("job ")]:
            await asyncio.wait(tasks)

    def passes(self, **span: float) -> None:
        """Let time pass, `hours=25`."""
        units = {"minutes": 60, "hours": 3600, "days": 86400}
        self.clock.advance(sum(units.get(name, 1) * value for name, value in span.items()))

    async def notices(self, kind: str) -> list[Notice]:
        """What the admin is owed of one kind, oldest first."""
        return await Notice.filter(person_id=ADMIN_ID, kind=kind).order_by("id")


def _nothing() -> None: ...


def live_by(clock: Clock, patch: pytest.MonkeyPatch) -> None:
    """Let the whole program take the time from `clock`."""
    real = sql.now
    for name, module in list(sys.modules.items()):
        room = name.partition(".")[0]
        if room in ("bot", "db", "handlers") and getattr(module, "now", None) is real:
            patch.setattr(module, "now", clock.now)


@asynccontextmanager
async def accountant(
    sandbox: Sandbox, database_url: str, *, is_migrated: bool = False, has_admin_key: bool = True
) -> AsyncIterator[Accountant]:
    """The parts that have to do with money, on empty books with an admin in them."""
    environment = sandbox.environment()
    url = environment["FAL_PLATFORM_URL"]
    async with AsyncExitStack() as stack:
        live_by(sandbox.clock, stack.enter_context(pytest.MonkeyPatch.context()))
        connection = await stack.enter_async_context(connect(database_url))
        if not is_migrated:
            await migrate(connection)
        queue = Queue(
            environment["FAL_KEY"],
            FalUrls(
                environment["FAL_QUEUE_URL"],
                url,
                environment["FAL_REST_URL"],
                environment["FAL_CDN_URL"],
            ),
        )
        stack.push_async_callback(queue.aclose)
        platform = Platform(environment["FAL_KEY"], url)
        stack.push_async_callback(platform.aclose)
        admin_platform = None
        if has_admin_key:
            admin_platform = Platform(environment["FAL_ADMIN_KEY"], url)
            stack.push_async_callback(admin_platform.aclose)
        await Person.create(id=ADMIN_ID, access=Access.APPROVED, is_admin=True)
        made = Accountant(sandbox, connection, load_catalog(), queue, platform, admin_platform)
        stack.push_async_callback(made.jobs.roster.aclose, 1.0)
        yield made
