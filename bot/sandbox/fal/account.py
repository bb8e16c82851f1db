"""The fal account: keys, balance, prices and bills. Amounts are integers in nano-US-dollars."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from bot.sandbox.fal.errors import LOCKED, NO_KEY, WRONG_KEY, FalError
from bot.sandbox.fal.faults import FalFaults
from bot.sandbox.fal.jobs import FalRequest
from bot.sandbox.fal.schemas import ENDPOINTS, Price

NANOS = 1_000_000_000
ABSURD_NANOS = 10**18


@dataclass(eq=False)
class Bill:
    """A billing event. It can be seen from `visible_at` on; None: never."""

    request_id: str
    endpoint_id: str
    at: datetime
    units: Decimal
    unit_price: Decimal
    percent_discount: Decimal | None
    total_nanos: int
    visible_at: datetime | None

    @property
    def subtotal(self) -> Decimal:
        """US dollars before the discount."""
        return self.units * self.unit_price

    @property
    def total(self) -> Decimal:
        """US dollars charged."""
        return Decimal(self.total_nanos) / NANOS


@dataclass(eq=False)
class Account:
    """The account that all keys belong to.

    `discount` is in percent. `locked` is the reason why nothing can be submitted, if there is one;
    a balance of zero or less is one too.
    """

    faults: FalFaults
    api_key: str = "11111111-2222-4333-8444-555555555555:00sandboxapikey00"
    admin_key: str = "66666666-7777-4888-9999-000000000000:00sandboxadminkey00"
    username: str = "sandbox-team"
    user_id: str = "auth0|5a9d60c4"
    balance_nanos: int = 100 * NANOS
    locked: str | None = None
    discount: Decimal = Decimal(0)
    billing_delay_seconds: float = 0
    prices: dict[str, Price] = field(
        default_factory=lambda: {name: one.price for name, one in ENDPOINTS.items()}
    )
    bills: list[Bill] = field(default_factory=list)

    def key_in(self, authorization: str | None) -> str | None:
        """`api` or `admin`, for the key in an Authorization header; None for any other."""
        known = {f"Key {self.api_key}": "api", f"Key {self.admin_key}": "admin"}
        return known.get(authorization or "")

    def require_key(self, authorization: str | None) -> None:
        """Raise the FalError 401 for a missing or wrong key."""
        if self.key_in(authorization) is None:
            raise FalError(401, WRONG_KEY if authorization else NO_KEY)

    def require_open(self) -> None:
        """Raise the FalError 403 with which fal keeps a locked account from submitting."""
        reason = self.locked or (LOCKED if self.balance_nanos <= 0 else None)
        if reason is not None:
            raise locked_error(reason)

    @property
    def total_nanos(self) -> int:
        """All that was ever billed."""
        return sum(bill.total_nanos for bill in self.bills)

    def bill(self, request: FalRequest, units: Decimal, now: datetime) -> Bill | None:
        """Charge `units` for `request`; None if a fault keeps it from being billed at all."""
        price = self.prices[request.endpoint_id]
        bill = self._make(request.request_id, request.endpoint_id, units, price.unit_price, now)
        fault = self.faults.next("bill", request.endpoint_id)
        if fault is not None and fault.kind == "late" and bill.visible_at is not None:
            bill.visible_at += timedelta(seconds=fault.seconds)
        if fault is not None and fault.kind == "missing":
            bill.visible_at = None
        if fault is not None and fault.kind in ("changed", "absurd"):
            bill.total_nanos = fault.nanos or ABSURD_NANOS
            if fault.kind == "absurd":
                # It is only on paper: fal would put such a thing right.
                self.bills.append(bill)
                return bill
        return self._book(bill)

    def spend_outside(self, nanos: int, endpoint_id: str, now: datetime) -> Bill:
        """Bill something that did not come from the bot: someone used the playground."""
        price = Decimal(nanos) / NANOS
        return self._book(self._make(str(uuid.uuid4()), endpoint_id, Decimal(1), price, now, False))

    def _make(
        self,
        request_id: str,
        endpoint_id: str,
        units: Decimal,
        unit_price: Decimal,
        now: datetime,
        discounted: bool = True,
    ) -> Bill:
        percent = self.discount if discounted and self.discount else None
        exact = units * unit_price * (100 - (percent or 0)) / 100 * NANOS
        total = int(exact.quantize(Decimal(1), ROUND_HALF_UP))
        seen = now + timedelta(seconds=self.billing_delay_seconds)
        return Bill(request_id, endpoint_id, now, units, unit_price, percent, total, seen)

    def _book(self, bill: Bill) -> Bill:
        self.bills.append(bill)
        self.balance_nanos -= bill.total_nanos
        return bill


def locked_error(reason: str) -> FalError:
    """What fal says about a locked account."""
    return FalError(403, f"User is locked. Reason: {reason}")
