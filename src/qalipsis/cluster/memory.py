"""Head and factory in one process: a queue per topic; what is said is encoded as on every transport."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from qalipsis.errors import TransportClosed

MOST_WAITING: Final = 10_000
"""Messages waiting in a topic; beyond it publishers wait, so that a stuck reader cannot eat the memory."""


class _Topic:
    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.arrived = asyncio.Event()
        self.room = asyncio.Event()


class MemoryTransport:
    """Topics of this process; their messages are gone with it."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._most_waiting = most_waiting
        self._topics: dict[str, _Topic] = {}
        self._is_closed = False

    async def publish(self, topic: str, body: bytes) -> None:
        """Put the message into its topic; waits while the topic is full."""
        place = self._topic(topic)
        while not self._is_closed and len(place.waiting) >= self._most_waiting:
            place.room.clear()
            await place.room.wait()
        if self._is_closed:
            raise TransportClosed(f"the transport was closed before a message was published to {topic}")
        place.waiting.append(body)
        place.arrived.set()

    async def subscribe(self, topic: str) -> AsyncIterator[bytes]:
        """The bodies of a topic, for one reader."""
        place = self._topic(topic)
        while not self._is_closed:
            if place.waiting:
                body = place.waiting.popleft()
                place.room.set()
                yield body
            else:
                place.arrived.clear()
                await place.arrived.wait()

    async def aclose(self) -> None:
        """End all subscriptions; what still waits is gone."""
        self._is_closed = True
        for place in self._topics.values():
            place.arrived.set()
            place.room.set()

    def _topic(self, name: str) -> _Topic:
        return self._topics.setdefault(name, _Topic())
