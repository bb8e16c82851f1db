"""Whatever fails at Telegram and at fal at the same time: one end, one bill, one sentence."""

from __future__ import annotations

import pytest

from bot.sandbox import Sandbox
from bot.screen.chat import wait_of
from tests.faults.matrix import FAL, TELEGRAM, Deadline, Row, time_runs_out
from tests.support.running import running_bot

# The databases make no difference here.
pytestmark = pytest.mark.sqlite_only


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting for it; a second of flood control is a millisecond.

    Progress is shown every second, to which a fault would be wasted.
    """
    monkeypatch.setattr("bot.jobs.SLOWEST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("bot.screen.flood.FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("bot.screen.painter.ROUND_SECONDS", 3600)
    monkeypatch.setattr("bot.screen.flood.wait_of", lambda error: wait_of(error) / 1000)


@pytest.mark.parametrize("kind", ["image", "video"])
@pytest.mark.parametrize("at_telegram", TELEGRAM)
async def test_whatever_fails_at_both_ends_a_job_has_one_end_and_one_bill(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    at_telegram: str,
    kind: str,
) -> None:
    deadline = Deadline(monkeypatch)
    async with (
        Sandbox() as sandbox,
        time_runs_out(sandbox, deadline),
        running_bot(sandbox, database_url) as running,
    ):
        row = Row(sandbox, running, TELEGRAM[at_telegram], caplog)
        for name in FAL:
            try:
                await row.play(kind, name)
            except Exception as error:
                error.add_note(f"{kind}: {at_telegram} at Telegram, {name} at fal")
                raise
