"""A few kills in every run of the tests; `make chaos` does hundreds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.run import run

KILLS = 10


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_bot_that_is_killed_again_and_again_keeps_its_promises(
    database_url: str, tmp_path: Path
) -> None:
    figures = await run(
        database_url, tmp_path, kills=KILLS, seed=1, auditing=asyncio.Lock(), hurried=True
    )
    assert figures.breaches == []
    assert figures.kills >= KILLS
    assert figures.deliveries > 0
