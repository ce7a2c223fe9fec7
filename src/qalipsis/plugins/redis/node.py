"""One server and the connections that a worker keeps to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.redis.commands import Words
from qalipsis.plugins.redis.failures import Unsent
from qalipsis.plugins.redis.link import Link
from qalipsis.plugins.redis.settings import Address, Settings

Answers = list[Any]


class Books(Protocol):
    """Who wants to know of requests."""

    async def request(self, send: Callable[[], Awaitable[Answers]]) -> Answers: ...

    def connected(self, seconds: float) -> None: ...

    def bytes(self, sent: int, received: int) -> None: ...


class NoBooks:
    """Of what the plugin asks for itself."""

    async def request(self, send: Callable[[], Awaitable[Answers]]) -> Answers:
        return await send()

    def connected(self, seconds: float) -> None:
        pass

    def bytes(self, sent: int, received: int) -> None:
        pass


NO_BOOKS = NoBooks()


class Reading(NoBooks):
    """Of readers: their traffic is counted, their requests are none of the load."""

    def __init__(self, meters: StepMeters) -> None:
        self._meters = meters

    def bytes(self, sent: int, received: int) -> None:
        self._meters.bytes(sent, received)


class Node:
    """A server; at most `pool_size` requests are under way to it, others wait in order."""

    def __init__(self, address: Address, settings: Settings) -> None:
        self.address = address
        self._settings = settings
        self._free: list[Link] = []
        self._room = asyncio.Semaphore(settings.pool_size)
        self._is_closed = False

    async def ask(self, commands: Sequence[Words], deadline: float, books: Books) -> Answers:
        """One request: the commands in a row, their answers in order, errors among them as values.

        Raises StepError; Unsent, when nothing was handed over.
        """
        try:
            async with asyncio.timeout_at(deadline):
                await self._room.acquire()
        except TimeoutError as error:
            raise Unsent(
                "timeout",
                f"no connection to Redis at {self.address} was free within {self._settings.timeout:g} s; "
                f"raise pool_size ({self._settings.pool_size}), or start fewer minions",
            ) from error
        try:
            link = await self._link(deadline, books)
            sent, received = link.sent, link.received
            try:
                return await books.request(lambda: link.exchange(commands, deadline))
            finally:
                books.bytes(link.sent - sent, link.received - received)
                if self._is_closed:
                    await link.aclose()
                elif link.is_open:
                    self._free.append(link)
        finally:
            self._room.release()

    async def aclose(self) -> None:
        """Close the connections that nobody uses; those in use close when their request ends."""
        self._is_closed = True
        free, self._free = self._free, []
        await asyncio.gather(*(link.aclose(wait=True) for link in free))

    async def _link(self, deadline: float, books: Books) -> Link:
        while self._free:
            link = self._free.pop()
            if link.is_usable:
                return link
            await link.aclose()
        now = asyncio.get_running_loop().time
        began = now()
        link = Link(self.address, self._settings)
        await link.open(deadline)
        books.connected(now() - began)
        return link
