"""Reads one topic: takes entries ahead, puts them in order, and tells Redis what was acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Self

from qalipsis.cluster.redis.arrivals import Arrivals, Entry
from qalipsis.cluster.redis.faults import Passing
from qalipsis.cluster.redis.group import DeadLetter, Group, GroupGone, Strange, TakenOver
from qalipsis.cluster.redis.patience import Patience
from qalipsis.cluster.redis.servers import Lane, Servers
from qalipsis.cluster.transport import MOST_ATTEMPTS, Delivery
from qalipsis.errors import QalipsisError, ReaderReplaced

BLOCK_SECONDS: Final = 0.5
"""How long a read waits for news. A Redis that hangs with its connections open is noticed after this and
`servers.LATE_SECONDS`, together 1 s, and by a head a quarter later. A factory whose heartbeat was due just
when Redis stopped has then been silent for 2.25 s, of the 2.75 s after which it is lost.
"""
MOST_AT_ONCE: Final = 200
BYTES_AT_ONCE: Final = 4 << 20
MOST_AHEAD: Final = 400
BYTES_AHEAD: Final = 8 << 20
"""What is read ahead of the one who asks for it."""

GATHER_SECONDS: Final = 0.01
"""Acknowledgements of so long are told together."""
RENEW_SECONDS: Final = 60.0

_log = logging.getLogger(__name__)

Run = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[None]]


class RedisSubscription:
    """See `cluster.transport.Subscription`.

    `run` starts a task in the name of the topic, and ends everything when it fails; `leave` is called when
    the subscription has ended.
    """

    def __init__(
        self,
        servers: Servers,
        topic: str,
        make_patience: Callable[[], Patience],
        run: Run,
        leave: Callable[[RedisSubscription], None],
    ) -> None:
        self.topic = topic
        self._run = run
        self._leave = leave
        self._block_seconds = min(BLOCK_SECONDS, servers.address.timeout_seconds)
        self._reading_patience = make_patience()
        self._telling_patience = make_patience()
        self._group = Group(servers, topic)
        self._lane = Lane()
        self._arrivals = Arrivals()
        self._ahead: deque[Entry] = deque()
        self._ahead_bytes = 0
        self._usual_bytes = BYTES_AT_ONCE / 16
        """What an entry is expected to hold, so that not too much is read at once."""
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._debts = asyncio.Event()
        self._dead: list[DeadLetter] = []
        self._last_read: str | None = None
        self._renewed_at: float | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._has_ended = False
        self._error: QalipsisError | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        if not self._tasks and not self._has_ended:
            self._tasks = [self._run(self.topic, self._read()), self._run(self.topic, self._tell())]
        while not self._has_ended:
            if not self._ahead:
                self._news.clear()
                await self._news.wait()
                continue
            entry = self._ahead[0]
            if entry.attempts:
                with suppress(Passing, GroupGone):
                    await self._group.count(entry)
            if not self._has_ended:
                return self._hand_out()
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.end()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks)
            await self._lane.aclose()
        finally:
            self._reading_patience.answered()
            self._telling_patience.answered()
        if tasks and self._error is None and self._group.has_joined:
            with suppress(Passing, GroupGone, QalipsisError):  # what cannot be told comes again
                await self._tell_once()
        self._leave(self)

    def end(self, error: QalipsisError | None = None) -> None:
        """No more deliveries; whoever asks for them gets the error."""
        if not self._has_ended:
            self._has_ended = True
            self._error = error
        self._news.set()

    def _hand_out(self) -> Delivery:
        entry = self._ahead.popleft()
        assert entry.body is not None
        self._ahead_bytes -= len(entry.body)
        self._room.set()
        return Delivery(self.topic, entry.body, entry.attempts + 1, partial(self._settle, entry))

    def _settle(self, entry: Entry, reason: str | None) -> None:
        if self._has_ended:
            return  # it comes again
        if reason is not None:
            self._set_aside(entry, reason)
        self._arrivals.settle(entry)
        self._debts.set()

    def _set_aside(self, entry: Entry, reason: str) -> None:
        _log.warning("a message on %s was set aside: %s", self.topic, reason)
        self._dead.append(DeadLetter(entry.id, entry.body or b"", reason))

    # Reading

    async def _read(self) -> None:
        """Raises Exhausted and ServiceUnavailable; ends when another reader takes over."""
        is_sound = False
        while not self._has_ended:
            try:
                if not is_sound:
                    await self._take_over()
                    is_sound = True
                await self._wait_for_room()
                await self._read_once()
            except TakenOver:
                self.end(ReaderReplaced(f"another reader took over the topic {self.topic}"))
            except GroupGone:
                is_sound = False
            except Passing as error:
                # Something may have been read that never came here.
                is_sound = False
                await self._reading_patience.wait(error)
            else:
                self._reading_patience.answered()

    async def _take_over(self) -> None:
        """Become the reader, or again after a trouble, and take what nobody has acknowledged."""
        receipts = await self._group.join()
        self._arrivals.resume(receipts, _now())
        left, gone = await self._group.claim(self._arrivals.known)
        for id in gone:
            self._arrivals.gone(id)
        self._last_read = None  # Redis may count anew
        self._arrivals.write_all()
        self._take(left)

    async def _wait_for_room(self) -> None:
        while len(self._ahead) >= MOST_AHEAD or self._ahead_bytes >= BYTES_AHEAD:
            self._room.clear()
            await self._room.wait()

    async def _read_once(self) -> None:
        count = max(1, min(MOST_AT_ONCE, int(BYTES_AT_ONCE / self._usual_bytes)))
        entries = await self._group.read(self._lane, count, self._block_seconds)
        if entries:
            self._last_read = entries[-1].id
            bytes = sum(len(entry.body or b"") for entry in entries if isinstance(entry, Entry))
            self._usual_bytes = max(1.0, bytes / len(entries), 0.9 * self._usual_bytes)
        self._take(entries)

    def _take(self, entries: Iterable[Entry | Strange]) -> None:
        now = _now()
        ready: list[Entry] = []
        for entry in entries:
            if isinstance(entry, Entry):
                ready += self._arrivals.add(entry, now)
                continue
            reason = "it is no entry of a publisher of ours"
            _log.warning("an entry of %s was set aside: %s", self.topic, reason)
            self._dead.append(DeadLetter(entry.id, repr(entry.fields).encode(), reason))
            self._arrivals.gone(entry.id)
        ready += self._arrivals.give_up_the_dead(now)
        for entry in ready:
            if entry.attempts >= MOST_ATTEMPTS:
                self._set_aside(entry, f"{entry.attempts} readers have not acknowledged it")
                self._arrivals.settle(entry)
            else:
                self._ahead.append(entry)
                self._ahead_bytes += len(entry.body or b"")
        self._news.set()
        if self._arrivals.has_news or self._is_renewal_due():
            self._debts.set()

    # Telling what was acknowledged

    async def _tell(self) -> None:
        """Raises Exhausted and ServiceUnavailable."""
        while True:
            await self._debts.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._debts.clear()
            try:
                await self._tell_once()
                if self._is_renewal_due():
                    await self._group.renew()
                    self._renewed_at = _now()
            except (GroupGone, TakenOver):
                self._telling_patience.answered()  # reading notices it too, and cares
            except Passing as error:
                self._debts.set()
                await self._telling_patience.wait(error)
            else:
                self._telling_patience.answered()

    async def _tell_once(self) -> None:
        last_read = self._last_read
        ids, receipts = self._arrivals.take_acknowledged(), self._arrivals.take_receipts()
        dead, self._dead = self._dead, []
        try:
            forgotten = self._arrivals.forget_silent(_now())
            await self._group.tell(ids, receipts, dead, forgotten, last_read)
        except BaseException:
            self._arrivals.give_back(ids, receipts)
            self._dead = dead + self._dead
            raise

    def _is_renewal_due(self) -> bool:
        return self._renewed_at is None or _now() - self._renewed_at > RENEW_SECONDS


def _now() -> float:
    return asyncio.get_running_loop().time()
