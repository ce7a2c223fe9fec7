"""When a campaign is looked at, though nothing has happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from qalipsis.clock import Clock, TimerHandle

SNAPSHOTS_ARRIVE: Final = 0.2
"""Seconds after a full second until the workers' snapshots of it have been merged."""

IDLE_TICK: Final = 0.5

WATCH_SECONDS: Final = 0.1
"""How often silent factories are looked for, so that they are named 3 s after their end at the latest."""


class Ticks:
    """Calls `tick` at the next moment that is due: with True once for each second of the campaign, and twice
    a second before its start; with False in between, where factories are watched.
    """

    def __init__(self, clock: Clock, is_watching: bool, tick: Callable[[bool], None]) -> None:
        self._clock = clock
        self._is_watching = is_watching
        self._tick = tick
        self._full_at = clock.now()
        self._timer: TimerHandle | None = None

    def begin(self, start: float) -> None:
        """The campaign starts at this instant, so its seconds are counted from there."""
        self._full_at = start
        self.schedule(start)

    def ticked(self, is_full: bool, start: float | None) -> None:
        """A tick is about to have its effect, and the next one is due."""
        if is_full:
            self._full_at = self._clock.now()
        self.schedule(start)

    def schedule(self, start: float | None) -> None:
        """Have the next tick come, of a campaign that starts at this instant, if that is known."""
        self.stop()
        now = self._clock.now()
        at, is_full = next_tick(now, self._full_at, start, self._is_watching)
        self._timer = self._clock.call_at(at, lambda: self._tick(is_full))

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def next_tick(now: float, full_at: float, start: float | None, is_watching: bool) -> tuple[float, bool]:
    """When to look again, and whether a second is complete then; the last complete one was at `full_at`."""
    if start is None:
        next_full = max(now, full_at + IDLE_TICK)
    else:
        # A little is added, or rounding would make the same second follow itself.
        past = (full_at - start - SNAPSHOTS_ARRIVE + 0.01) // 1.0
        next_full = start + max(0.0, past + 1.0) + SNAPSHOTS_ARRIVE
    if is_watching and now + WATCH_SECONDS < next_full:
        return now + WATCH_SECONDS, False
    return next_full, True
