"""How well the injector itself keeps up: CPU, event-loop lag, start delay, dropped starts."""

from __future__ import annotations

import numpy as np

from qalipsis.clock import Clock
from qalipsis.metrics.snapshot import WorkerHealth


class Vitals:
    """Gathers one second's figures and hands them out once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lags: list[float] = []
        self._start_delays: list[float] = []
        self._dropped = 0
        self._cpu_at = clock.cpu()
        self._wall_at = clock.now()
        self.lag = self._lags.append
        self.start_delay = self._start_delays.append

    def take(self, dropped: int) -> WorkerHealth:
        """The figures since the last call; `dropped` is the running total of dropped starts."""
        cpu, wall = self._clock.cpu(), self._clock.now()
        spent, elapsed = cpu - self._cpu_at, wall - self._wall_at
        self._cpu_at, self._wall_at = cpu, wall
        newly_dropped, self._dropped = dropped - self._dropped, dropped
        health = WorkerHealth(
            cpu=spent / elapsed if elapsed > 0 else 0.0,
            loop_lag_p99_s=_p99(self._lags),
            loop_lag_max_s=max(self._lags, default=0.0),
            start_delay_p99_s=_p99(self._start_delays),
            dropped=newly_dropped,
        )
        self._lags.clear()
        self._start_delays.clear()
        return health


def _p99(values: list[float]) -> float:
    if len(values) < 2:
        return values[0] if values else 0.0
    return float(np.percentile(values, 99))
