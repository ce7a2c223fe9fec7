"""The timeline, condensed to what a chart can show without hiding its worst seconds."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, isfinite

from msgspec import Struct

from qalipsis.reports.model import Second

MOST = 240
WIDTHS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600)


class Point(Struct, frozen=True, kw_only=True):
    """Some seconds as one: rates are their mean (achieved also a range), all else is their worst.

    Percentiles are never averaged; they are None where no request ended. All is None where `seconds` is 0.
    """

    start: float
    seconds: int = 0
    offered: float | None = None
    achieved: float | None = None
    achieved_low: float | None = None
    achieved_high: float | None = None
    errors: float | None = None
    minions: int | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


def condense(timeline: Iterable[Second], most: int = MOST) -> tuple[int, tuple[Point, ...]]:
    """How many seconds each point spans, and at most about `most` points without holes between them."""
    seconds = {round(each.t_s): each for each in timeline if isfinite(each.t_s)}
    if not seconds:
        return 1, ()
    first, last = min(seconds), max(seconds)
    wanted = (last - first + 1) / most
    width = next((width for width in WIDTHS if width >= wanted), 3600 * ceil(wanted / 3600))
    groups: dict[int, list[Second]] = {}
    for t, second in seconds.items():
        groups.setdefault(t // width, []).append(second)
    spans = range(first // width, last // width + 1)
    return width, tuple(_point(float(i * width), groups.get(i, [])) for i in spans)


def _point(start: float, seconds: list[Second]) -> Point:
    if not seconds:
        return Point(start=start)
    achieved = [each.achieved_per_s for each in seconds]
    return Point(
        start=start,
        seconds=len(seconds),
        offered=sum(each.offered_per_s for each in seconds) / len(seconds),
        achieved=sum(achieved) / len(seconds),
        achieved_low=min(achieved),
        achieved_high=max(achieved),
        errors=sum(each.errors_per_s for each in seconds) / len(seconds),
        minions=max(each.minions for each in seconds),
        p50=_worst(each.p50_ms for each in seconds),
        p95=_worst(each.p95_ms for each in seconds),
        p99=_worst(each.p99_ms for each in seconds),
    )


def _worst(values: Iterable[float]) -> float | None:
    return max((value for value in values if value > 0), default=None)
