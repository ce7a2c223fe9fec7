"""Conditions on fleet-wide aggregates, as data, and their evaluation."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

OPERATORS = {
    "is_greater_than": "is greater than",
    "is_greater_than_or_equal": "is greater than or equal to",
    "is_less_than": "is less than",
    "is_less_than_or_equal": "is less than or equal to",
    "is_equal": "is equal to",
    "is_between": "is between",
    "is_not_between": "is not between",
}


class Condition(Struct, frozen=True, kw_only=True):
    """`statistic` (count, value, current, mean, max, percentile) `operator` `bounds`.

    `argument` is the percentile. Operators: is_greater_than, is_greater_than_or_equal, is_less_than,
    is_less_than_or_equal, is_equal, is_between, is_not_between (both inclusive). Bounds of durations are
    seconds.
    """

    statistic: str
    operator: str
    bounds: tuple[float, ...]
    argument: float | None = None
    is_duration: bool = False


class Measured(Protocol):
    """A fleet-wide aggregate that conditions can ask."""

    def statistic(self, name: str, argument: float | None = None) -> float | None:
        """The statistic now; None while nothing was recorded, ValueError when there is no such statistic."""


def evaluate(condition: Condition, measured: Measured) -> tuple[bool, float | None]:
    """Whether the condition holds, and the figure it was held against.

    Without any record there is no figure and the condition does not hold; while the campaign runs, wait.
    """
    actual = measured.statistic(condition.statistic, condition.argument)
    if actual is None:
        return False, None
    return _holds(condition.operator, actual, condition.bounds), actual


def may_yet_hold(condition: Condition, actual: float) -> bool:
    """Whether a figure that only grows, and does not satisfy the condition now, can come to satisfy it."""
    match condition.operator:
        case "is_equal" | "is_between":
            return actual < condition.bounds[0]
        case operator:
            return operator not in ("is_less_than", "is_less_than_or_equal")


def describe(condition: Condition, subject: str) -> str:
    """The condition in words: `p95 of latency is less than 1 s`."""
    figure = _duration if condition.is_duration else _number
    bounds = " and ".join(figure(bound) for bound in condition.bounds)
    return f"{_statistic(condition)}{subject} {OPERATORS[condition.operator]} {bounds}"


def _holds(operator: str, actual: float, bounds: tuple[float, ...]) -> bool:
    low, high = bounds[0], bounds[-1]
    match operator:
        case "is_greater_than":
            return actual > low
        case "is_greater_than_or_equal":
            return actual >= low
        case "is_less_than":
            return actual < low
        case "is_less_than_or_equal":
            return actual <= low
        case "is_equal":
            return actual == low
        case "is_between":
            return low <= actual <= high
        case "is_not_between":
            return not low <= actual <= high
        case _:
            raise ValueError(f"{operator!r} is no operator; write one of {', '.join(OPERATORS)}")


def _statistic(condition: Condition) -> str:
    if condition.statistic == "value":
        return ""
    if condition.statistic == "percentile":
        return f"p{_number(condition.argument or 0)} of "
    return f"{condition.statistic} of "


def _number(value: float) -> str:
    return f"{value:.10g}"


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if abs(seconds) >= size:
            return f"{_number(seconds / size)} {unit}"
    return f"{_number(seconds / 1e-6)} µs" if seconds else "0 s"
