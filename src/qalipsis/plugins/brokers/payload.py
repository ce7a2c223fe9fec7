"""What a message carries: how it is made from a value, and how a value is made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from qalipsis.language.callables import function_problems


class Dataclass(Protocol):
    """What `@dataclass` makes."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Payload = (
    bytes | str | Mapping[Any, Any] | Sequence[Any] | int | float | bool | msgspec.Struct | Dataclass | None
)
"""Bytes and texts go as they are, None as nothing at all, everything else as JSON."""

Decode = Literal["json"] | type[str] | type[bytes] | Callable[[bytes], Any]


def encoded(value: Any) -> bytes:
    """The bytes of a payload. Raises ValueError when JSON cannot say it."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if value is None:
        return b""
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{type(value).__name__} cannot be sent: {error}; give bytes or a text") from error


def decoder(decode: Any) -> Callable[[bytes], Any]:
    """What makes a value of a payload; it may raise anything when the payload is not what was expected."""
    if decode == "json":
        return msgspec.json.Decoder().decode
    if decode is str:
        return bytes.decode
    if decode is bytes:
        return bytes
    assert callable(decode)
    fn: Callable[[bytes], Any] = decode
    return fn


def decode_problems(verb: str, decode: Any) -> list[str]:
    """Why `decode` cannot decode."""
    if decode == "json" or decode is str or decode is bytes:
        return []
    if not callable(decode):
        return [f"{verb}(decode={decode!r}) should be 'json', str, bytes or a function of the bytes"]
    return function_problems(f"{verb} decode", decode, ("bytes",))


def payload_problems(what: str, value: Any) -> list[str]:
    """Why a payload that depends on nothing cannot be sent."""
    if callable(value):
        return function_problems(what, value, ("value", "context, value"))
    try:
        encoded(value)
    except ValueError as error:
        return [f"{what}: {error}"]
    return []
