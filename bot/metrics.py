"""What can be watched from outside, for Prometheus. No personal data."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from tortoise.functions import Count, Sum

from bot.money import NANOS_PER_DOLLAR
from db.models import BalanceReading, ContentJob, Notice, Person

ANSWER_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of this process, and gauges that are read from the database when asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.updates = Counter("bot_updates", "Updates worked on.", registry=self.registry)
        self.update_seconds = Histogram(
            "bot_update_seconds",
            "Time to work on an update.",
            buckets=ANSWER_BUCKETS,
            registry=self.registry,
        )
        self.update_errors = Counter(
            "bot_update_errors", "Updates that failed by a defect.", registry=self.registry
        )
        self.callbacks = Counter(
            "bot_callbacks",
            "Callbacks over HTTP, by sender and outcome.",
            ["sender", "outcome"],
            registry=self.registry,
        )
        self.fal_errors = Counter(
            "bot_fal_errors",
            "Requests to fal that went wrong, by HTTP status or kind of failure.",
            ["error"],
            registry=self.registry,
        )
        self.telegram_errors = Counter(
            "bot_telegram_errors",
            "Calls of the Bot API that went wrong, by kind.",
            ["error"],
            registry=self.registry,
        )
        self.notices_sent = Counter(
            "bot_notices_sent", "Notices delivered, by kind.", ["kind"], registry=self.registry
        )
        self._jobs = Gauge(
            "bot_jobs", "Jobs under way, by state.", ["state"], registry=self.registry
        )
        self._held = self._amount("bot_held_dollars", "Held for jobs under way.")
        self._spent = self._amount("bot_charged_dollars", "Charged since the beginning.")
        self._balance = self._amount("bot_balance_dollars", "fal's balance at its last reading.")
        self._notices = Gauge("bot_notices_due", "Notices not sent yet.", registry=self.registry)

    def _amount(self, name: str, words: str) -> Gauge:
        return Gauge(name, words, registry=self.registry)

    def fal_error(self, error: str) -> None:
        """A request to fal went wrong."""
        self.fal_errors.labels(error).inc()

    def telegram_error(self, error: str) -> None:
        """A call of the Bot API went wrong."""
        self.telegram_errors.labels(error).inc()

    def notice_sent(self, kind: str) -> None:
        """A notice was delivered."""
        self.notices_sent.labels(kind).inc()

    async def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        # Gauges are floats; the books are not touched by it.
        rows = (
            await ContentJob.filter(shown_at=None)
            .annotate(count=Count("id"))
            .group_by("state")
            .values("state", "count")
        )
        self._jobs.clear()
        for row in rows:
            self._jobs.labels(getattr(row["state"], "value", row["state"])).set(row["count"])
        sums = await Person.annotate(held=Sum("held_nanos"), spent=Sum("total_spent_nanos")).values(
            "held", "spent"
        )
        self._held.set(int(sums[0]["held"] or 0) / NANOS_PER_DOLLAR if sums else 0)
        self._spent.set(int(sums[0]["spent"] or 0) / NANOS_PER_DOLLAR if sums else 0)
        reading = await BalanceReading.get_or_none(name="now")
        if reading is not None:
            self._balance.set(reading.balance_nanos / NANOS_PER_DOLLAR)
        self._notices.set(await Notice.filter(closed_at=None).count())
        return generate_latest(self.registry)
