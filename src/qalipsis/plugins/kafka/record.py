"""What is read from a topic, and what is known of a record that was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from msgspec import Struct

K = TypeVar("K", covariant=True)
V = TypeVar("V", covariant=True)
T = TypeVar("T")


class Headers:
    """The headers of a record, in order; names are kept and compared as they were sent.

    Iterates over (name, value) pairs. A name may stand there several times: the last value counts, as in
    Kafka's own clients, and `all` gives every one.
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: tuple[tuple[str, bytes | None], ...]) -> None:
        self._pairs = pairs

    def __iter__(self) -> Iterator[tuple[str, bytes | None]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, name: object) -> bool:
        return any(known == name for known, _ in self._pairs)

    def __getitem__(self, name: str) -> bytes | None:
        for known, value in reversed(self._pairs):
            if known == name:
                return value
        raise KeyError(name)

    def get(self, name: str, default: T | None = None) -> bytes | T | None:
        """The last value of the name, `default` when there is none."""
        return self[name] if name in self else default  # noqa: SIM401 (this is the get)

    def text(self, name: str, default: str = "") -> str:
        """The last value of the name read as UTF-8, `default` when there is none."""
        value = self.get(name)
        return default if value is None else value.decode("utf-8", "replace")

    def all(self, name: str) -> tuple[bytes | None, ...]:
        """Every value of the name, in the order sent."""
        return tuple(value for known, value in self._pairs if known == name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({list(self._pairs)})"


class Record(Struct, Generic[K, V], frozen=True, gc=False):
    """One record of a topic. A key or value that Kafka has as null is None.

    `timestamp` is the record's own, as its producer or broker set it; `received_at` is when this worker took
    it. Both are epoch seconds.
    """

    topic: str
    partition: int
    offset: int
    key: K
    value: V
    raw_headers: tuple[tuple[str, bytes | None], ...]
    timestamp: float
    received_at: float

    @property
    def headers(self) -> Headers:
        return Headers(self.raw_headers)


class Produced(Struct, frozen=True, gc=False):
    """A record as the broker took it. With `acks=0` it does not say where: partition and offset are -1.

    `timestamp` (the record's own), `sent` (handed to the producer) and `done` (confirmed by the broker) are
    epoch seconds. `input` is the value that the step was given, for a join later on.
    """

    topic: str
    partition: int
    offset: int
    timestamp: float
    sent: float
    done: float
    input: Any
