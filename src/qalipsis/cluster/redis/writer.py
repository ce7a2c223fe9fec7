"""Publishes to one topic: sends what is in the window until the reader has it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final
from uuid import uuid4

from qalipsis.cluster.redis import keys
from qalipsis.cluster.redis.arrivals import Receipt
from qalipsis.cluster.redis.faults import Passing, Words
from qalipsis.cluster.redis.patience import Patience
from qalipsis.cluster.redis.servers import Servers
from qalipsis.cluster.redis.window import Window

LOOK_SECONDS: Final = 0.2
"""How often the receipts of the reader are read while messages are held; less often from a silent one."""
HURRIED_LOOK_SECONDS: Final = 0.02
"""The same while the window is full and publishers wait."""

MOST_AT_ONCE: Final = 256
MOST_BYTES_AT_ONCE: Final = 1 << 20

LIFE_SECONDS: Final = 86_400
"""Keys that nobody has used for so long go by themselves."""
RENEW_SECONDS: Final = 600.0


class Writer:
    """One publisher of one topic. `run` sends, until it is cancelled; its errors end the transport."""

    def __init__(self, servers: Servers, topic: str, patience: Patience) -> None:
        self.topic = topic
        self._servers = servers
        self._patience = patience
        self._id = uuid4().hex
        self._window = Window()
        self._published: dict[int, asyncio.Future[None]] = {}
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._removal: bytes | None = None
        self._looked_at: float | None = None
        self._renewed_at: float | None = None
        self._has_ended = False
        self._error: Exception | None = None

    async def publish(self, body: bytes) -> None:
        """Returns once Redis has the message."""
        async with self._turn:  # or a message could overtake one that waits for room
            while self._window.is_full and not self._has_ended:
                self._room.clear()
                await self._room.wait()
        if self._error is not None:
            raise self._error
        if self._has_ended:
            return
        number = self._window.add(body)
        published = self._published[number] = asyncio.get_running_loop().create_future()
        self._news.set()
        await published

    def end(self, error: Exception | None) -> None:
        """Whoever publishes gets the error; without one the topic is over, and messages are gone with it."""
        self._has_ended = True
        self._error = error
        self._patience.answered()
        self._room.set()
        for published in self._published.values():
            if published.done():
                continue
            if error is None:
                published.set_result(None)
            else:
                published.set_exception(error)
        self._published.clear()

    async def run(self) -> None:
        """Raises Exhausted and ServiceUnavailable."""
        while True:
            await self._wait()
            try:
                await self._exchange()
            except Passing as error:
                await self._patience.wait(error)
            else:
                self._patience.answered()

    async def _wait(self) -> None:
        """Until there is something to send, or to look for."""
        if not self._window.is_sent:
            return
        self._news.clear()
        if self._window.is_empty:
            await self._news.wait()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._look_at()):
                await self._news.wait()

    def _look_at(self) -> float:
        if self._looked_at is None:
            return 0.0
        if self._window.is_full:
            return self._looked_at + HURRIED_LOOK_SECONDS
        return self._looked_at + max(LOOK_SECONDS, self._window.quiet_seconds / 4)

    async def _exchange(self) -> None:
        now = asyncio.get_running_loop().time()
        batch = list(self._window.unsent(MOST_AT_ONCE, MOST_BYTES_AT_ONCE))
        commands: list[Words] = [self._entry(number, body) for number, body in batch]
        if self._window.is_reminder_due(now):
            commands.append(self._entry(self._window.last, None))
            self._window.reminded(now)
        if commands and (self._renewed_at is None or now - self._renewed_at > RENEW_SECONDS):
            commands.append(("EXPIRE", keys.stream(self.topic), LIFE_SECONDS))
            self._renewed_at = now
        is_looking = now >= self._look_at()
        if is_looking:
            commands.append(("HMGET", keys.receipts(self.topic), self._id, keys.REMOVAL))
        answers = await self._servers.ask(keys.stream(self.topic), commands)
        now = asyncio.get_running_loop().time()
        if batch:
            self._sent(batch[-1][0], now)
        if is_looking:
            receipt, removal = answers[-1]
            self._look(receipt, removal, now)
            self._looked_at = now

    def _entry(self, number: int, body: bytes | None) -> Words:
        words: list[str | bytes | int] = ["XADD", keys.stream(self.topic), "*"]
        words += ["p", self._id, "n", number, "f", self._window.first]
        return words if body is None else [*words, "b", body]

    def _sent(self, last: int, now: float) -> None:
        self._window.sent(last, now)
        while self._published and (number := next(iter(self._published))) <= last:
            published = self._published.pop(number)
            if not published.done():
                published.set_result(None)

    def _look(self, text: bytes | None, removal: bytes | None, now: float) -> None:
        if removal is not None and removal != self._removal:
            self._removal = removal
            if self._looked_at is not None:  # since we looked before
                self._begin_again()
                return
        if text is None:
            return
        receipt = Receipt.read(text.decode())
        if self._window.acknowledged(receipt.acknowledged, now):
            self._room.set()
        self._window.missing(receipt.missing, now)

    def _begin_again(self) -> None:
        """The topic was removed: nobody will ask for what was sent before, be it about to be sent again."""
        held = dict(self._window.unsent(self._window.last, self._window.held_bytes))
        waiting = [(held[number], published) for number, published in self._published.items()]
        self._window, self._id = Window(), uuid4().hex
        self._published = {self._window.add(body): published for body, published in waiting}
        self._room.set()
