"""How often one person may command: enough for anybody, too little for a script."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto

WINDOW_SECONDS = 60.0
IDLE_PEOPLE_KEPT = 1000


class Verdict(Enum):
    """What to do with a command: work on it, say that it is too many, or keep silent."""

    WORK = auto()
    TELL = auto()
    SILENCE = auto()


class Pace:
    """Counts the commands of each person in the last minute, in this process."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._moments: dict[int, deque[float]] = {}
        self._told: dict[int, float] = {}

    def verdict(self, person_id: int) -> Verdict:
        """Count one command. One that is too many is told once a minute."""
        now = self._clock()
        moments = self._moments.setdefault(person_id, deque())
        while moments and now - moments[0] >= WINDOW_SECONDS:
            moments.popleft()
        if len(moments) < self._most:
            moments.append(now)
            self._forget_idle(now)
            return Verdict.WORK
        if now - self._told.get(person_id, -WINDOW_SECONDS) < WINDOW_SECONDS:
            return Verdict.SILENCE
        self._told[person_id] = now
        return Verdict.TELL

    def _forget_idle(self, now: float) -> None:
        """Keep nothing of people who have not commanded for a while."""
        if len(self._moments) < IDLE_PEOPLE_KEPT:
            return
        for person_id, moments in list(self._moments.items()):
            if not moments or now - moments[-1] >= WINDOW_SECONDS:
                self._moments.pop(person_id, None)
                self._told.pop(person_id, None)
