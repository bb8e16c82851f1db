"""fal's balance: read, followed, watched; and what to do while the account is locked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tortoise.functions import Sum

from bot.errors import AccountLocked, NeedsAdminKey
from bot.fal.errors import FalError
from bot.fal.platform import Platform
from db import ledger, occasions
from db.models import Access, BalanceReading, OutsideBill, Person
from db.outbox import NewNotice
from db.sql import now

logger = logging.getLogger(__name__)

LOCKED, LOW, PROMISED = "account_locked", "balance_low", "balance_promised"
# A lock can outlast a top-up, and without an admin key nobody tells when it ends: now and then
# one job is let through to see.
TRY_LOCKED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Coverage:
    """fal's balance beside what people may still spend, all in nano-dollars."""

    balance_nanos: int
    promised_nanos: int

    @property
    def is_covered(self) -> bool:
        """Whether everybody could spend their budget."""
        return self.promised_nanos <= self.balance_nanos


class BalanceWatch:
    """Reads fal's balance and acts on it. `platform` is None without an admin key."""

    def __init__(
        self,
        platform: Platform | None,
        *,
        low_nanos: int,
        alert_percents: Sequence[int],
        admin_ids: Sequence[int],
        on_notice: Callable[[], None],
    ) -> None:
        self._platform = platform
        self._low_nanos = low_nanos
        self._alert_percents = alert_percents
        self._admin_ids = admin_ids
        self._on_notice = on_notice

    async def coverage(self) -> Coverage:
        """Read the balance now. Raises `NeedsAdminKey`, or `FalError` if fal does not say."""
        if self._platform is None:
            raise NeedsAdminKey
        return Coverage(await self._platform.balance(), await promised_nanos())

    async def check(self) -> None:
        """One look at the balance: keep it, let budgets follow it, tell the admins once."""
        try:
            coverage = await self.coverage()
        except NeedsAdminKey:
            return
        except FalError as error:
            logger.warning("the balance cannot be read (%s)", error)
            return
        balance = coverage.balance_nanos
        is_top_up = await _keep_reading(balance)
        if is_top_up:
            await occasions.end(LOCKED)
        await self._follow(balance)
        amounts: dict[str, object] = {
            "balance_nanos": balance,
            "promised_nanos": coverage.promised_nanos,
        }
        await self._tell(LOW, balance < self._low_nanos, amounts)
        await self._tell(PROMISED, not coverage.is_covered, amounts)
        self._on_notice()

    async def start_following(self, person: Person, *, actor_id: int, origin: str) -> None:
        """`/setbudget auto`: the budget is the balance, and what remains follows it.

        Raises `NeedsAdminKey`, or `FalError`; then the old budget stands.
        """
        balance = (await self.coverage()).balance_nanos
        await ledger.set_budget(person.id, balance, actor_id=actor_id, origin=origin, follows=True)

    async def lock(self) -> None:
        """fal says that the account is locked: no new jobs, and the admins are told once."""
        await occasions.begin(LOCKED, self._notices(LOCKED, {}))
        self._on_notice()

    async def unlock(self) -> None:
        """fal has taken a job: the account is not locked."""
        if await occasions.holds(LOCKED):
            await occasions.end(LOCKED)

    async def refuse_while_locked(self) -> None:
        """Raise `AccountLocked` while the account is locked, but for a try now and then."""
        if await occasions.holds(LOCKED) and not await occasions.may_try(LOCKED, TRY_LOCKED_EVERY):
            raise AccountLocked

    async def _follow(self, balance: int) -> None:
        for person in await Person.exclude(followed_balance_nanos=None):
            if balance > (person.followed_balance_nanos or 0):
                # A rise is a top-up: the budget is measured against it, alerts are armed again.
                await ledger.set_budget(
                    person.id,
                    balance,
                    actor_id=None,
                    origin=f"top-up:{person.id}:{person.version}",
                    follows=True,
                )
            else:
                await ledger.follow(person.id, balance, alert_percents=self._alert_percents)

    async def _tell(self, name: str, is_so: bool, amounts: dict[str, object]) -> None:
        if is_so:
            await occasions.begin(name, self._notices(name, amounts))
        else:
            await occasions.end(name)

    def _notices(self, kind: str, content: dict[str, object]) -> Sequence[NewNotice]:
        return [NewNotice(admin_id, kind, content) for admin_id in self._admin_ids]


async def promised_nanos() -> int:
    """What people who are in may still spend; budgets that follow the balance promise nothing."""
    rows = await Person.filter(
        access=Access.APPROVED, followed_balance_nanos=None, budget_nanos__isnull=False
    ).values("budget_nanos", "spent_nanos")
    return sum(max(0, row["budget_nanos"] - row["spent_nanos"]) for row in rows)


async def charged_nanos() -> int:
    """Everything that all jobs have cost so far."""
    rows = await Person.annotate(total=Sum("total_spent_nanos")).values("total")
    return int(rows[0]["total"] or 0) if rows else 0


async def outside_nanos() -> int:
    """Everything that was billed outside of the bot so far."""
    rows = await OutsideBill.annotate(total=Sum("cost_nanos")).values("total")
    return int(rows[0]["total"] or 0) if rows else 0


async def _keep_reading(balance: int) -> bool:
    """Keep a reading as `now`, and as `then` if it is the first or higher than the last.

    True for a top-up.
    """
    values = {
        "balance_nanos": balance,
        "charged_nanos": await charged_nanos(),
        "outside_nanos": await outside_nanos(),
        "read_at": now(),
    }
    last = await BalanceReading.get_or_none(name="now")
    is_top_up = last is not None and balance > last.balance_nanos
    if last is None or is_top_up:
        await BalanceReading.update_or_create(name="then", defaults=values)
    await BalanceReading.update_or_create(name="now", defaults=values)
    return is_top_up
