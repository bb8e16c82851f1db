"""Faults that tests and the chat page can order: what goes wrong, where, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One way to fail.

    `kind` is one of the names in `telegram.faults.KINDS` or `fal.faults.KINDS`. `retry_after` and
    """

    kind: str
    retry_after: int = 1
    seconds: float = 0
    status: int = 0
    nanos: int = 0
    units: str = ""
    message: str = ""


@dataclass
class Order:
    """A fault that waits for its moments. `times` None means for ever."""

    fault: Fault
    where: dict[str, Any]
    times: int | None
    hits: int = 0

    @property
    def spent(self) -> bool:
        return self.times is not None and self.hits >= self.times

    def matches(self, facts: Mapping[str, Any]) -> bool:
        return not self.spent and all(facts.get(key) == value for key, value in self.where.items())


class FaultBook:
    """The faults on order, oldest first. Matching one uses up one of its `times`."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self._released = asyncio.Event()

    def order(self, fault: Fault, times: int | None = 1, **where: Any) -> Order:
        """Keep `fault` for the next moments that match all of `where` (None: any)."""
        narrow = {key: value for key, value in where.items() if value is not None}
        entry = Order(fault, narrow, times)
        self.orders.append(entry)
        return entry

    def take(self, kinds: frozenset[str] | None = None, **facts: Any) -> Fault | None:
        """The oldest fault ordered for this moment, if any; counts as one hit."""
        for entry in self.orders:
            if (kinds is None or entry.fault.kind in kinds) and entry.matches(facts):
                entry.hits += 1
                return entry.fault
        return None

    @property
    def pending(self) -> list[Order]:
        """The orders that have not been used up."""
        return [entry for entry in self.orders if not entry.spent]

    def clear(self) -> None:
        """Forget all orders and let go of whoever hangs."""
        self.orders.clear()
        self.release()

    def release(self) -> None:
        """Let all connections that hang go on to be cut."""
        self._released.set()
        self._released = asyncio.Event()

    def held(self) -> Callable[[], Awaitable[object]]:
        """How to wait for the next `release` after this moment."""
        return self._released.wait
