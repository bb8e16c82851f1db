"""What was spent when and on what, and how long the rest will last."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.budget import Forecast
from bot.sandbox import Fault, Sandbox
from bot.sandbox.fal.schemas import Price as ListPrice
from bot.spending import PACE_DAYS, by_day, forecast_of, model_name, team_figures
from db.models import Access, ContentJob, LedgerEntry, Person
from db.reads import spent_since
from tests.bot.accountant import ADMIN_ID, DOLLAR, Accountant, accountant

PICTURE, VIDEO = 25_000_000, 500_000_000
DEV, LUMA = "FLUX.1 [dev]", "Luma Dream Machine"


@pytest.fixture
async def office(sandbox: Sandbox, database_url: str) -> AsyncIterator[Accountant]:
    async with accountant(sandbox, database_url) as made:
        midnight = made.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        made.passes(seconds=(midnight + timedelta(days=2, hours=12) - made.clock.now()).seconds)
        yield made


async def days_of(office: Accountant, person: Person | None, days: int) -> list[dict[str, int]]:
    """What was spent on each of the last days, by model."""
    found = await by_day(None if person is None else person.id, days, office.catalog)
    assert [day.day for day in found] == [
        (office.clock.now() - timedelta(days=back)).date() for back in reversed(range(days))
    ]
    return [dict(day.by_model) for day in found]


async def forecast_for(office: Accountant, person: Person) -> Forecast:
    """What `/budget` and an alert say about the time to come."""
    stored = await Person.get(id=person.id)
    [spent] = await spent_since([(person.id, office.clock.now() - timedelta(days=PACE_DAYS))])
    return await forecast_of(stored, spent, office.catalog, office.prices)


# ---------------------------------------------------------------------------------- by day


async def test_spending_is_told_by_day_and_model(office: Accountant) -> None:
    bea, luc = await office.person(10 * DOLLAR), await office.person(10 * DOLLAR)
    await office.make(bea)
    await office.make(luc, "video")
    office.passes(days=2)
    await office.make(bea)
    await office.make(bea)
    await office.make(bea, "video")
    today = {DEV: 2 * PICTURE, LUMA: VIDEO}
    assert await days_of(office, bea, 4) == [{}, {DEV: PICTURE}, {}, today]
    assert await days_of(office, luc, 3) == [{LUMA: VIDEO}, {}, {}]
    assert await days_of(office, None, 3) == [{DEV: PICTURE, LUMA: VIDEO}, {}, today]
    assert await days_of(office, bea, 1) == [today]


async def test_the_first_day_begins_at_midnight(office: Accountant) -> None:
    bea = await office.person(10 * DOLLAR)
    job = await office.make(bea)
    midnight = office.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    entries = LedgerEntry.filter(job=job, total_delta_nanos__not=0)
    for moment, told in (
        (midnight - timedelta(days=2), [{DEV: PICTURE}, {}, {}]),
        (midnight - timedelta(days=2, microseconds=1), [{}, {}, {}]),
        (midnight - timedelta(microseconds=1), [{}, {DEV: PICTURE}, {}]),
        (midnight, [{}, {}, {DEV: PICTURE}]),
    ):
        await entries.update(created_at=moment)
        assert await days_of(office, bea, 3) == told


async def test_an_adjustment_counts_on_the_day_of_its_bill(office: Accountant) -> None:
    bea = await office.person(10 * DOLLAR)
    office.fal.faults.add(Fault("late", seconds=86400), "bill")
    office.fal.discount = office.fal.discount + 10
    await office.make(bea)
    office.passes(days=1)
    office.passes(minutes=5)
    await office.reconciler.reconcile()
    assert await days_of(office, bea, 2) == [{DEV: PICTURE}, {DEV: -PICTURE // 10}]


async def test_what_a_budget_follows_is_nothing_that_was_spent(office: Accountant) -> None:
    ada = await office.person()
    await office.watch.start_following(ada, actor_id=ADMIN_ID, origin="test:auto")
    office.fal.balance_nanos -= 5 * DOLLAR
    await office.watch.check()
    assert await days_of(office, ada, 2) == [{}, {}]


async def test_a_model_that_left_the_catalog_is_called_by_its_endpoint(
    office: Accountant,
) -> None:
    bea = await office.person(10 * DOLLAR)
    job = await office.make(bea)
    await ContentJob.filter(id=job.id).update(endpoint="fal-ai/old/model")
    assert await days_of(office, bea, 1) == [{"fal-ai/old/model": PICTURE}]
    assert model_name("fal-ai/flux/dev/image-to-image", office.catalog) == DEV


# --------------------------------------------------------------------------------- forecast


async def test_the_forecast_goes_by_the_pace_of_the_last_seven_days(office: Accountant) -> None:
    bea = await office.person(10 * DOLLAR)
    await office.make(bea, "video")  # eight days ago: no part of the pace
    office.passes(days=8)
    for _ in range(2):
        await office.make(bea, "video")
    left = 10 * DOLLAR - 3 * VIDEO
    assert await forecast_for(office, bea) == Forecast(
        days=left * 7 // (2 * VIDEO), pictures=left // PICTURE, videos=left // VIDEO
    )


async def test_the_pace_of_a_newcomer_is_that_of_the_days_they_are_here(
    office: Accountant,
) -> None:
    bea = await office.person(10 * DOLLAR)
    await Person.filter(id=bea.id).update(created_at=office.clock.now())
    await office.make(bea, "video")
    assert (await forecast_for(office, bea)).days == (10 * DOLLAR - VIDEO) // VIDEO
    office.passes(days=3)
    assert (await forecast_for(office, bea)).days == (10 * DOLLAR - VIDEO) * 4 // VIDEO


async def test_the_forecast_counts_the_models_that_were_chosen_at_todays_price(
    office: Accountant,
) -> None:
    bea = await office.person(DOLLAR)
    await Person.filter(id=bea.id).update(image_model="flux-schnell", video_model="ray-2-flash")
    office.fal.prices["fal-ai/flux/schnell"] = ListPrice("megapixels", Decimal("0.004"))
    await office.prices.refresh()
    forecast = await forecast_for(office, bea)
    assert (forecast.days, forecast.pictures, forecast.videos) == (None, 250, 5)


async def test_what_is_held_is_not_there_to_spend(office: Accountant) -> None:
    office.fal.pace = "manual"
    bea = await office.person(DOLLAR)
    await office.order(bea, "video")
    forecast = await forecast_for(office, bea)
    assert (forecast.pictures, forecast.videos) == (20, 1)


async def test_a_model_whose_price_cannot_be_counted_is_left_out(office: Accountant) -> None:
    office.fal.prices["fal-ai/flux/dev"] = ListPrice("compute seconds", Decimal("0.001"))
    await office.prices.refresh()
    forecast = await forecast_for(office, await office.person(DOLLAR))
    assert (forecast.pictures, forecast.videos) == (None, 2)


async def test_money_that_came_back_is_no_pace(office: Accountant) -> None:
    bea = await office.person(DOLLAR)
    office.fal.faults.add(Fault("late", seconds=5 * 86400), "bill")
    office.fal.discount = Decimal(50)
    await office.make(bea)
    office.passes(days=6)
    await office.reconciler.reconcile()
    office.passes(days=2)
    assert (await forecast_for(office, bea)).days is None


# ------------------------------------------------------------------------------- everybody


async def test_the_figures_of_everybody_together(office: Accountant) -> None:
    bea, luc = await office.person(DOLLAR), await office.person(DOLLAR)
    await office.make(bea)
    office.fal.faults.add(Fault("fails", status=500), "job")
    await office.make(luc)
    await Person.create(id=666, access=Access.DENIED)
    figures = await team_figures()
    assert (figures.people, figures.jobs, figures.failed) == (3, 2, 1)
    assert figures.total_nanos == PICTURE
