"""What a factory has to say, until a transport has it."""

from __future__ import annotations

import asyncio
from collections import deque

from qalipsis.cluster.messages import Message
from qalipsis.cluster.publisher import Publisher


class Outbox:
    """Messages in the order in which they were said. They outlive the transport that could not carry them."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, str, Message]] = deque()
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def say(self, topic: str, message: Message, campaign: str = "") -> None:
        """Never waits."""
        self._waiting.append((topic, campaign, message))
        self._empty.clear()
        self._news.set()

    async def publish(self, publisher: Publisher) -> None:
        """Publish everything, until this is cancelled; raises what the transport raises.

        What it was about to publish then is published again by the next one: twice rather than never.
        """
        while True:
            while self._waiting:
                topic, campaign, message = self._waiting[0]
                await publisher.say(topic, message, campaign)
                self._waiting.popleft()
            self._empty.set()
            self._news.clear()
            await self._news.wait()

    async def wait_empty(self, timeout_seconds: float) -> bool:
        """Until everything is published; False when that takes too long."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def clear(self) -> None:
        """Forget what was not published: it is of no interest any more. Only while nobody publishes."""
        self._waiting.clear()
        self._empty.set()
