"""Head and factory in one process: a queue per topic; what is said is encoded as on every transport."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from typing import Final, Self

from qalipsis.cluster.transport import MOST_ATTEMPTS, Delivery
from qalipsis.errors import ReaderReplaced, TransportClosed

MOST_HELD: Final = 10_000
"""Messages of a topic that nobody has acknowledged; beyond it publishers wait, so that a stuck reader cannot
eat the memory."""

DEAD_LETTERS: Final = 1000
"""Messages set aside that are kept, of all topics together."""

_log = logging.getLogger(__name__)


class _Message:
    __slots__ = ("attempts", "body")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.attempts = 0


class _Topic:
    def __init__(self) -> None:
        self.waiting: deque[_Message] = deque()
        self.unsettled: dict[int, _Message] = {}
        """What the reader has and has not settled, in order."""
        self.reader: MemorySubscription | None = None
        self.room = asyncio.Event()
        self.turn = asyncio.Lock()
        """Who came first publishes first: a source's messages must not overtake each other."""

    @property
    def held(self) -> int:
        return len(self.waiting) + len(self.unsettled)

    def hand_over(self, reader: MemorySubscription | None) -> None:
        """To another reader or to none; what is not settled waits for the next one."""
        self.waiting.extendleft(reversed(self.unsettled.values()))
        self.unsettled = {}
        self.reader = reader


class MemoryTransport:
    """Topics of this process; their messages are gone with it."""

    is_connected = True

    def __init__(self, most_held: int = MOST_HELD) -> None:
        self._most_held = most_held
        self._topics: dict[str, _Topic] = {}
        self._is_closed = False
        self.dead_letters: deque[tuple[str, bytes]] = deque(maxlen=DEAD_LETTERS)
        """Messages set aside, each with its topic."""

    async def publish(self, topic: str, body: bytes) -> None:
        """Put the message into its topic; waits while the topic is full."""
        place = self._topic(topic)
        async with place.turn:
            while place.held >= self._most_held and self._topics.get(topic) is place:
                place.room.clear()
                await place.room.wait()
        if self._is_closed:
            raise TransportClosed(f"the transport was closed before a message was published to {topic}")
        place.waiting.append(_Message(body))
        if place.reader is not None:
            place.reader.notice()

    def subscribe(self, topic: str) -> MemorySubscription:
        return MemorySubscription(self, topic)

    async def remove(self, topic: str) -> None:
        place = self._topics.pop(topic, None)
        if place is None:
            return
        place.room.set()
        if place.reader is not None:
            place.reader.end()

    async def aclose(self) -> None:
        """End all subscriptions; what still waits is gone."""
        self._is_closed = True
        for topic in tuple(self._topics):
            await self.remove(topic)

    # For its subscriptions

    def begin(self, reader: MemorySubscription) -> None:
        """Make it the reader of its topic."""
        if self._is_closed:
            reader.end()
            return
        place = self._topic(reader.topic)
        if place.reader is not None:
            place.reader.end(is_taken_over=True)
        place.hand_over(reader)

    def leave(self, reader: MemorySubscription) -> None:
        place = self._topics.get(reader.topic)
        if place is not None and place.reader is reader:
            place.hand_over(None)

    def take(self, reader: MemorySubscription) -> Delivery | None:
        """The next message of the topic, None when there is none yet."""
        place = self._topic(reader.topic)
        while place.waiting:
            message = place.waiting.popleft()
            message.attempts += 1
            if message.attempts <= MOST_ATTEMPTS:
                place.unsettled[id(message)] = message
                settle = partial(self._settle, reader, place, message)
                return Delivery(reader.topic, message.body, message.attempts, settle)
            self._set_aside(reader.topic, message, f"{MOST_ATTEMPTS} readers have not acknowledged it")
        return None

    def _settle(
        self, reader: MemorySubscription, place: _Topic, message: _Message, reason: str | None
    ) -> None:
        if place.reader is not reader or place.unsettled.pop(id(message), None) is None:
            return  # too late: it waits for the next reader, or is with it
        if reason is not None:
            self._set_aside(reader.topic, message, reason)
        place.room.set()

    def _set_aside(self, topic: str, message: _Message, reason: str) -> None:
        self.dead_letters.append((topic, message.body))
        _log.warning("a message on %s was set aside: %s", topic, reason)

    def _topic(self, name: str) -> _Topic:
        return self._topics.setdefault(name, _Topic())


class MemorySubscription:
    """See `cluster.transport.Subscription`."""

    def __init__(self, transport: MemoryTransport, topic: str) -> None:
        self.topic = topic
        self._transport = transport
        self._news = asyncio.Event()
        self._has_begun = False
        self._has_ended = False
        self._is_taken_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        if not self._has_begun:
            self._has_begun = True
            self._transport.begin(self)
        while not self._has_ended:
            delivery = self._transport.take(self)
            if delivery is not None:
                return delivery
            self._news.clear()
            await self._news.wait()
        if self._is_taken_over:
            raise ReaderReplaced(f"another reader took over the topic {self.topic}")
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._has_begun = True
        self._transport.leave(self)
        self.end()

    def notice(self) -> None:
        """Something came."""
        self._news.set()

    def end(self, is_taken_over: bool = False) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._is_taken_over = is_taken_over
        self._news.set()
