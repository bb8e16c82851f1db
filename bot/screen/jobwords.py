"""What is said about one job: while it waits, while it runs, with its result, or why it ended."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.fal.queue import InProgress, Queued, Status
from bot.i18n import shortened
from bot.settling import file_of
from bot.voice import Voice, figures_of
from db.models import ContentJob, JobState, Person
from db.sql import now

SHOWN_PROMPT = 400
BAR_WIDTH, BAR_BLOCK = 10, 3
LONGEST_LINE = 500
# A message has 4096 characters, and there is more to say in it.
LONGEST_URL = 2000

# Models log as tqdm prints: ` 43%|████      | 12/28 [00:03<00:04, 4.0it/s]`.
_STEPS = re.compile(r"%\|[^|]*\|\s*([0-9]{1,5})/([0-9]{1,5})\b")


class JobWords:
    """The texts of a job for the person who asked for it, in Telegram's HTML."""

    def __init__(self, voice: Voice, job: ContentJob, person: Person, model_name: str) -> None:
        self._voice = voice
        self._texts = voice.texts
        self._job = job
        self._person = person
        self._model_name = model_name

    def waiting(self) -> str:
        """Before fal has said anything."""
        return self._status(self._texts("job.sending"))

    def under_way(self, status: Status | None) -> str:
        """While fal works on it."""
        if self._job.cancel_requested_at is not None:
            return self._status(self._texts("job.cancelling"))
        if isinstance(status, Queued):
            return self._status(self._texts("job.queued", count=status.position))
        if isinstance(status, InProgress):
            steps = steps_of(status)
            if steps is not None:
                values = {"bar": filled_bar(*steps), "done": str(steps[0]), "all": str(steps[1])}
                return self._status(self._texts("job.steps", time=self._time(), **values))
            line = self._texts("job.running", bar=moving_bar(self._elapsed()), time=self._time())
            return self._status(line)
        return self.waiting()

    def caption(self) -> str:
        """Under the result."""
        key = "job.flagged" if file_of(self._job).get("flagged") else f"job.done_{self._job.kind}"
        return self._lines(self._texts(key), self._cost())

    def link(self, url: str) -> str:
        """Instead of a result that cannot be shown: its address, if that fits into a message."""
        if len(url) <= LONGEST_URL:
            head = self._texts("job.link", url=url)
        else:
            head = self._texts("job.no_link", job=str(self._job.id))
        return self._lines(head, self._cost())

    def ended(self) -> str:
        """Why there is no result, and what it cost."""
        if self._job.state == JobState.CANCELLED:
            head = self._texts("job.cancelled")
        else:
            head = self._texts(f"failed.{self._job.error or 'unknown'}")
        cost = self._cost() if self._job.cost_nanos else self._texts("job.free")
        return self._lines(head, cost)

    def cancel_button(self) -> InlineKeyboardMarkup | None:
        """Under the status message, until it was pressed."""
        if self._job.cancel_requested_at is not None:
            return None
        button = InlineKeyboardButton(
            self._texts.plain("button.cancel"), callback_data=f"cancel:{self._job.id}"
        )
        return InlineKeyboardMarkup([[button]])

    def result_buttons(self, *, in_album: bool = False) -> InlineKeyboardMarkup:
        """Under the result: once more, another one, a video of it, the file itself.

        With `in_album` there are others of the same command, to be had together.
        """
        ways = ["redo", "vary"] if self._job.seed is not None else ["redo"]
        ways += ["animate", "file"] if self._job.kind == "image" else ["file"]
        ways += ["together"] if in_album else []
        row = [
            InlineKeyboardButton(
                self._texts.plain(f"button.{way}"), callback_data=f"{way}:{self._job.id}"
            )
            for way in ways
        ]
        # Two in a row: four would be cut on a phone.
        return InlineKeyboardMarkup([row[start : start + 2] for start in range(0, len(row), 2)])

    def _status(self, line: str) -> str:
        quote = self._texts(
            "job.quote" if self._job.price_origin == "api" else "job.quote_fallback",
            quote=self._voice.money(self._job.quote_nanos),
            model=self._model_name,
        )
        lines = [quote, line]
        available = figures_of(self._person).available_nanos
        if available is not None and self._job.chat_id >= 0:
            left = self._texts("job.then_left", amount=self._voice.money(available))
            lines.insert(1, left)
        return self._lines(self._texts(f"job.making_{self._job.kind}"), *lines)

    def _cost(self) -> str:
        cost = self._voice.money(self._job.cost_nanos or 0)
        return self._texts("job.cost", cost=cost, model=self._model_name, time=self._time())

    def _lines(self, head: str, *lines: str) -> str:
        shown = self._texts("job.prompt", prompt=shortened(self._job.prompt, SHOWN_PROMPT))
        if self._job.chat_id >= 0:
            # What a person has left is nobody else's business: not in groups.
            lines = (*lines, self._voice.status_line(self._person))
        return "\n".join([head, shown, *lines])

    def _elapsed(self) -> timedelta:
        end: datetime = self._job.finished_at or now()
        return end - self._job.created_at

    def _time(self) -> str:
        minutes, seconds = divmod(int(self._elapsed().total_seconds()), 60)
        return f"{minutes}:{seconds:02d}"


def steps_of(status: InProgress) -> tuple[int, int] | None:
    """Steps done and all steps, as the model logged them last; None if it logs none."""
    for entry in reversed(status.logs or []):
        message = entry.get("message") if isinstance(entry, dict) else None
        if isinstance(message, str) and (found := _STEPS.findall(message[-LONGEST_LINE:])):
            done, total = (int(number) for number in found[-1])
            return (done, total) if 0 <= done <= total and total > 1 else None
    return None


def filled_bar(done: int, total: int) -> str:
    """A bar as full as the steps are done."""
    full = BAR_WIDTH * done // total
    return "▰" * full + "▱" * (BAR_WIDTH - full)


def moving_bar(elapsed: timedelta) -> str:
    """A bar whose block moves with time: fal does not tell how far a job is."""
    start = int(elapsed.total_seconds()) % BAR_WIDTH
    block = {(start + cell) % BAR_WIDTH for cell in range(BAR_BLOCK)}
    return "".join("▰" if cell in block else "▱" for cell in range(BAR_WIDTH))
