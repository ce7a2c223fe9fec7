"""Hands out the records of a source to the minions of a worker: to one of them, or to all."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any

from qalipsis.engine.context import Context
from qalipsis.engine.operation import DROP, WAIT
from qalipsis.engine.pump import Pump
from qalipsis.engine.scene import Background
from qalipsis.engine.step import StepError, Strand
from qalipsis.engine.wheel import TimerWheel
from qalipsis.metrics.meters import StepMeters

BUFFER = 10_000
"""Records read ahead by a feed that says nothing else."""
OWN_BUFFER = 100
"""Records read ahead by a minion that reads by itself: there may be thousands of them."""


def nobody() -> None:
    """Before the pump is there, nobody waits for room."""


def both(one: Callable[[], None], other: Callable[[], None]) -> Callable[[], None]:
    """Calls one after the other."""

    def call() -> None:
        one()
        other()

    return call


class Taker:
    """A minion that waits for a record."""

    __slots__ = ("_feed", "context", "is_gone", "strand")

    def __init__(self, feed: Feed, context: Context, strand: Strand) -> None:
        self._feed = feed
        self.context = context
        self.strand = strand
        self.is_gone = False

    def cancel(self) -> None:
        self.is_gone = True
        self._feed.give_up(self)


class Feed:
    """What all ways of handing out share: who waits, and how it ends."""

    def __init__(
        self, counters: dict[str, int], given: str, wheel: TimerWheel, idle_timeout: float = 0.0
    ) -> None:
        self.go_on: Callable[[], None] = nobody
        self._counters = counters
        self._given = given
        """Name of the figure that counts what minions got."""
        for name in ("records-read", given, "found-none"):
            self._counters.setdefault(name, 0)
        self._waiting: OrderedDict[Taker, None] = OrderedDict()
        self._is_full = False
        """The source waits until minions have used what there is."""
        self._is_ended = False
        self._is_dry = False
        self._error: StepError | None = None
        self._pumps = 1
        """How many fill it."""
        self._wheel = wheel
        self._idle_timeout = idle_timeout
        self._moved_at = wheel.now()
        if idle_timeout:
            wheel.call_at(self._moved_at + idle_timeout, self._check_idle)

    def take(self, context: Context) -> Any:
        """The next record of this minion, DROP when there will be none, or WAIT."""
        raise NotImplementedError

    def wait(self, context: Context, strand: Strand) -> Taker:
        """After WAIT: the strand is resumed with a record, with DROP, or fails."""
        taker = Taker(self, context, strand)
        self._waiting[taker] = None
        return taker

    def give_up(self, taker: Taker) -> None:
        self._waiting.pop(taker, None)

    def reopen(self, go_on: Callable[[], None]) -> None:
        """Another pump begins to fill it; `go_on` tells that one that there is room."""
        self.go_on = both(self.go_on, go_on)
        self._pumps += 1
        self.wake()

    def wake(self) -> None:
        """Records may come after all, though it ran dry."""
        if not self._is_dry:
            return  # it goes on as before, or nobody is to wait any more
        self._is_dry = self._is_ended = False
        self._moved_at = self._wheel.now()
        if self._idle_timeout:
            self._wheel.call_at(self._moved_at + self._idle_timeout, self._check_idle)

    def ended(self, error: StepError | None) -> None:
        self._pumps -= 1
        if error is None and self._pumps > 0:
            return
        self._error = error
        if error is None and not self._is_ended:
            self._counters["ended"] = self._counters.get("ended", 0) + 1
        self._run_dry()

    def stop(self) -> None:
        """Nobody waits any longer: there is nothing to come, or no more minions are to walk."""
        self._is_ended = True
        waiting, self._waiting = self._waiting, OrderedDict()
        for taker in waiting:
            if taker.is_gone:
                continue
            try:
                answer = self.take(taker.context)
            except StepError as failure:
                taker.strand.fail(failure)
            else:
                taker.strand.resume(answer)

    def _none_left(self, context: Context) -> Any:
        if self._error is not None:
            raise StepError(self._error.kind, str(self._error))
        if not self._is_ended:
            return WAIT
        if self._is_dry:
            self._counters["found-none"] += 1
        context.minion.is_dry = True
        return DROP

    def _run_dry(self) -> None:
        """The source itself has no more records."""
        self._is_dry = True
        self.stop()

    def _go_on(self) -> None:
        self._is_full = False
        self._moved_at = self._wheel.now()
        self.go_on()

    def _check_idle(self) -> None:
        if self._is_ended:
            return
        if self._is_full:
            self._moved_at = self._wheel.now()  # the minions are slow, and not the source
        at = self._moved_at + self._idle_timeout
        if self._wheel.now() < at:
            self._wheel.call_at(at, self._check_idle)
            return
        self._run_dry()


class Unicast(Feed):
    """Each record to one minion, first come, first served."""

    def __init__(
        self,
        meters: StepMeters,
        wheel: TimerWheel,
        idle_timeout: float = 0.0,
        buffer: int = BUFFER,
        is_counting: bool = True,
        given: str = "records-delivered",
    ) -> None:
        super().__init__(meters.counters if is_counting else {}, given, wheel, idle_timeout)
        self._buffer = buffer
        self._records: deque[Any] = deque()

    def put(self, records: Sequence[Any]) -> None:
        if self._is_ended:
            return  # idle for too long: nobody comes back for these
        self._counters["records-read"] += len(records)
        self._moved_at = self._wheel.now()
        self._records.extend(records)
        while self._waiting and self._records:
            taker, _ = self._waiting.popitem(last=False)
            self._counters[self._given] += 1
            taker.strand.resume(self._records.popleft())

    def has_room(self) -> bool:
        self._is_full = len(self._records) >= self._buffer
        return not (self._is_full or self._is_ended)

    def take(self, context: Context) -> Any:
        records = self._records
        if not records:
            return self._none_left(context)
        if self._is_full and len(records) <= self._buffer // 2 + 1:
            self._go_on()
        self._counters[self._given] += 1
        return records.popleft()


class Cursor:
    """How far one minion has come; a resource of the minion, gone when it ends."""

    __slots__ = ("_feed", "position")

    def __init__(self, feed: Broadcast, position: int) -> None:
        self._feed = feed
        self.position = position

    def close(self) -> None:
        self._feed.leave(self)


class Broadcast(Feed):
    """Every record to every minion; the slowest one decides how far ahead the source is read."""

    def __init__(
        self,
        meters: StepMeters,
        wheel: TimerWheel,
        idle_timeout: float = 0.0,
        buffer: int | None = None,
        is_counting: bool = True,
    ) -> None:
        super().__init__(meters.counters, "records-taken", wheel, idle_timeout)
        self._is_counting = is_counting
        """False where another worker reads the same records: what is read is counted once."""
        self._buffer = buffer
        self._records: list[Any] = []
        self._first = 0
        """Number of the oldest record kept."""
        self._cursors: dict[Cursor, None] = {}
        self._let_go_at = 0
        self._behind = 0
        """While full: minions that have not come to the record `_let_go_at` yet."""

    def put(self, records: Sequence[Any]) -> None:
        if self._is_ended:
            return
        if self._is_counting:
            self._counters["records-read"] += len(records)
        self._moved_at = self._wheel.now()
        self._records.extend(records)
        waiting, self._waiting = self._waiting, OrderedDict()
        for taker in waiting:
            if not taker.is_gone:
                taker.strand.resume(self.take(taker.context))

    def has_room(self) -> bool:
        if self._is_ended:
            return False
        if self._buffer is None or len(self._records) < self._buffer:
            return True
        self._is_full = True
        self._let_go_at = self._first + max(1, len(self._records) // 2)
        self._behind = sum(cursor.position < self._let_go_at for cursor in self._cursors)
        if self._cursors and not self._behind:
            self._let_go()
        return not self._is_full

    def take(self, context: Context) -> Any:
        cursor = context.minion.resources.get(self)
        if cursor is None:
            cursor = context.minion.resources[self] = self._join()
        assert isinstance(cursor, Cursor)
        place = cursor.position - self._first
        if place >= len(self._records):
            return self._none_left(context)
        cursor.position += 1
        record = self._records[place]
        self._counters["records-taken"] += 1
        if self._is_full and cursor.position == self._let_go_at:
            self._caught_up()
        return record

    def leave(self, cursor: Cursor) -> None:
        if self._cursors.pop(cursor, cursor) is None and self._is_full and cursor.position < self._let_go_at:
            self._caught_up()

    def _join(self) -> Cursor:
        cursor = Cursor(self, self._first)
        self._cursors[cursor] = None
        self._behind += 1
        return cursor

    def _caught_up(self) -> None:
        self._behind -= 1
        if self._behind <= 0 and self._cursors:
            self._let_go()

    def _let_go(self) -> None:
        del self._records[: self._let_go_at - self._first]
        self._first = self._let_go_at
        self._go_on()


class Private:
    """A minion's own reading of a source; a resource of the minion."""

    __slots__ = ("_all", "_reading", "feed")

    def __init__(self, feed: Unicast, reading: Any, all_feeds: dict[Unicast, None]) -> None:
        self.feed = feed
        self._reading = reading
        self._all = all_feeds

    def close(self) -> None:
        self._reading.cancel()
        self._all.pop(self.feed, None)


class Sequential:
    """Every minion reads the source by itself, from the beginning."""

    def __init__(
        self,
        make_feed: Callable[[], Unicast],
        make_pump: Callable[[Unicast], Pump],
        background: Background,
        is_finite: bool,
    ) -> None:
        self._make_feed = make_feed
        self._make_pump = make_pump
        self._background = background
        self._is_finite = is_finite
        self._is_stopped = False
        self._feeds: dict[Unicast, None] = {}

    def stop(self) -> None:
        self._is_stopped = True
        for feed in list(self._feeds):
            feed.stop()

    def take(self, context: Context) -> Any:
        own = context.minion.resources.get(self)
        if own is None:
            if self._is_stopped and not self._is_finite:
                context.minion.is_dry = True
                return DROP
            return WAIT
        assert isinstance(own, Private)
        return own.feed.take(context)

    def wait(self, context: Context, strand: Strand) -> Taker:
        own = context.minion.resources.get(self)
        if own is None:
            feed = self._make_feed()
            pump = self._make_pump(feed)
            feed.go_on = pump.go_on
            self._feeds[feed] = None
            own = Private(feed, pump.start(self._background), self._feeds)
            context.minion.resources[self] = own
        assert isinstance(own, Private)
        return own.feed.wait(context, strand)
