"""fal as far as a customer can see it: a queue of requests, an account, files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeVar

from starlette.routing import BaseRoute

from bot.sandbox.changes import Changes
from bot.sandbox.clock import Clock
from bot.sandbox.fal.account import Account, Bill
from bot.sandbox.fal.errors import FalError, model_error
from bot.sandbox.fal.faults import FalFaults
from bot.sandbox.fal.jobs import FalRequest, billable_units
from bot.sandbox.fal.routes import routes
from bot.sandbox.fal.schemas import ENDPOINTS, Endpoint, Price
from bot.sandbox.fal.storage import Storage
from bot.sandbox.fal.webhooks import Webhooks
from bot.sandbox.fal.work import CANCELLED, check_source, failure, make_output, progress_line

Result = TypeVar("Result")
Pace = Literal["instant", "manual", "paced"]


@dataclass
class Tempo:
    """How long the pace `paced` takes, in seconds, and in how many visible steps."""

    queue_seconds: float
    run_seconds: float
    steps: int = 4


@dataclass(frozen=True)
class FalCall:
    """One HTTP request that fal got."""

    operation: str
    method: str
    url: str
    headers: dict[str, str]
    endpoint: str | None = None


class FalWorld:
    """The fal side of the sandbox. Everything belongs to one event loop.

    `requests` has every accepted request, `calls` every HTTP request, `complaints` what fal would
    have ignored or could not use. Switches: `validates_at`, where wrong arguments show;
    `cancel_stops_running`, whether cancelling ends a running request (billed or not:
    `bills_cancelled`); `removed_shows`, what becomes of a queued one that was cancelled;
    `lists_running`, whether the request list has those that have not ended; `unknown_models`, what
    the catalog answers when asked for what is not there; `without_metadata` and `undescribed`, of
    which endpoints it does not tell the category, or the schema.
    """

    def __init__(self, clock: Clock | None = None, pace: Pace = "instant") -> None:
        self.clock = clock or Clock()
        self.pace: Pace = pace
        self.tempo = {"image": Tempo(0.6, 2.4), "video": Tempo(0.8, 4.8, 6)}
        self.concurrency = 40
        self.validates_at: Literal["submit", "result"] = "submit"
        self.cancel_stops_running = False
        self.bills_cancelled = False
        self.removed_shows: Literal["not_found", "completed"] = "not_found"
        self.lists_running = True
        self.listing_delay_seconds = 0.0
        self.unknown_models: Literal["not_found", "empty"] = "not_found"
        self.without_metadata: set[str] = set()
        self.undescribed: set[str] = set()
        self.changes = Changes()
        self.faults = FalFaults()
        self.account = Account(self.faults)
        self.storage = Storage(self.clock)
        self.webhooks = Webhooks(self)
        self.endpoints: dict[str, Endpoint] = dict(ENDPOINTS)
        self.requests: list[FalRequest] = []
        self.calls: list[FalCall] = []
        self.base_url = ""
        self._by_id: dict[str, FalRequest] = {}
        self._queue: list[FalRequest] = []
        self._running: list[FalRequest] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # -- the HTTP side -----------------------------------------------------------------------

    def routes(self) -> list[BaseRoute]:
        """Queue, platform, REST and CDN, relative to where they are mounted."""
        return routes(self)

    def open(self, base_url: str, is_telegram_url: Callable[[str], bool]) -> None:
        """Know under which URL all this is served, and which URLs give Telegram's token away."""
        self.base_url = base_url
        self.storage.cdn_url = f"{base_url}/cdn"
        self.storage.is_telegram_url = is_telegram_url

    async def close(self) -> None:
        """End all work and let go of everybody who waits."""
        self.faults.release()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.webhooks.close()

    def request_url(self, request: FalRequest) -> str:
        """The URL of a request: owner and app only, whatever the endpoint's path."""
        return f"{self.base_url}/queue/{request.endpoint.app}/requests/{request.request_id}"

    # -- shortcuts to the account ------------------------------------------------------------

    @property
    def prices(self) -> dict[str, Price]:
        return self.account.prices

    @property
    def bill_total_nanos(self) -> int:
        """All that was ever billed, also what cannot be seen yet."""
        return self.account.total_nanos

    @property
    def balance_nanos(self) -> int:
        return self.account.balance_nanos

    @balance_nanos.setter
    def balance_nanos(self, nanos: int) -> None:
        self.account.balance_nanos = nanos
        self.changed()

    @property
    def discount(self) -> Decimal:
        """Percent off all prices."""
        return self.account.discount

    @discount.setter
    def discount(self, percent: Decimal) -> None:
        self.account.discount = percent

    @property
    def complaints(self) -> list[str]:
        return self.storage.complaints

    def outside_spending(self, nanos: int, endpoint_id: str = "fal-ai/flux/dev") -> Bill:
        """Let somebody else spend `nanos` from the same account."""
        bill = self.account.spend_outside(nanos, endpoint_id, self.clock.now())
        self.changed()
        return bill

    def bill_of(self, request: FalRequest) -> Bill | None:
        """What was billed for `request`."""
        bills = self.account.bills
        return next((bill for bill in bills if bill.request_id == request.request_id), None)

    # -- a request's life --------------------------------------------------------------------

    def changed(self, request: FalRequest | None = None) -> None:
        """Tell everyone that something is different."""
        event = {"type": "fal", "request_id": request.request_id if request else None}
        self.changes.notify(event)
        if request is not None:
            request.changes.notify()

    def _queue_moved(self) -> None:
        for request in self._queue:
            request.changes.notify()

    def find(self, request_id: str) -> FalRequest | None:
        return self._by_id.get(request_id)

    @property
    def queued(self) -> list[FalRequest]:
        """Those that wait, in their order."""
        return list(self._queue)

    @property
    def running(self) -> list[FalRequest]:
        """Those that are worked on."""
        return list(self._running)

    def position(self, request: FalRequest) -> int:
        """How many are before it in the queue."""
        return self._queue.index(request)

    def accept(self, request: FalRequest) -> None:
        """Put a new request into the queue."""
        self.requests.append(request)
        self._queue.append(request)
        self._by_id[request.request_id] = request
        self.changed(request)
        if self.pace == "instant":
            # After the answer to the submit is on its way.
            asyncio.get_running_loop().call_soon(self._run_at_once)
        elif self.pace == "paced":
            self._spawn(self._run_paced(request))

    def start(self, request: FalRequest) -> None:
        """Let a queued request run. Raises ValueError if it cannot."""
        if request.state != "queued":
            raise ValueError(f"{request!r} is not in the queue")
        if len(self.running) >= self.concurrency:
            raise ValueError("the concurrency limit is reached")
        self._queue.remove(request)
        self._queue_moved()
        now = self.clock.now()
        limit = request.headers.get("x-fal-request-timeout")
        if limit and (now - request.sent_at).total_seconds() > float(limit):
            headers = {"X-Fal-Request-Timeout-Type": "user"}
            late = FalError(504, "Request timed out", "request_timeout", headers)
            request.started_at = now
            self._end(request, late)
            return
        request.state = "running"
        self._running.append(request)
        request.started_at = now
        request.log("Loading the model", now)
        self.changed(request)

    def progress(self, request: FalRequest, message: str) -> None:
        """Add a line to the logs of a running request."""
        request.log(message, self.clock.now())
        self.changed(request)

    def complete(self, request: FalRequest) -> None:
        """End a request with its result, or as a fault on order has it."""
        if request.state == "queued":
            self.start(request)
        if request.state != "running":
            return
        fault = self.faults.next("job", request.endpoint_id)
        try:
            if fault is not None and fault.kind == "fails":
                raise failure(fault)
            request.complete = request.endpoint.check(request.arguments)
            check_source(self.storage, request)
        except FalError as error:
            units = Decimal(fault.units) if fault is not None and fault.units else None
            self._end(request, error, units)
            return
        request.status_code = 200
        request.output = make_output(self.storage, request, fault)
        unit = self.prices[request.endpoint_id].unit
        if fault is not None and fault.kind == "units":
            request.units = Decimal(fault.units)
        else:
            request.units = billable_units(request, unit)
        self._end(request, None, request.units)

    def fail(
        self,
        request: FalRequest,
        status: int = 500,
        error_type: str = "internal_server_error",
        message: str = "The request failed.",
        billed_units: Decimal | None = None,
    ) -> None:
        """End a request with an error; billed only if `billed_units` is given."""
        if request.state == "queued":
            self.start(request)
        if status in (400, 422):
            self._end(request, model_error(error_type, message, status=status), billed_units)
        else:
            self._end(request, FalError(status, message, error_type), billed_units)

    def cancel(self, request: FalRequest) -> bool:
        """Ask to cancel; False if it has ended already."""
        if request.state in ("completed", "removed"):
            return False
        request.cancel_asked = True
        if request.state == "queued":
            request.state = "removed"
            self._queue.remove(request)
            self._queue_moved()
            if self.removed_shows == "completed":
                request.started_at = self.clock.now()
                self._end(request, CANCELLED)
        elif self.cancel_stops_running:
            price = self.prices[request.endpoint_id]
            units = billable_units(request, price.unit) if self.bills_cancelled else None
            self._end(request, CANCELLED, units)
        self.changed(request)
        return True

    def _end(
        self, request: FalRequest, error: FalError | None, units: Decimal | None = None
    ) -> None:
        now = self.clock.now()
        if request.state == "running":
            self._running.remove(request)
            for waiting in self._queue[: self.concurrency]:
                waiting.changes.notify()
        request.state = "completed"
        request.ended_at = now
        if error is not None:
            request.status_code = error.status
            request.output = error.body()
            request.output_headers = dict(error.headers)
            if error.error_type:
                request.output_headers.setdefault("X-Fal-Error-Type", error.error_type)
            request.units = units
        # A server error is never charged (fal's pricing page), a cancelled request as it is set.
        if units is not None and (error is None or error.status < 500):
            self.account.bill(request, units, now)
        self.changed(request)
        if request.webhook_url:
            self._spawn(self.webhooks.deliver(request))
        if self.pace == "instant":
            asyncio.get_running_loop().call_soon(self._run_at_once)

    # -- pace --------------------------------------------------------------------------------

    def _run_at_once(self) -> None:
        if self.pace != "instant":
            return
        for request in self.queued:
            if len(self.running) < self.concurrency:
                self.start(request)
                self.complete(request)

    async def _run_paced(self, request: FalRequest) -> None:
        tempo = self.tempo[request.endpoint.kind]
        await asyncio.sleep(tempo.queue_seconds)

        def may_start() -> bool:
            free = self.concurrency - len(self.running)
            return request.state != "queued" or self.position(request) < free

        while not may_start():
            await request.changes.wait()
        if request.state == "queued":
            self.start(request)
        for step in range(1, tempo.steps + 1):
            if request.state != "running":
                return
            await asyncio.sleep(tempo.run_seconds / tempo.steps)
            self.progress(request, progress_line(request, step, tempo.steps))
        self.complete(request)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- waiting -----------------------------------------------------------------------------

    async def wait_for(
        self, predicate: Callable[[], Result | None], timeout: float = 10, what: str = ""
    ) -> Result:
        """The first truthy value of `predicate`, tried after every change in this world."""
        return await self.changes.wait_for(predicate, timeout, what)

    async def wait_for_requests(self, count: int = 1, timeout: float = 10) -> list[FalRequest]:
        """All requests, once there are `count` of them."""
        what = f"{count} requests at fal"
        await self.wait_for(lambda: len(self.requests) >= count, timeout, what)
        return self.requests
