"""Conditions on fleet-wide aggregates, as data, and their evaluation."""

from __future__ import annotations

from msgspec import Struct


class Condition(Struct, frozen=True, kw_only=True):
    """`statistic` (count, value, current, mean, max, percentile) `operator` `bounds`.

    `argument` is the percentile. Operators: is_greater_than, is_greater_than_or_equal, is_less_than,
    is_less_than_or_equal, is_equal, is_between, is_not_between (both inclusive). Bounds of durations are seconds.
    """

    statistic: str
    operator: str
    bounds: tuple[float, ...]
    argument: float | None = None
    is_duration: bool = False
