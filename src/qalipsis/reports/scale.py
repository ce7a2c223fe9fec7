"""Axes: round ticks, always from zero, always past the largest value."""

from __future__ import annotations

from math import ceil, floor, isfinite, log, log10

TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


def ticks(largest: float, most: int = 5) -> tuple[float, ...]:
    """Evenly spaced round values from 0 to the first one that is not below `largest`."""
    if not isfinite(largest) or largest <= 0:
        return (0.0, 1.0)
    rough = largest / most
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return tuple(step * i for i in range(ceil(largest / step - 1e-9) + 1))


def time_ticks(start: float, end: float, most: int = 8) -> tuple[float, ...]:
    """Round moments of a stopwatch between both ends."""
    length = max(end - start, 1.0)
    days = 86400 * max(1, ceil(length / most / 86400))
    step = next((step for step in TIME_STEPS if length / step <= most), days)
    return tuple(float(step * i) for i in range(ceil(start / step), floor(end / step) + 1))


def log_ticks(low: float, high: float) -> tuple[tuple[float, bool], ...]:
    """1, 2 and 5 of each decade within both ends; the flag says whether it begins a decade."""
    if not 0 < low <= high:
        return ()
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    return tuple(
        (factor * 10.0**decade, factor == 1)
        for decade in decades
        for factor in (1, 2, 5)
        if low <= factor * 10.0**decade <= high
    )


def log_share(value: float, low: float, high: float) -> float:
    """Where a value lies on a logarithmic axis, from 0 to 1; what lies outside goes to the nearer end."""
    if high <= low:
        return 0.5
    return log(min(max(value, low), high) / low) / log(high / low)
