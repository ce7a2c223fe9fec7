"""Reads a topic: each message once, and whatever is no message is counted and set aside."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from qalipsis.cluster.codec import Received, Undecodable, decode
from qalipsis.cluster.transport import Delivery, Transport

KEPT: Final = 16
"""Messages set aside that are kept for whoever wants to look; only their first bytes."""

SHOWN_BYTES: Final = 64

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message whose reader acknowledges it once its effect is committed."""

    received: Received
    delivery: Delivery

    def acknowledge(self) -> None:
        self.delivery.acknowledge()


class Inbox:
    """One reader of one topic.

    Within a topic a source's sequence grows, so a message whose sequence is not above the last one of its
    source and incarnation is a repetition and is dropped. What was seen is known by this reader only: who
    keeps the effects in a store asks the store as well.
    """

    def __init__(self, transport: Transport, topic: str) -> None:
        self.topic = topic
        self.undecodable = 0
        self.repeated = 0
        self.set_aside: deque[tuple[str, bytes]] = deque(maxlen=KEPT)
        self._subscription = transport.subscribe(topic)
        self._last: dict[tuple[str, int], int] = {}

    async def messages(self) -> AsyncIterator[Received]:
        """Every new message, until the transport closes.

        Each is acknowledged when the next one is asked for: for readers that keep no store.
        """
        async for letter in self.letters():
            yield letter.received
            letter.acknowledge()

    async def letters(self) -> AsyncIterator[Letter]:
        """Every new message, until the transport closes, for the reader to acknowledge."""
        async for delivery in self._subscription:
            received = self._open(delivery)
            if received is not None:
                yield Letter(received, delivery)

    async def aclose(self) -> None:
        """Stop reading; what was not acknowledged is for the next reader."""
        await self._subscription.aclose()

    def _open(self, delivery: Delivery) -> Received | None:
        try:
            received = decode(delivery.body)
        except Undecodable as error:
            self.undecodable += 1
            self.set_aside.append((str(error), delivery.body[:SHOWN_BYTES]))
            _log.warning("a message on %s cannot be read: %s", self.topic, error)
            delivery.set_aside(str(error))
            return None
        key = (received.source, received.incarnation)
        if received.sequence <= self._last.get(key, 0):
            self.repeated += 1
            delivery.acknowledge()
            return None
        self._last[key] = received.sequence
        return received
