"""How long to put up with a Redis that is away."""

from __future__ import annotations

import asyncio
from typing import Final

from qalipsis.cluster.redis.faults import Passing

FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5


class Exhausted(Exception):
    """It was away for too long; the message says where, for how long and why."""


class Patience:
    """Waits between two tries, each time a bit longer; `away` holds all who wait at the moment."""

    def __init__(self, seconds: float, away: set[Patience]) -> None:
        self._seconds = seconds
        self._away = away
        self._since: float | None = None
        self._pause = FIRST_PAUSE

    def answered(self) -> None:
        """Redis is there, or nobody asks it any more."""
        self._since = None
        self._pause = FIRST_PAUSE
        self._away.discard(self)

    async def wait(self, error: Passing) -> None:
        """Until the next try is due; raises Exhausted when there should be none."""
        now = asyncio.get_running_loop().time()
        self._away.add(self)
        if self._since is None:
            self._since = now
        elif now - self._since >= self._seconds:
            raise Exhausted(f"{error}, for {now - self._since:.0f} s now") from error
        await asyncio.sleep(self._pause)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)
