"""Where a minion's record meets the value of another system that belongs to it."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any, ClassVar

from qalipsis.clock import TimerHandle
from qalipsis.engine.context import Context
from qalipsis.engine.feed import both
from qalipsis.engine.operation import WAIT
from qalipsis.engine.step import StepError, Strand
from qalipsis.engine.wheel import TimerWheel
from qalipsis.language.joins import Pair
from qalipsis.metrics.meters import StepMeters

_log = logging.getLogger(__name__)

FIGURES = ("right-read", "matched", "left-unmatched", "right-evicted")


class Waiter:
    """A left record that waits for its match."""

    __slots__ = ("_join", "key", "left", "strand", "timer")

    def __init__(self, join: Join, key: Any, left: Any, strand: Strand, timer: TimerHandle | None) -> None:
        self._join = join
        self.key = key
        self.left = left
        self.strand = strand
        self.timer = timer

    def cancel(self) -> None:
        self._join.give_up(self)

    def expire(self) -> None:
        self._join.expire(self)


class Join:
    """Keeps right values by key until they are matched, too many or too old, and left records until their
    time is up.
    """

    def __init__(
        self,
        name: str,
        on: Callable[[Context], Any],
        having: Callable[[Any], Any],
        timeout: float,
        cache_timeout: float,
        cache_size: int,
        *,
        is_left: bool,
        is_counting: bool,
        meters: StepMeters,
        wheel: TimerWheel,
    ) -> None:
        self._name = name
        self._on = on
        self._having = having
        self._timeout = timeout
        self._cache_timeout = cache_timeout
        self._cache_size = cache_size
        self._is_left = is_left
        self._is_counting = is_counting
        """False where another worker reads the same right side: what is read is counted once."""
        self._meters = meters
        self._counters = meters.counters
        for figure in FIGURES:
            self._counters.setdefault(figure, 0)
        self._wheel = wheel
        self._key: Any = None
        self._waiting: dict[Any, deque[Waiter]] = {}
        self._rights: dict[Any, list[int]] = {}
        """The numbers of the values kept under a key; a deque for each would be most of the memory."""
        self._kept: OrderedDict[int, tuple[float, Any, Any]] = OrderedDict()
        """By number, so that the oldest is in front: when it came, its key and itself."""
        self._came = 0
        self._error: StepError | None = None
        self._left_types: set[type] = set()
        self._right_types: set[type] = set()

    # the left side

    def take(self, context: Context) -> Any:
        """The pair, when the right value is there; otherwise WAIT."""
        key = self._key = self._on(context)
        if type(key) not in self._left_types:
            self._new_type(self._left_types, key)
        if self._cache_timeout:
            self._forget_old()
        found = self._rights.get(key)
        if found is None:
            if self._error is not None:
                raise StepError(self._error.kind, str(self._error))
            return WAIT
        _, _, right = self._kept.pop(found.pop(0))
        if not found:
            del self._rights[key]
        self._counters["matched"] += 1
        return Pair(context.value, right)

    def wait(self, context: Context, strand: Strand) -> Waiter:
        """Right after `take` said WAIT."""
        waiter = Waiter(self, self._key, context.value, strand, None)
        waiter.timer = self._wheel.call_at(self._wheel.now() + self._timeout, waiter.expire)
        waiting = self._waiting.get(waiter.key)
        if waiting is None:
            self._waiting[waiter.key] = deque((waiter,))
        else:
            waiting.append(waiter)
        return waiter

    def give_up(self, waiter: Waiter) -> None:
        if waiter.timer is not None:
            waiter.timer.cancel()
        waiting = self._waiting.get(waiter.key)
        if waiting is not None and waiter in waiting:
            waiting.remove(waiter)
            if not waiting:
                del self._waiting[waiter.key]

    def expire(self, waiter: Waiter) -> None:
        waiter.timer = None
        self.give_up(waiter)
        self._counters["left-unmatched"] += 1
        if self._is_left:
            waiter.strand.resume(Pair(waiter.left, None))
        else:
            waiter.strand.fail(
                StepError("unmatched", f"nothing with the key {waiter.key!r} came within {self._timeout:g} s")
            )

    # the right side

    def put(self, records: Sequence[Any]) -> None:
        if self._is_counting:
            self._counters["right-read"] += len(records)
        now = self._wheel.now()
        for record in records:
            try:
                key = self._having(record)
                waiting = self._waiting.get(key)
            except Exception as error:
                self._broken(record, error)
                continue
            if type(key) not in self._right_types:
                self._new_type(self._right_types, key)
            if waiting is not None:
                waiter = waiting.popleft()
                if not waiting:
                    del self._waiting[key]
                assert waiter.timer is not None
                waiter.timer.cancel()
                self._counters["matched"] += 1
                waiter.strand.resume(Pair(waiter.left, record))
            else:
                self._keep(key, now, record)

    def has_room(self) -> bool:
        return True  # what is too much is let go as it comes

    def drop_oldest(self) -> None:
        self._evict()

    def ended(self, error: StepError | None) -> None:
        """An end leaves what is kept; after a failure nothing can match any more."""
        self._error = error
        if error is None:
            return
        waiting, self._waiting = self._waiting, {}
        for waiters in waiting.values():
            for waiter in waiters:
                assert waiter.timer is not None
                waiter.timer.cancel()
                waiter.strand.fail(StepError(error.kind, str(error)))

    def _keep(self, key: Any, now: float, record: Any) -> None:
        number = self._came = self._came + 1
        kept = self._rights.get(key)
        if kept is None:
            self._rights[key] = [number]
        else:
            kept.append(number)
        self._kept[number] = (now, key, record)
        if self._cache_timeout:
            self._forget_old()
        if len(self._kept) > self._cache_size:
            self._evict()

    def _forget_old(self) -> None:
        oldest = self._wheel.now() - self._cache_timeout
        while self._kept:
            came, _, _ = next(iter(self._kept.values()))
            if came > oldest:
                return
            self._evict()

    def _evict(self) -> None:
        number, (_, key, _) = self._kept.popitem(last=False)
        kept = self._rights[key]
        assert kept[0] == number
        kept.pop(0)
        self._counters["right-evicted"] += 1
        if not kept:
            del self._rights[key]

    def _broken(self, record: Any, error: Exception) -> None:
        if "right-broken" not in self._counters:
            _log.warning("%s: no key can be made of %.200r: %s", self._name, record, error)
        self._meters.count("right-broken")

    def _new_type(self, types: set[type], key: Any) -> None:
        types.add(type(key))
        can_match = not self._left_types or not self._right_types
        can_match = can_match or any(_may_equal(a, b) for a in self._left_types for b in self._right_types)
        if not can_match and "key-types-differ" not in self._counters:
            self._counters["key-types-differ"] = 1
            _log.warning(
                "%s: keys on the left are %s, on the right %s, and never equal: convert one side",
                self._name,
                _names(self._left_types),
                _names(self._right_types),
            )


def _may_equal(one: type, other: type) -> bool:
    """Whether values of these types are ever equal, as 1 and 1.0 are, or strings and those of an enum."""
    return (
        issubclass(one, other)
        or issubclass(other, one)
        or (issubclass(one, Number) and issubclass(other, Number))
    )


def _names(types: set[type]) -> str:
    return " or ".join(sorted(kind.__name__ for kind in types))


class ZipTaker:
    """A left record that waits for the next right value, or for the first."""

    __slots__ = ("_zip", "left", "strand", "timer")

    def __init__(self, zipped: Zip, left: Any, strand: Strand) -> None:
        self._zip = zipped
        self.left = left
        self.strand = strand
        self.timer: TimerHandle | None = None

    def cancel(self) -> None:
        self._zip.give_up(self)

    def expire(self) -> None:
        self._zip.expire(self)


class Zip:
    """Pairs left records with right values in the order in which both come; each right value is used once."""

    used: ClassVar[str] = "matched"
    """Name of the figure that counts the pairs."""

    def __init__(
        self,
        timeout: float,
        cache_size: int,
        meters: StepMeters,
        wheel: TimerWheel,
        is_counting: bool = True,
    ) -> None:
        self.go_on: Callable[[], None] = lambda: None
        self._timeout = timeout
        self._cache_size = cache_size
        self._is_counting = is_counting
        self._counters = meters.counters
        for figure in ("right-read", self.used, "left-unmatched"):
            self._counters.setdefault(figure, 0)
        self._wheel = wheel
        self._waiting: OrderedDict[ZipTaker, None] = OrderedDict()
        self._rights: deque[Any] = deque()
        self._error: StepError | None = None

    def take(self, context: Context) -> Any:
        if not self._rights:
            if self._error is not None:
                raise StepError(self._error.kind, str(self._error))
            return WAIT
        self._counters[self.used] += 1
        return Pair(context.value, self._next())

    def wait(self, context: Context, strand: Strand) -> ZipTaker:
        taker = ZipTaker(self, context.value, strand)
        taker.timer = self._wheel.call_at(self._wheel.now() + self._timeout, taker.expire)
        self._waiting[taker] = None
        return taker

    def give_up(self, taker: ZipTaker) -> None:
        self._waiting.pop(taker, None)
        if taker.timer is not None:
            taker.timer.cancel()

    def expire(self, taker: ZipTaker) -> None:
        self._waiting.pop(taker, None)
        self._counters["left-unmatched"] += 1
        taker.strand.fail(StepError("unmatched", f"no right value came within {self._timeout:g} s"))

    def put(self, records: Sequence[Any]) -> None:
        if self._is_counting:
            self._counters["right-read"] += len(records)
        self._add(records)
        while self._rights and self._waiting:
            taker, _ = self._waiting.popitem(last=False)
            assert taker.timer is not None
            taker.timer.cancel()
            self._counters[self.used] += 1
            taker.strand.resume(Pair(taker.left, self._next()))

    def has_room(self) -> bool:
        return len(self._rights) < self._cache_size

    def drop_oldest(self) -> None:
        self._counters["records-dropped"] = self._counters.get("records-dropped", 0) + 1
        self._rights.popleft()

    def ended(self, error: StepError | None) -> None:
        self._error = error
        if error is None:
            return
        waiting, self._waiting = self._waiting, OrderedDict()
        for taker in waiting:
            assert taker.timer is not None
            taker.timer.cancel()
            taker.strand.fail(StepError(error.kind, str(error)))

    def reopen(self, go_on: Callable[[], None]) -> None:
        """Another pump begins to fill it; `go_on` tells that one that there is room."""
        self.go_on = both(self.go_on, go_on)

    def _add(self, records: Sequence[Any]) -> None:
        self._rights.extend(records)

    def _next(self) -> Any:
        right = self._rights.popleft()
        if len(self._rights) == self._cache_size // 2:
            self.go_on()
        return right


class ZipLast(Zip):
    """Pairs left records with the latest right value, of which most may never be looked at."""

    used = "paired"

    def _add(self, records: Sequence[Any]) -> None:
        self._rights.extend(records)
        while len(self._rights) > 1:
            self._rights.popleft()

    def _next(self) -> Any:
        return self._rights[0]


class Branch:
    """The records of a named step, for the joins of the same worker."""

    def __init__(self) -> None:
        self.sinks: list[Join | Zip] = []

    def tap(self, context: Context) -> Any:
        record = (context.value,)
        for sink in self.sinks:
            if not sink.has_room():
                sink.drop_oldest()  # a minion is not held up, as a source is
            sink.put(record)
        return context.value
