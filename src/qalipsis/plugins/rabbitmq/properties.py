"""Properties of a message: what an author may write, and whether AMQP can carry it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
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
    return {_name(name): _field(name, item) for name, item in value.items()}


def _name(name: Any) -> str:
    return checked_short("the name of a header", name)


def _field(name: str, value: Any) -> Any:
    """The value in the types that the driver knows."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, bytes):
        return bytearray(value)
    if isinstance(value, Mapping):
        return {_name(key): _field(name, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_field(name, item) for item in value]
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"the header {name!r} has a number of more than 64 bits")
        return value
    if isinstance(value, float):
        if not _is_single(value):
            # The driver would round it, or fail.
            raise ValueError(
                f"the header {name!r}: {value!r} does not fit in the 32 bits that the driver has for it; "
                "give a text or a whole number"
            )
        return value
    raise ValueError(f"the header {name!r} cannot be of the type {type(value).__name__}; give a text")


def _is_single(value: float) -> bool:
    try:
        return bool(struct.unpack("f", struct.pack("f", value))[0] == value)
    except OverflowError:
        return False
