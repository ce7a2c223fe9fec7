"""One step over the whole fleet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.snapshot import StepSnapshot

_Key = TypeVar("_Key", int, str)

MEASURES = ("latency", "service_time", "failed_share", "executions")


@dataclass(frozen=True, slots=True)
class StepTotals:
    """Counters and distributions of a step, summed over all sources; all zero when nothing ran yet."""

    scenario: str
    name: str
    type: str
    attempted: int
    successful: int
    failed: int
    retried: int
    timeouts: int
    running: int
    assertion_success: int
    assertion_failure: int
    assertion_error: int
    bytes_sent: int
    bytes_received: int
    errors: dict[str, int]
    failures: dict[str, int]
    statuses: dict[int, int]
    counters: dict[str, int]
    first_error: str
    from_due: Histogram
    from_sent: Histogram
    phases: dict[str, Histogram]
    """Only the phases that were measured."""

    @property
    def executed(self) -> int:
        """Executions that came to an end."""
        return self.successful + self.failed

    @property
    def failed_share(self) -> float | None:
        """Failed executions over all that ended, 0 to 1; None when none ended yet."""
        return self.failed / self.executed if self.executed else None

    def statistic(self, measure: str, name: str, argument: float | None = None) -> float | None:
        """One figure of one of the measures a condition can speak of (seconds for durations)."""
        match measure, name:
            case "latency", _:
                return duration_statistic(self.from_due, name, argument)
            case "service_time", _:
                return duration_statistic(self.from_sent, name, argument)
            case "failed_share", "value":
                return self.failed_share
            case "executions", ("count" | "value"):
                return float(self.executed)
        raise ValueError(f"`{measure}` of a step has no `{name}`")

    def measure(self, measure: str) -> StepMeasure:
        """Latency, service_time, failed_share or executions, to be held against a condition."""
        return StepMeasure(self, measure)


@dataclass(frozen=True, slots=True)
class StepMeasure:
    """One measure of a step, as conditions ask for it."""

    step: StepTotals
    measure: str

    def statistic(self, name: str, argument: float | None = None) -> float | None:
        return self.step.statistic(self.measure, name, argument)


def duration_statistic(histogram: Histogram, name: str, argument: float | None) -> float | None:
    """A figure of a distribution: count, mean, max or percentile; None while it is empty."""
    count = histogram.count
    if name == "count":
        return float(count)
    if name not in ("mean", "max", "percentile"):
        raise ValueError(f"a distribution has no `{name}`; it has count, mean, max and percentile")
    if not count:
        return None
    match name:
        case "mean":
            return histogram.mean
        case "max":
            return histogram.max
        case _:
            return histogram.percentile(50.0 if argument is None else argument)


def sum_steps(
    scenario: str,
    name: str,
    parts: Iterable[StepSnapshot],
    *,
    first_error: str,
    from_due: Histogram,
    from_sent: Histogram,
    phases: dict[str, Histogram],
) -> StepTotals:
    """Sum the latest counters of each source."""
    parts = tuple(parts)
    return StepTotals(
        scenario=scenario,
        name=name,
        type=parts[0].type if parts else "",
        attempted=sum(part.attempted for part in parts),
        successful=sum(part.successful for part in parts),
        failed=sum(part.failed for part in parts),
        retried=sum(part.retried for part in parts),
        timeouts=sum(part.timeouts for part in parts),
        running=sum(part.running for part in parts),
        assertion_success=sum(part.assertion_success for part in parts),
        assertion_failure=sum(part.assertion_failure for part in parts),
        assertion_error=sum(part.assertion_error for part in parts),
        bytes_sent=sum(part.bytes_sent for part in parts),
        bytes_received=sum(part.bytes_received for part in parts),
        errors=_sum_counts(part.errors for part in parts),
        failures=_sum_counts(part.failures for part in parts),
        statuses=_sum_counts(part.statuses for part in parts),
        counters=_sum_counts(part.counters for part in parts),
        first_error=first_error,
        from_due=from_due,
        from_sent=from_sent,
        phases=phases,
    )


def _sum_counts(parts: Iterable[dict[_Key, int]]) -> dict[_Key, int]:
    total: dict[_Key, int] = {}
    for part in parts:
        for key, count in part.items():
            total[key] = total.get(key, 0) + count
    return dict(sorted(total.items()))
