"""Durations as people write them, read as seconds."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
EXPECTED = "a duration such as `500ms`, `10s`, `1m30s`, `1h`, `PT10S` or a number of seconds"

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(us|µs|ms|s|m|h|d)\s*", re.IGNORECASE)
_COMPACT = re.compile(rf"(?:{_PART.pattern})+", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
_ISO = re.compile(
    r"P(?=.)(?:(?P<w>\d+(?:\.\d+)?)W)?(?:(?P<d>\d+(?:\.\d+)?)D)?"
    r"(?:T(?=.)(?:(?P<h>\d+(?:\.\d+)?)H)?(?:(?P<m>\d+(?:\.\d+)?)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?",
    re.IGNORECASE,
)
_ISO_SECONDS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


def seconds(value: timedelta | float | str) -> float:
    """The seconds of a duration; a leading minus is understood, so that the caller can refuse it by name."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a duration; write {EXPECTED}")
    text = value.strip()
    sign, positive = (-1.0, text[1:].lstrip()) if text.startswith("-") else (1.0, text)
    if _NUMBER.fullmatch(positive):
        return sign * float(positive)
    if _COMPACT.fullmatch(positive):
        return sign * sum(float(count) * UNITS[unit.lower()] for count, unit in _PART.findall(positive))
    if iso := _ISO.fullmatch(positive):
        return sign * sum(_ISO_SECONDS[unit] * float(count) for unit, count in iso.groupdict("0").items())
    raise ValueError(f"{value!r} is not a duration; write {EXPECTED}")
