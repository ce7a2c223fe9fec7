"""The seam between head and factories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol


class Transport(Protocol):
    """Carries bytes between the head and its factories.

    - A message is delivered at least once, and in order within a topic; receivers tolerate repeats.
    - What is published before anyone subscribed waits for the first subscriber of the topic.
    - `publish` returns once the transport has taken over responsibility for the message.
    - After `aclose` publishing raises TransportClosed and every subscription ends.
    """

    async def publish(self, topic: str, body: bytes) -> None: ...

    def subscribe(self, topic: str) -> AsyncIterator[bytes]:
        """The bodies of a topic, for one reader; a topic has one reader at a time."""

    async def aclose(self) -> None:
        """End all subscriptions; safe to call twice."""
