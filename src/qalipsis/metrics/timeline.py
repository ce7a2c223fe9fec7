"""The seconds of a campaign: open while snapshots may still come, closed once, then forgotten."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

from msgspec import Struct, field

from qalipsis.metrics.aggregate_state import SecondState
from qalipsis.metrics.table import HistogramTable

LATEST: Final = 3.0
"""Seconds a second stays open for sources that are late; two missed snapshots and some."""

_EARLY: Final = 0.25
"""A worker freezes shortly after a full second: up to so much later it still tells of the one before."""

CONTAINERS: Final = frozenset({"stage", "split", "gather", "choose"})
"""Steps made of steps: what fails inside was counted there."""

MEETINGS: Final = frozenset({"inner-join", "left-join", "zip", "zip-last", "collect"})
"""Steps that wait for records of others: how long is told of each by itself."""

PAUSES: Final = frozenset({"delay", "pace", "constant-pace", "accelerating-pace"})

NOT_REQUESTS: Final = CONTAINERS | MEETINGS | PAUSES | {"journey"}
"""Steps whose duration is not an answer's: a whole pass, a pause, a wait for what another system does."""


class StepSecond(Struct, frozen=True, kw_only=True):
    """One step in one second: executions that ended, of these failed, and latency from due."""

    executed: int = 0
    failed: int = 0
    is_request: bool = True
    """False for what holds other steps, pauses, or waits for the records of others."""
    timed: int = 0
    """Executions with a latency: those that the figures below are of."""
    sum_ms: float = 0.0
    max_ms: float = 0.0
    p50_ms: float = 0.0
    p75_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0


class SecondFigures(Struct, frozen=True, kw_only=True):
    """The fleet in the second that began `t` seconds after the start.

    `achieved` are the responses (and other timed executions) of all steps, with their latency from due;
    `errors` all failed executions, failed verifications and journeys included.
    """

    t: int
    achieved: int = 0
    errors: int = 0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    steps: dict[tuple[str, str], StepSecond] = field(default_factory=dict)
    """By (scenario, step)."""
    zones: dict[str, SecondFigures] = field(default_factory=dict)
    """The same of each zone that was asked for, by its key: their counts add up to these."""


class OpenSecond:
    """What the sources of one zone reported of one second so far, by step number."""

    __slots__ = ("executed", "failed", "latencies", "throughputs")

    def __init__(self) -> None:
        self.latencies = HistogramTable()
        self.executed: dict[int, int] = {}
        self.failed: dict[int, int] = {}
        self.throughputs: dict[tuple[str, str], float] = {}

    @classmethod
    def thaw(cls, state: SecondState) -> OpenSecond:
        second = cls()
        second.latencies = HistogramTable.decode(state.latencies)
        second.executed, second.failed = dict(state.executed), dict(state.failed)
        second.throughputs = {(scenario, name): total for scenario, name, total in state.throughputs}
        return second

    @classmethod
    def together(cls, parts: Collection[OpenSecond]) -> OpenSecond:
        """The second of all zones; where there is one only, its own, to be changed no more."""
        if len(parts) == 1:
            return next(iter(parts))
        whole = cls()
        for part in parts:
            whole._merge(part)
        return whole

    def freeze(self, t: int, zone: str) -> SecondState:
        return SecondState(
            t=t,
            zone=zone,
            latencies=self.latencies.encode(),
            executed=dict(self.executed),
            failed=dict(self.failed),
            throughputs=tuple((*key, total) for key, total in self.throughputs.items()),
        )

    def count(self, step: int, executed: int, failed: int) -> None:
        self.executed[step] = self.executed.get(step, 0) + executed
        if failed:
            self.failed[step] = self.failed.get(step, 0) + failed

    def _merge(self, other: OpenSecond) -> None:
        self.latencies.merge(other.latencies)
        for step, executed in other.executed.items():
            self.count(step, executed, other.failed.get(step, 0))
        for key, total in other.throughputs.items():
            self.throughputs[key] = self.throughputs.get(key, 0.0) + total

    def close(self, t: int, steps: list[tuple[str, str, str]]) -> SecondFigures:
        """The figures of this second; `steps` are (scenario, name, type) by number."""
        requests = [number for number, (_, _, type) in enumerate(steps) if type not in NOT_REQUESTS]
        together = self.latencies.histogram(*requests)
        p50, p95, p99 = (1e3 * figure for figure in together.percentiles(50, 95, 99))
        return SecondFigures(
            t=t,
            achieved=together.count,
            errors=sum(count for step, count in self.failed.items() if steps[step][2] not in CONTAINERS),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            steps={
                (scenario, name): self._close_step(number, type not in NOT_REQUESTS)
                for number, (scenario, name, type) in enumerate(steps)
                if number in self.executed
            },
        )

    def _close_step(self, number: int, is_request: bool) -> StepSecond:
        latency = self.latencies.histogram(number)
        p50, p75, p95, p99, p999 = (1e3 * it for it in latency.percentiles(50, 75, 95, 99, 99.9))
        return StepSecond(
            executed=self.executed[number],
            failed=self.failed.get(number, 0),
            is_request=is_request,
            timed=latency.count,
            sum_ms=1e3 * latency.sum,
            max_ms=1e3 * latency.max,
            p50_ms=p50,
            p75_ms=p75,
            p95_ms=p95,
            p99_ms=p99,
            p999_ms=p999,
        )


def second_of(elapsed: float, last: int) -> int:
    """The second that a snapshot frozen `elapsed` seconds after the start tells of.

    It is the next one after `last`, the previous one of its source, where the freeze leaves
    a choice, so that a source fills each second once.
    """
    latest = max(0, math.ceil(elapsed) - 1)
    earliest = max(0, math.ceil(elapsed - _EARLY) - 1)
    return max(earliest, min(last + 1, latest))
