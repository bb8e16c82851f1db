"""A figure, and the table of them."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("python-telegram-bot", "httpx", "aiohttp", "tortoise-orm", "fal-client", "uvloop")


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what was measured, the goal, what came out, and the numbers behind it."""

    what: str
    goal: str
    value: str
    is_met: bool
    detail: str = ""


def at_least(what: str, least: float, ratio: float, detail: str) -> Figure:
    """A ratio that has to be `least` or more."""
    return Figure(what, f"≥ {least:g} ×", f"{ratio:.2f} ×", round(ratio, 2) >= least, detail)


def at_most(
    what: str, most: float, value: float, detail: str, unit: str = "×", digits: int = 2
) -> Figure:
    """A ratio or a quantity that has to be `most` or less."""
    value = round(value, digits)
    return Figure(what, f"≤ {most:g} {unit}", f"{value:.{digits}f} {unit}", value <= most, detail)


def median(values: Sequence[float]) -> float:
    """The middle of the values."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of the values does not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def ratio_of_rounds(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios of rounds that ran one after the other."""
    return median([a / b for a, b in zip(above, below, strict=True)])


def table(figures: Sequence[Figure]) -> str:
    """The figures as a table in Markdown."""
    lines = ["| figure | goal | measured | | behind it |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {row.what} | {row.goal} | {row.value} | {'✓' if row.is_met else '✗'} | {row.detail} |"
        for row in figures
    ]
    return "\n".join(lines)


def machine() -> str:
    """Where and with what it ran."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d} · {processor}, {cores} cores, {platform.system()}, "
        f"load {os.getloadavg()[0]:.1f} · Python {platform.python_version()}, {libraries}"
    )
