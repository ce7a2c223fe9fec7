"""The machine's own clock, on the running event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from math import ceil

from qalipsis.clock import TimerHandle


class SystemClock:
    """`time.monotonic`, with timers of the event loop that is running when they are set."""

    now = staticmethod(time.monotonic)
    cpu = staticmethod(time.process_time)

    def __init__(self, epoch_offset: float | None = None) -> None:
        self.epoch_offset = time.time() - time.monotonic() if epoch_offset is None else epoch_offset

    def epoch(self, at: float) -> float:
        return at + self.epoch_offset

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        # Whole milliseconds, rounded up: the loop's own timers have that resolution and would fire early.
        delay = ceil((when - time.monotonic()) * 1000) / 1000
        return asyncio.get_running_loop().call_later(max(delay, 0.0), callback)
