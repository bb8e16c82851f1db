"""Two hundred jobs in twenty chats: nobody is flooded, and who has to wait waits alone."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Person, TelegramWorld
from bot.screen import flood
from bot.screen.painter import MESSAGE_SECONDS, MESSAGES_PER_ROUND, Painter
from db.models import ContentJob
from tests.support.running import assert_books, running_bot
from tests.support.waiting import eventually

CHATS, JOBS_EACH = 20, 10
ROUNDS = 20
WAIT_SECONDS = 11

# The databases make no difference here.
pytestmark = pytest.mark.sqlite_only


class Clockwork:
    """The painter of a bot, whose rounds are the test's; Telegram's time goes along."""

    def __init__(self, sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
        self._sandbox = sandbox
        self._painters: list[Painter] = []
        self.seconds = 1_000.0
        made = Painter.__init__

        def remember(painter: Painter, *args: object) -> None:
            made(painter, *args)  # type: ignore[arg-type]
            self._painters.append(painter)

        patch.setattr(Painter, "__init__", remember)
        patch.setattr(Painter, "run", lambda painter: asyncio.Event().wait())
        patch.setattr("bot.screen.painter.time", self)
        patch.setattr(flood, "time", self)
        patch.setattr("bot.screen.jobwords.now", sandbox.clock.now)

    async def has_heard_of(self, jobs: int) -> None:
        """Return when fal has said of so many jobs how they stand."""
        [painter] = self._painters

        async def heard() -> bool:
            return sum(view.status is not None for view in painter._views.values()) == jobs

        await eventually(heard, 60, "how all jobs stand")

    def monotonic(self) -> float:
        """What the painter and the limits of the chats take for the time."""
        return self.seconds

    async def round(self) -> None:
        """A second passes, and what is due is painted."""
        [painter] = self._painters
        self.seconds += 1
        self._sandbox.clock.advance(1)
        painter.paint(self.seconds)

        async def painted() -> bool:
            return all(view.edit is None for view in painter._views.values())

        await eventually(painted, what="all edits of a round")


def edits(world: TelegramWorld) -> dict[tuple[int, int], list[datetime]]:
    """When each message was edited, by chat and message, as Telegram saw it."""
    found = defaultdict(list)
    for call in world.called("editMessageText"):
        found[call.given["chat_id"], call.given["message_id"]].append(call.at)
    return {(int(chat), int(message)): moments for (chat, message), moments in found.items()}


@pytest.mark.slow
async def test_status_messages_are_edited_on_change_only_and_three_seconds_apart(
    sandbox: Sandbox, world: TelegramWorld, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clockwork = Clockwork(sandbox, monkeypatch)
    sandbox.fal.pace, sandbox.fal.concurrency = "manual", CHATS * JOBS_EACH // 2
    async with running_bot(sandbox, database_url, max_active_jobs=JOBS_EACH) as running:
        people = [world.person(id=2000 + number) for number in range(CHATS)]
        await running.let_in(*people, budget_nanos=10**9)
        for number in range(JOBS_EACH):
            for person in people:
                await person.sends(f"/image fox {number}")
        requests = list(await sandbox.fal.wait_for_requests(CHATS * JOBS_EACH, timeout=60))
        for request in requests[: len(requests) // 2]:
            sandbox.fal.start(request)
        await clockwork.has_heard_of(CHATS * JOBS_EACH)

        waits = people[0]
        for number in range(ROUNDS):
            if number == ROUNDS // 4:
                fault = Fault("flood", retry_after=WAIT_SECONDS)
                world.faults.add(fault, "editMessageText", waits.id)
            await clockwork.round()
        _assert_paced(world, waits)

        for request in requests:
            sandbox.fal.complete(request)
        jobs = await running.all_shown(CHATS * JOBS_EACH, timeout=60)
        assert len(jobs) == await ContentJob.filter(state="delivered").count()
        shown = [message for person in people for message in person.chat.from_bot]
        pictures = {message.id for message in shown if message.kind == "photo"}
        assert pictures == {job.status_message_id for job in jobs}
        await assert_books(running.connection)


def _assert_paced(world: TelegramWorld, waits: Person) -> None:
    """As Telegram saw it: each message, each chat, and the one that was told to wait."""
    by_message = edits(world)
    assert len(by_message) == CHATS * JOBS_EACH
    for moments in by_message.values():
        gaps = [(second - first).total_seconds() for first, second in pairwise(moments)]
        assert all(gap > MESSAGE_SECONDS - 0.5 for gap in gaps), gaps
    # Half of them wait in the queue, of which there is one thing to say; Telegram refuses an edit
    # that changes nothing.
    assert sum(len(moments) == 1 for moments in by_message.values()) >= len(by_message) // 2
    # A round is a second here.
    every = sorted(moment for moments in by_message.values() for moment in moments)
    crowded = [
        second - first for first, second in zip(every, every[MESSAGES_PER_ROUND:], strict=False)
    ]
    assert min(crowded) > timedelta(seconds=0.5), "more at once than all chats together may have"
    refused = [call.error for call in world.called("editMessageText") if call.error]
    assert [error.partition(":")[0] for error in refused] == ["Too Many Requests"]

    by_chat: dict[int, list[datetime]] = defaultdict(list)
    for (chat, _), moments in by_message.items():
        by_chat[chat] += moments
    for chat, moments in by_chat.items():
        moments.sort()
        longest = max(second - first for first, second in pairwise(moments))
        assert (longest >= timedelta(seconds=WAIT_SECONDS)) == (chat == waits.id), (chat, longest)
