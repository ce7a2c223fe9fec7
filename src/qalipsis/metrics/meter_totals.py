"""One meter of the author over the whole fleet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.snapshot import MeterSnapshot
from qalipsis.metrics.step_totals import duration_statistic

STATISTICS: Final = {
    "counter": ("count", "value"),
    "gauge": ("count", "value", "current"),
    "rate": ("count", "value", "current"),
    "throughput": ("count", "value", "current", "mean", "max", "percentile"),
    "timer": ("count", "mean", "max", "percentile"),
    "summary": ("count", "mean", "max", "percentile"),
}
"""What a condition can ask of each type of meter."""


@dataclass(frozen=True, slots=True)
class MeterTotals:
    """A meter summed over all sources.

    - counter: `value` and `count` are the sum of everything counted;
    - gauge: `value` is the sum of the last values of all sources, for a gauge says what one source holds now;
    - rate: `value` is everything observed over everything there was, never a mean of shares;
    - throughput: `value` and `count` as a counter; the others speak of the fleet's sum per closed second;
    - timer (seconds) and summary: the distribution of all values.
    """

    scenario: str
    name: str
    type: str
    records: int
    value: float | None
    observed: float
    total: float
    current: float | None
    distribution: Histogram

    def statistic(self, name: str, argument: float | None = None) -> float | None:
        """The statistic now; None while there is nothing to tell it from."""
        known = STATISTICS[self.type]
        if name not in known:
            raise ValueError(f"{self.type} `{self.name}` has no `{name}`; it has {', '.join(known)}")
        match name:
            case "count":
                is_count = self.type in ("counter", "throughput")
                return self.value if is_count else float(self.records)
            case "value":
                return self.value
            case "current":
                return self.current
        return duration_statistic(self.distribution, name, argument)

    def values(self) -> dict[str, float]:
        """The figures of a report; timers in milliseconds."""
        values: dict[str, float] = {"count": float(self.records)}
        if self.value is not None:
            values["value"] = self.value
        if self.type == "rate":
            values |= {"observed": self.observed, "total": self.total}
        if self.type == "throughput" and self.current is not None:
            values["current"] = self.current
        if self.distribution.count:
            factor = 1e3 if self.type == "timer" else 1.0
            p50, p90, p95, p99 = self.distribution.percentiles(50, 90, 95, 99)
            figures = {
                "mean": self.distribution.mean,
                "min": self.distribution.min,
                "p50": p50,
                "p90": p90,
                "p95": p95,
                "p99": p99,
                "max": self.distribution.max,
            }
            values |= {name: factor * figure for name, figure in figures.items()}
        return values


def sum_meters(
    scenario: str,
    name: str,
    type: str,
    parts: Iterable[MeterSnapshot],
    *,
    distribution: Histogram,
    last_second: float | None,
) -> MeterTotals:
    """Sum the latest state of each source; `last_second` is the fleet's sum of the last closed second."""
    recorded = tuple(part for part in parts if part.count)
    records = sum(part.count for part in recorded)
    observed = sum(part.value for part in recorded)
    total = sum(part.total for part in recorded)
    value: float | None = None
    match type:
        case "counter" | "throughput":
            value = observed
        case "gauge":
            value = observed if recorded else None
        case "rate":
            value = observed / total if total else None
    return MeterTotals(
        scenario=scenario,
        name=name,
        type=type,
        records=records,
        value=value,
        observed=observed,
        total=total,
        current=last_second if type == "throughput" else value,
        distribution=distribution,
    )
