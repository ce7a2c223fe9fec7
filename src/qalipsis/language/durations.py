"""Durations as authors write them."""

from __future__ import annotations

from datetime import timedelta
from math import isfinite
from typing import Any

from qalipsis.config.durations import seconds

Duration = timedelta | float | int | str
"""A timedelta, seconds as a number, `"500ms"`, `"10s"`, `"5m"`, or ISO-8601 (`"PT10S"`)."""

__all__ = ["Duration", "duration_problems", "limit_problems", "seconds", "text"]


def text(length: float) -> str:
    """A short form for people: `250 ms`, `1.5 s`, `2 min`, `1 h 30 min`."""
    if length < 1:
        return f"{length * 1000:g} ms"
    if length < 120:
        return f"{length:g} s"
    hours, rest = divmod(round(length), 3600)
    minutes, left = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "min"), (left, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def duration_problems(what: str, value: Any) -> list[str]:
    """Why `value` is no duration of at least zero."""
    try:
        length = seconds(value)
    except ValueError as error:
        return [f"{what}: {error}"]
    if length < 0:
        return [f"{what} cannot be negative: {value!r}; write how long, such as '1s'"]
    if not isfinite(length):
        return [f"{what} should be a finite duration, not {value!r}"]
    return []


def limit_problems(what: str, value: Any) -> list[str]:
    """Why `value` is no duration above zero: what bounds a wait cannot be none."""
    found = duration_problems(what, value)
    if not found and seconds(value) == 0:
        found.append(f"{what} cannot be zero")
    return found
