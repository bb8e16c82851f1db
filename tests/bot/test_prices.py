"""What things cost: fal's word where there is one, asked once a minute at most, kept for ever."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from bot.errors import BadRequest, UnknownUnit
from bot.fal import platform as fal_platform
from bot.prices import PriceBook
from bot.sandbox import Fault, Sandbox
from bot.sandbox.fal.schemas import Price as ListPrice
from db.models import ContentJob
from db.models import Price as StoredPrice
from tests.bot.accountant import DOLLAR, Accountant, accountant

DEV = "fal-ai/flux/dev"


@pytest.fixture
async def office(sandbox: Sandbox, database_url: str) -> AsyncIterator[Accountant]:
    async with accountant(sandbox, database_url, is_migrated=True) as made:
        yield made


def asked(office: Accountant) -> int:
    """How often fal was asked for prices."""
    return len([call for call in office.fal.calls if call.operation == "pricing"])


async def price_of(office: Accountant, endpoint: str = DEV) -> tuple[str, int, str]:
    """Unit, nano-dollars and origin of a price."""
    price = await office.prices.of(office.catalog.endpoint(endpoint))
    return price.unit, price.unit_price_nanos, price.origin


def list_price(office: Accountant, amount: str, unit: str = "megapixels") -> None:
    """Let fal ask so much for a picture."""
    office.fal.prices[DEV] = ListPrice(unit, Decimal(amount))


async def test_before_fal_has_said_anything_the_catalog_counts_and_says_so(
    office: Accountant,
) -> None:
    assert await price_of(office) == ("megapixels", 25_000_000, "fallback")
    job = await office.make(await office.person(DOLLAR))
    assert job.price_origin == "fallback"


async def test_what_fal_says_counts_and_is_exact(office: Accountant) -> None:
    list_price(office, "0.031250001")
    assert await office.prices.refresh() == len(office.catalog.endpoint_ids)
    assert await price_of(office) == ("megapixels", 31_250_001, "api")
    job = await office.make(await office.person(DOLLAR))
    assert (job.quote_nanos, job.price_origin) == (31_250_001, "api")


@pytest.mark.parametrize(
    ("amount", "nanos"), [("1e-9", 1), ("0.000000003", 3), ("1000000", 10**15)]
)
async def test_the_smallest_and_the_largest_price_are_exact(
    office: Accountant, amount: str, nanos: int
) -> None:
    list_price(office, amount)
    await office.prices.refresh()
    assert await price_of(office) == ("megapixels", nanos, "api")


@pytest.mark.parametrize(
    ("amount", "nanos"),
    [
        ("0.022500000000000003", 22_500_000),  # 0.025 * 0.9 in binary
        ("0.30000000000000004", 300_000_000),
        ("0.7999999999999999", 800_000_000),
        ("1.0000000000000002e-9", 1),
    ],
)
async def test_the_noise_of_binary_fractions_is_no_part_of_a_price(
    office: Accountant, amount: str, nanos: int
) -> None:
    list_price(office, amount)
    await office.prices.refresh()
    assert await price_of(office) == ("megapixels", nanos, "api")


@pytest.mark.parametrize(
    "amount",
    [
        "0",
        "-1",
        "0.0225000000000001",
        "1e30",
        "0.0000000001",
        "0.0250000005",
        "1e-10",
        "1000000.000000001",
        "9223372036.854775808",
    ],
)
async def test_a_price_that_cannot_be_kept_exactly_is_not_kept(
    office: Accountant, amount: str, caplog: pytest.LogCaptureFixture
) -> None:
    list_price(office, amount)
    with caplog.at_level(logging.WARNING):
        assert await office.prices.refresh() == len(office.catalog.endpoint_ids) - 1
    assert DEV in caplog.text
    assert await price_of(office) == ("megapixels", 25_000_000, "fallback")


@pytest.mark.parametrize("unit", ["x" * 65, "mega\x00pixels", ""])
async def test_a_unit_that_no_model_can_have_is_not_kept(office: Accountant, unit: str) -> None:
    list_price(office, "1", unit)
    await office.prices.refresh()
    assert await price_of(office) == ("megapixels", 25_000_000, "fallback")


async def test_a_bad_price_leaves_the_last_good_one(office: Accountant) -> None:
    list_price(office, "0.05")
    await office.prices.refresh()
    list_price(office, "0")
    office.passes(days=1)
    await office.prices.refresh()
    assert await price_of(office) == ("megapixels", 50_000_000, "api")


# ------------------------------------------------------------------------------- how often it asks


async def test_fal_is_asked_at_most_once_a_minute_however_often_the_bot_starts(
    office: Accountant,
) -> None:
    for _ in range(3):
        assert await PriceBook(office.catalog, office.platform).refresh()
        office.passes(seconds=15)
    assert asked(office) == 1
    office.passes(seconds=30)
    assert await office.prices.refresh()
    assert asked(office) == 2


async def test_the_prices_are_there_after_a_restart_also_when_fal_is_silent(
    office: Accountant,
) -> None:
    list_price(office, "0.05")
    await office.prices.refresh()
    office.passes(hours=1)
    office.fal.faults.add("unavailable", "pricing", times=None)
    after = PriceBook(office.catalog, office.platform)
    assert await after.refresh() == 0  # to be asked again soon
    price = await after.of(office.catalog.endpoint(DEV))
    assert (price.unit_price_nanos, price.origin) == (50_000_000, "api")


async def test_old_prices_count_but_are_not_taken_for_todays(office: Accountant) -> None:
    await office.prices.refresh()
    office.passes(days=2)
    office.fal.faults.add("html", "pricing")
    assert await office.prices.refresh() == 0
    office.passes(seconds=30)
    assert await office.prices.refresh() == 0  # too soon to ask, and not known for today
    assert (await price_of(office))[2] == "api"
    office.passes(minutes=5)
    assert await office.prices.refresh() == len(office.catalog.endpoint_ids)


async def test_who_is_told_to_wait_waits(
    office: Accountant, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1000.0
    monkeypatch.setattr(fal_platform, "monotonic", lambda: moment)
    office.fal.faults.add(Fault("rate_limited", retry_after=400), "pricing")
    assert await office.prices.refresh() == 0
    for _ in range(3):
        moment += 120
        office.passes(minutes=2)
        assert await office.prices.refresh() == 0
        assert asked(office) == 1
    moment += 120
    office.passes(minutes=2)
    assert await office.prices.refresh()
    assert asked(office) == 2


async def test_one_model_that_fal_has_taken_away_does_not_hide_the_prices_of_the_others(
    office: Accountant,
) -> None:
    del office.fal.prices[DEV]
    rounds = 0
    while not await office.prices.refresh():
        office.passes(minutes=5)
        rounds += 1
        assert rounds < 20
    ids = set(office.catalog.endpoint_ids)
    assert {price.endpoint for price in await StoredPrice.all()} == ids - {DEV}
    assert (await price_of(office))[2] == "fallback"
    assert asked(office) == rounds + 1


@pytest.mark.parametrize("fault", ["html", "garbage", "reset", "bad_gateway", "unauthorized"])
async def test_a_price_list_that_cannot_be_read_is_asked_again_soon(
    office: Accountant, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    office.fal.faults.add(fault, "pricing")
    with caplog.at_level(logging.WARNING):
        assert await office.prices.refresh() == 0
    assert "price list" in caplog.text
    office.passes(minutes=5)
    assert await office.prices.refresh() == len(office.catalog.endpoint_ids)


async def test_one_price_is_asked_for_in_the_same_turns_as_the_list(office: Accountant) -> None:
    await office.prices.refresh()
    with pytest.raises(BadRequest) as refusal:
        await office.prices.learn("fal-ai/recraft/v3/text-to-image")
    assert refusal.value.key == "error.request.price_later"
    assert asked(office) == 1
    office.passes(minutes=2)
    assert await office.prices.learn("fal-ai/recraft/v3/text-to-image") is not None
    assert asked(office) == 2
    # What is known for today needs no turn.
    assert await office.prices.learn("fal-ai/recraft/v3/text-to-image") is not None
    assert asked(office) == 2
    office.passes(hours=25)
    assert await office.prices.learn("fal-ai/recraft/v3/text-to-image") is not None
    assert asked(office) == 3


async def test_a_price_asked_for_in_between_does_not_put_the_list_off(office: Accountant) -> None:
    await office.prices.learn(DEV)
    assert await office.prices.refresh() == 0  # one is known for today, the others are not
    office.passes(minutes=2)
    assert await office.prices.refresh() == len(office.catalog.endpoint_ids)


# ---------------------------------------------------------------------------------- unknown units


async def test_a_unit_that_cannot_be_counted_beforehand_is_refused(office: Accountant) -> None:
    list_price(office, "0.001", "compute seconds")
    await office.prices.refresh()
    bea = await office.person(DOLLAR)
    with pytest.raises(UnknownUnit) as refusal:
        await office.order(bea)
    assert refusal.value.params["unit"] == "compute seconds"
    assert not await ContentJob.exists()
    assert not office.fal.requests


async def test_a_price_in_another_unit_is_counted_in_that_unit(office: Accountant) -> None:
    """fal may price a model by the picture today and by the megapixel tomorrow."""
    office.fal.prices["fal-ai/luma-dream-machine"] = ListPrice("seconds", Decimal("0.1"))
    await office.prices.refresh()
    bea = await office.person(DOLLAR)
    job = await office.make(bea, "video")
    assert job.quote_nanos == DOLLAR // 2
    await office.reconciler.reconcile()
    await bea.refresh_from_db()
    assert bea.total_spent_nanos == office.fal.bill_total_nanos


async def test_a_price_that_rose_since_is_corrected_by_the_bill(office: Accountant) -> None:
    await office.prices.refresh()
    bea = await office.person(DOLLAR)
    list_price(office, "0.04")
    job = await office.make(bea)
    assert job.cost_nanos == 25_000_000
    await office.reconciler.reconcile()
    await bea.refresh_from_db()
    assert bea.total_spent_nanos == 40_000_000
