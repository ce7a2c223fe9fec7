"""Reads a topic: each message once, and whatever is no message is counted and set aside."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from qalipsis.cluster.codec import Received, Undecodable, decode
from qalipsis.cluster.transport import Transport

KEPT: Final = 16
"""Messages set aside that are kept for whoever wants to look; only their first bytes."""

SHOWN_BYTES: Final = 64

_log = logging.getLogger(__name__)


class Inbox:
    """One reader of one topic.

    Within a topic a source's sequence grows, so a message whose sequence is not above the last one of its
    source and incarnation is a repetition and is dropped.
    """

    def __init__(self, transport: Transport, topic: str) -> None:
        self.topic = topic
        self.undecodable = 0
        self.repeated = 0
        self.set_aside: deque[tuple[str, bytes]] = deque(maxlen=KEPT)
        self._bodies = transport.subscribe(topic)
        self._last: dict[tuple[str, int], int] = {}

    async def messages(self) -> AsyncIterator[Received]:
        """Every new message, until the transport closes."""
        async for body in self._bodies:
            received = self._open(body)
            if received is not None:
                yield received

    def _open(self, body: bytes) -> Received | None:
        try:
            received = decode(body)
        except Undecodable as error:
            self.undecodable += 1
            self.set_aside.append((str(error), body[:SHOWN_BYTES]))
            _log.warning("a message on %s was set aside: %s", self.topic, error)
            return None
        key = (received.source, received.incarnation)
        if received.sequence <= self._last.get(key, 0):
            self.repeated += 1
            return None
        self._last[key] = received.sequence
        return received
