"""Properties of a message: what an author may write, and whether AMQP can carry it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from qalipsis.language.durations import duration_problems, seconds

SHORT = 255
"""Bytes of an AMQP short string."""
TEXTS = ("content_type", "message_id", "correlation_id", "reply_to", "type")


def checked_short(what: str, value: Any) -> str:
    """A text that fits in a short string. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{what}={value!r} should be a text")
    if len(value.encode()) > SHORT:
        raise ValueError(f"{what} has at most {SHORT} bytes, and {value[:40]!r}… has {len(value.encode())}")
    return value


def checked_property(name: str, value: Any) -> Any:
    """The property as AMQP says it, None when it is left out. Raises ValueError."""
    if value is None:
        return None
    if name in TEXTS:
        return checked_short(name, value)
    if name == "headers":
        return _headers(value)
    if name == "priority":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
            raise ValueError(f"priority={value!r} should be a whole number from 0 to 255")
        return value
    assert name == "expiration"
    for problem in duration_problems("expiration", value):
        raise ValueError(problem)
    return str(round(seconds(value) * 1000))


def _headers(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"headers={value!r} should be a mapping")
    for name in value:
        checked_short("the name of a header", name)
    for name, item in value.items():
        _check_field(name, item)
    return dict(value)


def _check_field(name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for item in value.values():
            _check_field(name, item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_field(name, item)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"the header {name!r} has a number of more than 64 bits")
    elif value is not None and not isinstance(value, bool | int | float | str | bytes | datetime | Decimal):
        raise ValueError(f"the header {name!r} cannot be a {type(value).__name__}; AMQP has no such type")
