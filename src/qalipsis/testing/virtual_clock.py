"""A clock that tests turn by hand, so that an hour passes in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class VirtualTimer:
    """A call to come on a virtual clock."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """Time moves only in `advance`, which calls every timer at exactly its moment, in order."""

    def __init__(self, start: float = 1000.0, epoch_offset: float = 0.0) -> None:
        self._now = start
        self._epoch_offset = epoch_offset
        self._timers: list[tuple[float, int, VirtualTimer]] = []
        self._order = count()

    def now(self) -> float:
        return self._now

    def epoch(self, at: float) -> float:
        return at + self._epoch_offset

    def cpu(self) -> float:
        return 0.0  # what is computed takes no virtual time

    def call_at(self, when: float, callback: Callable[[], None]) -> VirtualTimer:
        timer = VirtualTimer(callback)
        heappush(self._timers, (max(when, self._now), next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.run_until(self._now + seconds)

    def run_until(self, when: float) -> None:
        while self._timers and self._timers[0][0] <= when:
            at, _, timer = heappop(self._timers)
            self._now = at
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
        self._now = when

    def next_timer(self) -> float | None:
        """When the next timer is due, None when there is none."""
        while self._timers and self._timers[0][2].callback is None:
            heappop(self._timers)
        return self._timers[0][0] if self._timers else None
