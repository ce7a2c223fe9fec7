"""Latency distributions as (upper bound in ms, count), merged and cut into bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import exp, isfinite, log

from msgspec import Struct

Points = Sequence[tuple[float, int]]

BAR = 1.12
"""Ratio of a bar's ends, at least: narrower bars would show the buckets, not the service."""
MOST_BARS = 60
BUCKET = 1.1
"""A bucket after a hole begins at most so far below its upper bound: empty buckets are left out."""


class Bar(Struct, frozen=True, kw_only=True):
    low: float
    high: float
    count: float


def merge(histograms: Iterable[Points]) -> tuple[tuple[float, int], ...]:
    """The sum of several distributions."""
    merged: dict[float, int] = {}
    for points in histograms:
        for bound, count in points:
            if count > 0 and isfinite(bound):
                bound = max(bound, 0.001)
                merged[bound] = merged.get(bound, 0) + count
    return tuple(sorted(merged.items()))


def percentile(points: Points, percent: float) -> float:
    """The upper bound of the bucket that holds this percentile of a merged distribution (not empty)."""
    rank = percent / 100 * sum(count for _, count in points)
    reached = accumulate(count for _, count in points)
    return next(
        (bound for (bound, _), below in zip(points, reached, strict=True) if below >= rank), points[-1][0]
    )


def extent(points: Points) -> tuple[float, float]:
    """From the lower end of the first bucket to the upper end of the last, of a merged distribution."""
    return points[0][0] / BUCKET, points[-1][0]


def bars(points: Points, low: float, high: float, most: int = MOST_BARS) -> tuple[Bar, ...]:
    """Bars of equal width on a logarithmic axis; a bucket across two bars is shared out between them."""
    number = max(1, min(most, round(log(high / low) / log(BAR))))
    width = log(high / low) / number or 1.0
    counts = [0.0] * number
    before = 0.0
    for bound, count in points:
        start = (log(max(before, bound / BUCKET)) - log(low)) / width
        end = (log(bound) - log(low)) / width
        before = bound
        for i in range(max(0, int(start)), min(number, int(end) + 1)):
            inside = min(end, i + 1) - max(start, i)
            counts[i] += count * max(0.0, inside) / max(end - start, 1e-12)
    edges = [low * exp(width * i) for i in range(number + 1)]
    return tuple(Bar(low=edges[i], high=edges[i + 1], count=counts[i]) for i in range(number))
