"""Meters over time, summed up in buckets. Buckets are aligned with the start of their campaign.

So the same moment of two campaigns lies in the same bucket, and no bucket but the last is cut.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, sqrt
from typing import Final

from msgspec import Struct

from qalipsis.head.data_series import PERCENTILES, DataSeries
from qalipsis.head.meter_filter import figure, test_of
from qalipsis.head.meter_series import Meter

WIDTHS: Final = (
    *(1, 5, 10, 30),
    *(60, 300, 600, 1800),
    *(3600, 6 * 3600, 12 * 3600),
    *(86_400, 7 * 86_400),
)
"""The widths of buckets, in seconds."""

MOST_BUCKETS: Final = 400


class Point(Struct, frozen=True, kw_only=True):
    """The value of one bucket; `elapsed` counts from the start of the campaign to that of the bucket."""

    start: datetime
    elapsed: timedelta
    campaign: str
    value: float


class Summary(Struct, frozen=True, kw_only=True):
    """The same operation over everything; `measurements` is how many values it was made of."""

    value: float | None
    measurements: int


@dataclass(frozen=True, slots=True)
class Curve:
    """A data series over one or several campaigns."""

    points: tuple[Point, ...]
    summary: Summary
    width_seconds: float
    is_duration: bool = False
    """Whether the values are milliseconds."""


def width_for(longest_seconds: float) -> int:
    """The smallest width that shows a campaign of this length in no more than 400 buckets."""
    return next((width for width in WIDTHS if width >= longest_seconds / MOST_BUCKETS), WIDTHS[-1])


class Aggregation:
    """Takes meters in any order and sums up those that belong to the series."""

    def __init__(self, series: DataSeries, starts: dict[str, datetime], width_seconds: float) -> None:
        """`starts` is when each campaign began."""
        self._series = series
        self._operation = series.aggregation_operation or "AVERAGE"
        self._starts = starts
        self._width = width_seconds
        self._accepts = test_of(series.filters)
        self._buckets: dict[tuple[str, int], _Bucket] = {}
        self._is_duration = False

    def add(self, campaign: str, meter: Meter) -> None:
        if meter.name != self._series.value_name or not self._accepts(meter):
            return
        field = self._series.field_name or default_field(meter)
        value = figure(meter, field)
        if value is None:
            return
        self._is_duration = meter.type == "timer" and field != "count" and self._operation != "COUNT"
        number = max(0, int((meter.at - self._starts[campaign]).total_seconds() // self._width))
        bucket = self._buckets.setdefault((campaign, number), _Bucket())
        # A mean stands for as many values as it is the mean of.
        bucket.add(value, float(meter.count or 1) if field == "mean" else 1.0)

    def curve(self) -> Curve:
        """What was added so far."""
        everything = _Bucket()
        points = []
        for (campaign, number), bucket in sorted(self._buckets.items()):
            everything.pour(bucket)
            elapsed = timedelta(seconds=number * self._width)
            start = self._starts[campaign] + elapsed
            value = bucket.value(self._operation)
            points.append(Point(start=start, elapsed=elapsed, campaign=campaign, value=value))
        total = everything.value(self._operation) if everything.values else None
        return Curve(
            tuple(points),
            Summary(value=total, measurements=len(everything.values)),
            self._width,
            self._is_duration,
        )


def default_field(meter: Meter) -> str:
    """The figure that tells most of a meter when none is asked for."""
    return "value" if meter.value is not None else "mean" if meter.mean is not None else "count"


@dataclass(slots=True)
class _Bucket:
    values: array[float]
    weights: array[float]

    def __init__(self) -> None:
        self.values, self.weights = array("d"), array("d")

    def add(self, value: float, weight: float) -> None:
        self.values.append(value)
        self.weights.append(weight)

    def pour(self, other: _Bucket) -> None:
        self.values.extend(other.values)
        self.weights.extend(other.weights)

    def value(self, operation: str) -> float:
        match operation:
            case "AVERAGE":
                return self._mean()
            case "MAX":
                return max(self.values)
            case "MIN":
                return min(self.values)
            case "SUM":
                return sum(self.values)
            case "COUNT":
                return float(len(self.values))
            case "STANDARD_DEVIATION":
                mean = self._mean()
                squares = (
                    weight * (value - mean) ** 2
                    for value, weight in zip(self.values, self.weights, strict=True)
                )
                return sqrt(sum(squares) / sum(self.weights))
            case _:
                return nearest_rank(self.values, PERCENTILES[operation])

    def _mean(self) -> float:
        weighted = (value * weight for value, weight in zip(self.values, self.weights, strict=True))
        return sum(weighted) / sum(self.weights)


def nearest_rank(values: Sequence[float], rank: float) -> float:
    """The smallest of the values that at least `rank` per cent of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(max(ceil(rank / 100 * len(ordered)), 1), len(ordered)) - 1]
