"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of things; `stored_jobs`, `jobs_under_way` and `people` are those of the goals."""

    rounds: int
    answers: int
    stored_jobs: int
    pairs: int
    finished_jobs: int
    deliveries: int
    jobs_under_way: int
    steady_answers: int
    people: int
    starts: int


FULL = Sizes(
    rounds=7,
    answers=600,
    stored_jobs=1_000_000,
    pairs=300,
    finished_jobs=100,
    deliveries=41,
    jobs_under_way=5_000,
    steady_answers=1_000,
    people=1_000_000,
    starts=7,
)
QUICK = Sizes(
    rounds=3,
    answers=200,
    stored_jobs=20_000,
    pairs=50,
    finished_jobs=20,
    deliveries=9,
    jobs_under_way=500,
    steady_answers=300,
    people=50_000,
    starts=3,
)
