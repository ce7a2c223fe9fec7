"""How long a reader puts up with a service that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from qalipsis.engine.step import StepError
from qalipsis.plugins.redis.failures import PASSING

LONGEST_LOSS = 30.0
"""Seconds without any answer after which reading is given up."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


class Patience:
    """Lets a reader try again after what may pass, each time a bit later, until it has lasted too long."""

    __slots__ = ("_now", "_pause", "_since")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._since: float | None = None
        self._pause = FIRST_PAUSE

    def answered(self) -> None:
        """The service is there."""
        self._since = None
        self._pause = FIRST_PAUSE

    async def wait(self, error: StepError) -> None:
        """Until the next try is due; raises the error when there should be none."""
        now = self._now()
        if self._since is None:
            self._since = now
        if error.kind not in PASSING or now - self._since >= LONGEST_LOSS:
            raise error
        await asyncio.sleep(self._pause)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)
