"""What steps and sources of RabbitMQ hand to the scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Decoded = TypeVar("Decoded", covariant=True)


@dataclass(frozen=True, slots=True)
class Produced:
    """A message that was handed to the broker; stamps are epoch seconds.

    `done` is when the broker had confirmed it, or without confirms when it was handed to the socket.
    """

    sent: float
    done: float


@dataclass(frozen=True, slots=True)
class Message(Generic[Decoded]):
    """A message that came; `body` is decoded, `raw` as it was received."""

    body: Decoded
    raw: bytes
    headers: Mapping[str, Any]
    routing_key: str
    exchange: str
    message_id: str | None
    correlation_id: str | None
    timestamp: float | None
    """Epoch seconds, as the producer has set it."""
    is_redelivered: bool
    """The broker has handed it out before; somebody may have seen it already."""
    received_at: float
    """Epoch seconds, comparable with `done` of a response or of `Produced`."""
