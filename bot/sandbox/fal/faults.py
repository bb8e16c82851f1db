"""What can go wrong with fal, on order.

Where (`operation`): `submit`, `status`, `stream`, `result`, `cancel`; `models`, `pricing`,
`billing_events`, `requests`, `billing`, `meta`; `token`, `upload`, `media`, `jwks`; and two that
are no requests: `job`, how a job ends, and `bill`, what is billed for it.

What, at every request:

- `reset`: the connection is reset, nothing done; `hang`: nothing done and never answered
- `answer_lost`: done, then the connection is reset; `answer_hangs`: done, never answered
- `html`: done, answered 200 with a page of HTML; `garbage`: done, answered with half of the JSON
- `cut`: done, the connection is reset in the middle of the answer
- `endless`: done, the answer begins and never comes to its end
- `bad_gateway`: nothing done, 502 from a proxy; `bad_gateway_after`: done, and 502
- `rate_limited`: 429 (`retry_after`); `unavailable`: 503; `server_error`: 500; `unauthorized`: 401
- `not_found`: 404; `slow`: done after `seconds`

At single ones:

- `submit`: `locked`: 403, User is locked (`message` is the reason); `unprocessable`: 422
- `stream`: `cut` (after the first event), `garbage` (events that are no JSON)
- `result`: `no_units`: without the header of the billable units
- `cancel`: `refused`: 400 ALREADY_COMPLETED, though it is not
- `job`: `fails` with `status` (422 or 5xx) and the error type `message`, billed only with `units`;
  `units`: as many `units` are billed; `flagged`: the picture is black and billed
- `bill`: `late` by `seconds`, `missing`, `changed` to `nanos`, `absurd`
"""

from __future__ import annotations

from bot.sandbox.faults import Fault, FaultBook, Order

EVERYWHERE = frozenset(
    [
        "reset",
        "hang",
        "answer_lost",
        "answer_hangs",
        "html",
        "garbage",
        "cut",
        "endless",
        "bad_gateway",
        "bad_gateway_after",
        "rate_limited",
        "unavailable",
        "server_error",
        "unauthorized",
        "not_found",
        "slow",
    ]
)
REQUESTS = [
    "submit",
    "status",
    "stream",
    "result",
    "cancel",
    "models",
    "pricing",
    "billing_events",
    "requests",
    "billing",
    "meta",
    "token",
    "upload",
    "media",
    "jwks",
]
SINGLE = {
    "submit": frozenset({"locked", "unprocessable"}),
    "result": frozenset({"no_units"}),
    "cancel": frozenset({"refused"}),
}
KINDS = {operation: EVERYWHERE | SINGLE.get(operation, frozenset()) for operation in REQUESTS} | {
    "job": frozenset({"fails", "units", "flagged"}),
    "bill": frozenset({"late", "missing", "changed", "absurd"}),
}


class FalFaults(FaultBook):
    """The faults of the fal side."""

    def add(
        self,
        fault: Fault | str,
        operation: str,
        endpoint: str | None = None,
        times: int | None = 1,
    ) -> Order:
        """Order `fault` for the next `times` (None: all) of `operation` on `endpoint`."""
        fault = Fault(fault) if isinstance(fault, str) else fault
        if operation not in KINDS:
            raise ValueError(f"fal has no operation {operation!r}; it has {sorted(KINDS)}")
        if fault.kind not in KINDS[operation]:
            raise ValueError(f"{operation} has no fault {fault.kind!r}; {sorted(KINDS[operation])}")
        return self.order(fault, times, operation=operation, endpoint=endpoint)

    def next(self, operation: str, endpoint: str | None = None) -> Fault | None:
        """The fault for this moment, if one is due."""
        return self.take(operation=operation, endpoint=endpoint)
