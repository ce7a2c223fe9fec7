"""Keeps Python's garbage collector from stalling a worker.

A full collection walks over everything that lives: 150 ms at 100,000 minions, and while they start it would
come again and again. So what lives is frozen out of its sight as minions start, and full collections of the
rest come rarely, never more than a small share of the time. Young objects are collected as always.
"""

from __future__ import annotations

import gc
import time
from typing import Final

NEVER: Final = 1_000_000_000
GROWTH: Final = 1.1
FEWEST: Final = 1_000
"""So many more minions, and a tenth more, have started when the next freeze is worth it: about a hundred
freezes on the way to a million."""

PERIOD_SECONDS: Final = 10.0
PAUSES: Final = 200.0
"""The time between two full collections is at least so many times what one took."""


class Collector:
    """Open it before minions start, tell it each second how many did, close it at the end."""

    def __init__(self) -> None:
        self._thresholds = gc.get_threshold()
        self._frozen_at = 0
        self._collect_at = 0.0

    def open(self, now: float) -> None:
        """Freeze what was loaded."""
        gc.set_threshold(*self._thresholds[:2], NEVER)
        gc.collect()
        gc.freeze()
        self._collect_at = now + PERIOD_SECONDS

    def second(self, started: int, now: float) -> None:
        """Another second has passed; `started` minions in all have started."""
        if started >= GROWTH * self._frozen_at + FEWEST:
            gc.freeze()
            self._frozen_at = started
        elif now >= self._collect_at:
            before = time.perf_counter()
            gc.collect()
            took = time.perf_counter() - before
            self._collect_at = now + max(PERIOD_SECONDS, PAUSES * took)

    def close(self) -> None:
        """Leave the collector as it was found."""
        gc.unfreeze()
        gc.set_threshold(*self._thresholds)
