"""When fal does not say, or says what cannot be, the books wait; and are right the next time."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from bot.fal.errors import FalError, Unavailable
from bot.sandbox import Fault, Sandbox
from db.models import OutsideBill
from tests.bot.accountant import DOLLAR, Accountant, accountant


@pytest.fixture
async def office(sandbox: Sandbox, database_url: str) -> AsyncIterator[Accountant]:
    async with accountant(sandbox, database_url, is_migrated=True) as made:
        yield made


@pytest.mark.parametrize(
    "fault",
    ["html", "garbage", "cut", "reset", "bad_gateway", "rate_limited", "server_error", "not_found"],
)
async def test_what_fal_could_not_say_is_booked_the_next_time(
    office: Accountant, fault: str
) -> None:
    bea = await office.person(DOLLAR)
    office.fal.discount = office.fal.discount + 10
    await office.make(bea)
    office.fal.faults.add(Fault(fault, retry_after=0), "billing_events")
    with pytest.raises(FalError):
        await office.reconciler.reconcile()
    await bea.refresh_from_db()
    assert bea.total_spent_nanos == 25_000_000
    assert not await OutsideBill.exists()
    await office.reconciler.reconcile()
    await bea.refresh_from_db()
    assert bea.total_spent_nanos == office.fal.bill_total_nanos == 22_500_000


async def test_an_absurd_bill_is_not_booked_until_fal_has_put_it_right(
    office: Accountant, caplog: pytest.LogCaptureFixture
) -> None:
    bea = await office.person(DOLLAR)
    office.fal.faults.add("absurd", "bill")
    await office.make(bea)
    for _ in range(2):
        with caplog.at_level(logging.WARNING):
            await office.reconciler.reconcile()
        await bea.refresh_from_db()
        assert bea.total_spent_nanos == 25_000_000
    assert "makes no sense" in caplog.text
    [bill] = office.fal.account.bills
    bill.total_nanos = 20_000_000
    await office.reconciler.reconcile()
    await bea.refresh_from_db()
    assert bea.total_spent_nanos == 20_000_000


async def test_while_fal_asks_to_wait_it_is_left_alone(office: Accountant) -> None:
    await office.make(await office.person(DOLLAR))
    office.fal.faults.add("rate_limited", "billing_events")
    for _ in range(3):
        with pytest.raises(Unavailable):
            await office.reconciler.reconcile()
    assert len([call for call in office.fal.calls if call.operation == "billing_events"]) == 1
