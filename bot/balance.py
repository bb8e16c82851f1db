"""fal's balance: read, followed, watched; and what to do while the account is locked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.errors import AccountLocked, NeedsAdminKey
from bot.fal.errors import FalError, Refused
from bot.fal.platform import Platform
from db import ledger, occasions
from db.models import (
    Access,
    BalanceReading,
    ContentJob,
    EntryKind,
    LedgerEntry,
    Person,
)
from db.outbox import NewNotice
from db.sql import in_transaction, now

logger = logging.getLogger(__name__)

LOCKED, LOW, PROMISED = "account_locked", "balance_low", "balance_promised"
# The reading that differences are counted from will be another one, when nothing is under way.
UNSETTLED = "balance_unsettled"
# A job that ended so long ago is in fal's balance.
SETTLED_AFTER = timedelta(minutes=1)
# No reading takes longer; past it a clock was set back.
LONGEST_READING = timedelta(minutes=1)
# A lock can outlast a top-up, and without an admin key nobody tells when it ends: now and then
# one job is let through to see.
TRY_LOCKED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Coverage:
    """fal's balance beside what people may still spend, all in nano-dollars."""

    balance_nanos: int
    promised_nanos: int
    held_nanos: int

    @property
    def is_covered(self) -> bool:
        """Whether everybody could spend their budget.

        What is held may have left the balance already, or may not.
        """
        return self.promised_nanos - self.held_nanos <= self.balance_nanos


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
        self._reading = asyncio.Lock()

    async def coverage(self) -> Coverage:
        """Read the balance now. Raises `NeedsAdminKey`, or `FalError` if fal does not say."""
        return await _coverage(await self._ask())

    async def check(self) -> None:
        """One look at the balance: keep it, let budgets follow it, tell the admins once."""
        try:
            async with self._reading:
                balance, is_latest = await self._read()
        except NeedsAdminKey:
            return
        except FalError as error:
            logger.warning("the balance cannot be read (%s)", error)
            return
        if not is_latest:
            return  # who has read a later one tells
        coverage = await _coverage(balance)
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
        async with self._reading:
            balance, _ = await self._read()
            await ledger.set_budget(
                person.id, balance, actor_id=actor_id, origin=origin, follows=True
            )

    async def _ask(self) -> int:
        if self._platform is None:
            raise NeedsAdminKey
        with admin_key_needed():
            return await self._platform.balance()

    async def _read(self) -> tuple[int, bool]:
        """Read the balance and act on it; False if another process has read a later one.

        Raises `NeedsAdminKey` or `FalError`.
        """
        asked_at = now()
        balance = await self._ask()
        read_at = await _keep_reading(balance, asked_at)
        if read_at is None:
            return balance, False
        await self._follow(balance, asked_at, read_at)
        return balance, True

    async def lock(self) -> None:
        """fal says that the account is locked: no new jobs, and the admins are told once."""
        await occasions.begin(LOCKED, self._notices(LOCKED, {}))
        self._on_notice()

    async def unlock(self, job_id: int) -> None:
        """fal has taken a job: the account is not locked, as of when that job was sent."""
        if await occasions.holds(LOCKED):
            job = await ContentJob.get(id=job_id)
            await occasions.end(LOCKED, known_at=job.submitted_at)

    async def refuse_while_locked(self) -> bool:
        """Raise `AccountLocked` while the account is locked; True if it is time for a try."""
        since = await occasions.since(LOCKED)
        if since is not None and now() - since < TRY_LOCKED_EVERY:
            raise AccountLocked
        return since is not None

    async def let_try(self) -> None:
        """Let one job through while the account is locked, now and then, of all processes.

        Raises `AccountLocked` if another one is on its way.
        """
        if await occasions.holds(LOCKED) and not await occasions.may_try(LOCKED, TRY_LOCKED_EVERY):
            raise AccountLocked

    async def _follow(self, balance: int, asked_at: datetime, read_at: datetime) -> None:
        """Let budgets follow a reading, for as long as it is the last one of all processes."""
        for person in await Person.exclude(followed_balance_nanos=None):
            async with in_transaction():
                # Its row is kept until the budget has moved: a later reading waits that long.
                last = BalanceReading.filter(name="now", read_at=read_at)
                if not await last.update(read_at=read_at):
                    return
                if not await _top_up(person.id, balance):
                    await ledger.follow(
                        person.id,
                        balance,
                        counted_until=asked_at - SETTLED_AFTER,
                        alert_percents=self._alert_percents,
                    )

    async def _tell(self, name: str, is_so: bool, amounts: dict[str, object]) -> None:
        if is_so:
            await occasions.begin(name, self._notices(name, amounts))
        else:
            await occasions.end(name)

    def _notices(self, kind: str, content: dict[str, object]) -> Sequence[NewNotice]:
        return [NewNotice(admin_id, kind, content) for admin_id in self._admin_ids]


@contextmanager
def admin_key_needed() -> Iterator[None]:
    """What fal does not tell to the key that is set: raises `NeedsAdminKey`."""
    try:
        yield
    except Refused as error:
        if error.status not in (401, 403):
            raise
        logger.warning("FAL_ADMIN_KEY is not taken for a key of ADMIN scope (%s)", error)
        raise NeedsAdminKey from error


async def _top_up(person_id: int, balance: int) -> bool:
    """A rise is a top-up: the budget is measured against it, alerts are armed again.

    False if it is none. A budget that was set meanwhile follows no more, and stands.
    """
    is_rise = await Person.filter(id=person_id, followed_balance_nanos__lt=balance).update(
        followed_balance_nanos=balance
    )
    if is_rise:
        origin = f"top-up:{person_id}:{now().isoformat()}"
        await ledger.set_budget(person_id, balance, actor_id=None, origin=origin, follows=True)
    return bool(is_rise)


async def _coverage(balance: int) -> Coverage:
    """What people who are in may still spend; budgets that follow the balance promise nothing."""
    rows = await Person.filter(
        access=Access.APPROVED, followed_balance_nanos=None, budget_nanos__isnull=False
    ).values("budget_nanos", "spent_nanos", "held_nanos")
    promised = held = 0
    for row in rows:
        remaining = max(0, row["budget_nanos"] - row["spent_nanos"])
        promised += remaining
        held += min(remaining, row["held_nanos"])
    return Coverage(balance, promised, held)


async def count_anew() -> None:
    """Count differences from the next quiet reading on.

    fal has changed a bill, and nobody can tell on which side of a reading the balance moved.
    """
    await occasions.begin(UNSETTLED, ())


async def _keep_reading(balance: int, asked_at: datetime) -> datetime | None:
    """Keep a reading as `now`, and as `then` where differences are to be counted from it.

    Return when it was read; None if another process has read meanwhile: nobody can tell which of
    the two is the later one, so this one counts for nothing. A top-up unlocks the account.
    """
    moment = now()
    values = {"balance_nanos": balance, "read_at": moment}
    async with in_transaction():
        last, is_first = await BalanceReading.get_or_create(name="now", defaults=values)
        is_top_up = not is_first and balance > last.balance_nanos
        if not is_first:
            if asked_at < last.read_at < asked_at + LONGEST_READING:
                return None
            same = BalanceReading.filter(name="now", read_at=last.read_at)
            if not await same.update(**values):
                return None
        is_quiet = await _is_quiet(moment)
        was_unsettled = await occasions.holds(UNSETTLED)
        if is_first or is_top_up or (is_quiet and was_unsettled):
            await BalanceReading.update_or_create(name="then", defaults=values)
        if is_quiet:
            await occasions.end(UNSETTLED)
        elif is_first or is_top_up:
            await occasions.begin(UNSETTLED, ())
        if is_top_up:
            await occasions.end(LOCKED)
    return moment


async def _is_quiet(moment: datetime) -> bool:
    """Whether all that jobs cost is in fal's balance as it is in the books: none is under way."""
    if await Person.filter(active_jobs__gt=0).exists():
        return False
    ends = LedgerEntry.filter(kind__in=[EntryKind.CHARGE, EntryKind.RELEASE])
    last = await ends.order_by("-id").first()
    return last is not None and last.created_at <= moment - SETTLED_AFTER
