"""What must hold after all the killing, looked at from outside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from tortoise.functions import Sum

from bot.sandbox import Sandbox
from bot.sandbox.telegram import Message
from db.audit import verify
from db.connection import connect
from db.models import ContentJob, Notice, Person
from tests.chaos.story import PICTURES_TO_AN_ALERT, Story, Wish

UNDER_WAY = timedelta(seconds=1)
RUNNING_LOW = "running low"
IS_READY = " is ready."


@dataclass
class Figures:
    """The figures of a run; `breaches` are sentences, none if every promise was kept."""

    database: str
    kills: int = 0
    jobs: int = 0
    submits: int = 0
    charges: int = 0
    deliveries: int = 0
    alerts: int = 0
    repeated: int = 0
    holds_left: int = 0
    difference_nanos: int = 0
    start_seconds: float = 0.0
    breaches: list[str] = field(default_factory=list)

    def columns(self) -> dict[str, str]:
        """What the table shows, by the heads of its columns."""
        return {
            "database": self.database,
            "kills": str(self.kills),
            "jobs": str(self.jobs),
            "submits": str(self.submits),
            "charges": str(self.charges),
            "deliveries": str(self.deliveries),
            "alerts": str(self.alerts),
            "sent twice": str(self.repeated),
            "holds left": str(self.holds_left),
            "difference (nano-dollars)": str(self.difference_nanos),
        }


def table(runs: Sequence[Figures]) -> str:
    """The figures as a table, in Markdown."""
    rows = [run.columns() for run in runs]
    heads = list(rows[0])
    width = {head: max(len(head), *(len(row[head]) for row in rows)) for head in heads}
    lines = [{head: head for head in heads}, {head: "-" * width[head] for head in heads}, *rows]
    return "\n".join(
        "| " + " | ".join(line[head].ljust(width[head]) for head in heads) + " |" for line in lines
    )


class Audit:
    """Holds what people saw and what fal got against the promises; complaints go to `figures`."""

    def __init__(
        self, sandbox: Sandbox, story: Story, kills: Sequence[datetime], figures: Figures
    ) -> None:
        self._sandbox = sandbox
        self._story = story
        self._kills = kills
        self._figures = figures

    def chats(self) -> None:
        """Every wish was told, shown once if fal made it, and never otherwise."""
        requests = Counter(str(one.arguments["prompt"]) for one in self._sandbox.fal.requests)
        made = {
            str(one.arguments["prompt"]).split()[0] for one in self._sandbox.fal.requests if one.ok
        }
        self._figures.submits = requests.total()
        for prompt, count in requests.items():
            if count > 1:
                self._breach(f"{prompt!r} was submitted {count} times")
        for wish in self._story.wishes:
            self._wish(wish, wish.token in made)
        for spender in self._story.spenders:
            for amount, wishes in spender.budgets.items():
                charged = sum(wish.token in made for wish in wishes)
                self._alerts(spender.person.chat.from_bot, amount, charged)
        self._ready()
        for complaint in self._sandbox.telegram.complaints + self._sandbox.fal.complaints:
            self._breach(f"the bot asked for what there is not: {complaint}")

    async def books(self, database_url: str) -> None:
        """The books are in order, nothing is held or waits, and the bill is theirs."""
        figures = self._figures
        async with connect(database_url, read_only=True) as connection:
            for finding in await verify(connection):
                self._breach(str(finding))
            jobs = await ContentJob.all()
            held = await Person.annotate(held=Sum("held_nanos")).values("held")
            spent = await Person.annotate(spent=Sum("total_spent_nanos")).values("spent")
            due = await Notice.filter(closed_at=None).count()
        figures.jobs = len(jobs)
        figures.charges = sum(bool(job.cost_nanos) for job in jobs)
        figures.holds_left = sum(job.is_held for job in jobs)
        billed = self._sandbox.fal.bill_total_nanos
        figures.difference_nanos = int(spent[0]["spent"] or 0) - billed
        if figures.holds_left or int(held[0]["held"] or 0):
            self._breach(f"{figures.holds_left} holds did not end")
        if figures.difference_nanos:
            self._breach(f"the books differ from fal's bill by {figures.difference_nanos} nanos")
        if due:
            self._breach(f"{due} notices were not delivered")
        for job in jobs:
            if job.shown_at is None:
                self._breach(f"job {job.id} is {job.state.value} and nobody was told")
        if figures.jobs != len(self._story.wishes):
            self._breach(f"{len(self._story.wishes)} wishes made {figures.jobs} jobs")

    def log(self, text: str) -> None:
        """Nothing unexpected was logged."""
        marked = [match[1] for match in re.finditer(r" (?:ERROR|CRITICAL) +(.+)", text)]
        for words, count in Counter(marked).items():
            self._breach(f"logged {count} times: {words}")
        if not marked and "Traceback" in text:
            self._breach("a traceback was logged")

    def _wish(self, wish: Wish, was_made: bool) -> None:
        shown, media = wish.shown(), wish.media()
        if not shown:
            self._breach(f"{wish.token} was never answered")
        elif not wish.told():
            self._breach(f"{wish.token} has no end: {shown}")
        if len(media) != int(was_made):
            self._breach(f"{wish.token} was {'' if was_made else 'not '}made, shown: {media}")
        self._figures.deliveries += len(media)
        self._repeats(f"the status of {wish.token}", shown, 1)

    def _alerts(self, messages: Sequence[Message], amount: str, charged: int) -> None:
        """One alert at each crossing of a budget under which so many pictures were charged."""
        alerts = [
            message
            for message in messages
            if f"of ${amount} left" in message.text and RUNNING_LOW in message.text
        ]
        texts: dict[str, list[Message]] = {}
        for message in alerts:
            texts.setdefault(message.text.splitlines()[0], []).append(message)
        crossed = sum(charged >= count for count in PICTURES_TO_AN_ALERT)
        if len(texts) != crossed:
            self._breach(f"{crossed} crossings of ${amount}, alerts: {list(texts)}")
        self._figures.alerts += len(texts)
        for text, same in texts.items():
            self._repeats(f"the alert {text!r}", same, 1)

    def _ready(self) -> None:
        """The short reply to a result that took long comes once."""
        for chat in self._sandbox.telegram.chats.values():
            replies: dict[int, list[Message]] = {}
            for message in chat.from_bot:
                if message.text.endswith(IS_READY) and message.reply_to is not None:
                    replies.setdefault(message.reply_to.id, []).append(message)
            for same in replies.values():
                self._repeats("a result that is ready", same, 1)

    def _repeats(self, what: str, messages: Sequence[Message], expected: int) -> None:
        """What Telegram cannot do exactly once comes again only if a kill fell in between."""
        self._figures.repeated += max(0, len(messages) - expected)
        for first, second in pairwise(messages):
            # What a process sent before it was killed may arrive a moment later.
            if not any(first.date - UNDER_WAY <= kill <= second.date for kill in self._kills):
                self._breach(f"{what} came twice, and no kill was the reason")

    def _breach(self, sentence: str) -> None:
        self._figures.breaches.append(f"{self._figures.database}: {sentence}")


def unended(story: Story) -> Iterator[Wish]:
    """The wishes whose end is not in the chat."""
    return (wish for wish in story.wishes if not wish.told())
