"""Whether the injector itself was the bottleneck, second by second."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from qalipsis.metrics.snapshot import WorkerHealth

MOST_CPU: Final = 0.95
"""Share of a core: beyond it the worker has no time left to react, and its stamps come late."""

LONGEST_LOOP_LAG: Final = 0.050
"""Seconds (p99): responses that wait longer to be read make a fast service look slow."""

LONGEST_START_DELAY: Final = 0.100
"""Seconds (p99): starts that come later are no longer the load that was asked for."""

SUSTAINED: Final = 5
"""Seconds in a row: one garbage collection or one burst does not spoil a campaign."""


class _Streak:
    """How long a figure has been beyond its limit, and the worst it was while that lasted long enough."""

    __slots__ = ("longest", "now", "worst", "worst_now")

    def __init__(self) -> None:
        self.now = 0
        self.longest = 0
        self.worst_now = 0.0
        self.worst = 0.0

    def add(self, figure: float, limit: float) -> None:
        if figure <= limit:
            self.now, self.worst_now = 0, 0.0
            return
        self.now += 1
        self.worst_now = max(self.worst_now, figure)
        if self.now >= SUSTAINED:
            self.longest = max(self.longest, self.now)
            self.worst = max(self.worst, self.worst_now)


class HealthState(Struct, frozen=True, array_like=True):
    """A worker's health as data: its four streaks, then its worst figures."""

    streaks: tuple[tuple[int, int, float, float], ...]
    cpu_max: float
    loop_lag_max_s: float
    start_delay_max_s: float
    dropped: int


class InjectorHealth:
    """The health of one worker over the campaign, in fixed memory; rows come in the order of time."""

    __slots__ = (
        "_cpu",
        "_dropped",
        "_lag",
        "_start",
        "cpu_max",
        "dropped",
        "loop_lag_max_s",
        "start_delay_max_s",
    )

    def __init__(self) -> None:
        self._cpu = _Streak()
        self._lag = _Streak()
        self._start = _Streak()
        self._dropped = _Streak()
        self.cpu_max = 0.0
        self.loop_lag_max_s = 0.0
        """The worst p99 of all seconds, as `start_delay_max_s`."""
        self.start_delay_max_s = 0.0
        self.dropped = 0

    @classmethod
    def thaw(cls, state: HealthState) -> InjectorHealth:
        health = cls()
        for streak, figures in zip(health._streaks, state.streaks, strict=True):
            streak.now, streak.longest, streak.worst_now, streak.worst = figures
        health.cpu_max, health.loop_lag_max_s = state.cpu_max, state.loop_lag_max_s
        health.start_delay_max_s, health.dropped = state.start_delay_max_s, state.dropped
        return health

    def freeze(self) -> HealthState:
        return HealthState(
            tuple((each.now, each.longest, each.worst_now, each.worst) for each in self._streaks),
            self.cpu_max,
            self.loop_lag_max_s,
            self.start_delay_max_s,
            self.dropped,
        )

    @property
    def _streaks(self) -> tuple[_Streak, ...]:
        return self._cpu, self._lag, self._start, self._dropped

    @property
    def is_dropping(self) -> bool:
        """Whether it dropped arrivals for so long that `reasons` say so."""
        return self._dropped.longest > 0

    def add(self, row: WorkerHealth) -> None:
        """Take one second into account."""
        self._cpu.add(row.cpu, MOST_CPU)
        self._lag.add(row.loop_lag_p99_s, LONGEST_LOOP_LAG)
        self._start.add(row.start_delay_p99_s, LONGEST_START_DELAY)
        self._dropped.add(row.dropped, 0)
        self.cpu_max = max(self.cpu_max, row.cpu)
        self.loop_lag_max_s = max(self.loop_lag_max_s, row.loop_lag_p99_s)
        self.start_delay_max_s = max(self.start_delay_max_s, row.start_delay_p99_s)
        self.dropped += row.dropped

    def reasons(self, injector: str) -> tuple[str, ...]:
        """Why `injector` was a bottleneck, one sentence each; empty when it was none."""
        reasons = []
        if streak := self._cpu.longest:
            reasons.append(
                f"{injector} used up to {self._cpu.worst:.0%} of a core for {streak} s in a row "
                f"(more than {MOST_CPU:.0%}): give it more workers or less load"
            )
        if streak := self._lag.longest:
            reasons.append(
                f"{injector} reacted up to {1e3 * self._lag.worst:.0f} ms late (loop lag p99) "
                f"for {streak} s in a row (more than {1e3 * LONGEST_LOOP_LAG:.0f} ms): "
                "look for blocking calls in steps"
            )
        if streak := self._start.longest:
            reasons.append(
                f"{injector} started minions up to {1e3 * self._start.worst:.0f} ms late (p99) "
                f"for {streak} s in a row (more than {1e3 * LONGEST_START_DELAY:.0f} ms): "
                "the load was not the one asked for"
            )
        if streak := self._dropped.longest:
            reasons.append(
                f"{injector} dropped arrivals for {streak} s in a row, {self.dropped} in all, "
                "because no minion was free: give the scenario more minions"
            )
        return tuple(reasons)
