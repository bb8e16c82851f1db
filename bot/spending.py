"""What was spent when and on what, read from the ledger."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from tortoise.functions import Sum

from bot.budget import Forecast, forecast
from bot.catalog import Catalog
from bot.charts import DaySpending
from bot.prices import PriceBook
from bot.voice import figures_of
from db.models import Access, ContentJob, JobState, Person
from db.reads import spent_by_day
from db.sql import now

PACE_DAYS = 7


async def forecast_of(
    person: Person, spent_nanos: int, catalog: Catalog, prices: PriceBook
) -> Forecast:
    """How long the budget lasts and for how much; `spent_nanos` in the last `PACE_DAYS` days."""
    observed = min(PACE_DAYS, (now() - person.created_at).days + 1)
    picture = catalog.choose("image", person.image_model, with_image=False)
    video = catalog.choose("video", person.video_model, with_image=False)
    return forecast(
        figures_of(person),
        spent_nanos,
        await prices.usual_quote(picture),
        await prices.usual_quote(video),
        observed,
    )


@dataclass(frozen=True, slots=True)
class TeamFigures:
    """People let in, jobs made and failed, everything ever spent (nano-dollars)."""

    people: int
    jobs: int
    failed: int
    total_nanos: int


async def team_figures() -> TeamFigures:
    """The figures of everybody together."""
    rows = await Person.annotate(total=Sum("total_spent_nanos")).values("total")
    return TeamFigures(
        people=await Person.filter(access=Access.APPROVED).count(),
        jobs=await ContentJob.all().count(),
        failed=await ContentJob.filter(state=JobState.FAILED).count(),
        total_nanos=int(rows[0]["total"] or 0) if rows else 0,
    )


async def by_day(person_id: int | None, days: int, catalog: Catalog) -> list[DaySpending]:
    """Spending on each of the last `days` days (UTC), today last; of everybody without a person."""
    today = now().date()
    first = today - timedelta(days=days - 1)
    spent: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    midnight = datetime.combine(first, time.min, UTC)
    for day, endpoint, nanos in await spent_by_day(person_id, midnight):
        spent[day][model_name(endpoint, catalog)] += nanos
    return [
        DaySpending(day, dict(spent[day]))
        for day in (first + timedelta(days=number) for number in range(days))
    ]


def model_name(endpoint: str, catalog: Catalog) -> str:
    """The name of an endpoint's model; of one that left the catalog, the endpoint itself."""
    try:
        return catalog.model_of(endpoint).name
    except KeyError:
        return endpoint
