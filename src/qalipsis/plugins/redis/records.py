"""What Redis gives back: records of sources, and the outcomes of steps.

`received_at`, `sent` and `done` are epoch seconds of one clock, so that they can be subtracted.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from msgspec import Struct

Text = TypeVar("Text", str, bytes)
"""Text where the client decodes (the default), bytes where it does not."""
Value = TypeVar("Value")


class Entry(Struct, Generic[Text], frozen=True):
    """An entry of a stream."""

    id: str
    fields: dict[Text, Text]
    received_at: float


class KeyValue(Struct, Generic[Text], frozen=True):
    """A key that a scan found; the value is None when it is no string, or was not asked for."""

    key: Text
    value: Text | None
    received_at: float


class Member(Struct, Generic[Text], frozen=True):
    """A member of a set."""

    member: Text
    received_at: float


class Field(Struct, Generic[Text], frozen=True):
    """A field of a hash."""

    name: Text
    value: Text
    received_at: float


class Scored(Struct, Generic[Text], frozen=True):
    """A member of a sorted set."""

    member: Text
    score: float
    received_at: float


class Saved(Struct, Generic[Value], frozen=True):
    """The value that came in, and what the service answered to each command, in their order."""

    value: Value
    replies: tuple[Any, ...]
    sent: float
    done: float


class Added(Struct, frozen=True):
    """The id the service gave to a new entry of a stream."""

    id: str
    sent: float
    done: float
