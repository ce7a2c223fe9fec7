"""What steps and sources of MQTT hand to the scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Decoded = TypeVar("Decoded", covariant=True)


@dataclass(frozen=True, slots=True)
class Published:
    """A message that was handed to the broker; stamps are epoch seconds.

    With QoS 0 `done` is when it was handed to the socket, with QoS 1 and 2 when the broker had confirmed it.
    """

    topic: str
    sent: float
    done: float


@dataclass(frozen=True, slots=True)
class Message(Generic[Decoded]):
    """A message that came; `payload` is decoded, `raw` as it was received."""

    topic: str
    payload: Decoded
    raw: bytes
    qos: int
    retain: bool
    """The broker had kept it; it was published before the subscription."""
    received_at: float
    """Epoch seconds, comparable with `done` of a response or of `Published`."""
