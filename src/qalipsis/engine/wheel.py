"""The worker's timers: a wheel of one-millisecond slots, armed once, never early.

uvloop's own timers fire up to a millisecond early and cost 1.3 µs each; here a timer is one append.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from heapq import heappop, heappush
from math import ceil
from typing import Protocol

from qalipsis.clock import Clock, TimerHandle

_log = logging.getLogger(__name__)

TICKS_PER_SECOND = 1000.0
"""A slot per millisecond: coarser would show in start times, finer costs a heap entry per timer."""


SWEEP_FROM = 1000
"""Cancelled timers that are not worth looking for."""


class Resumable(Protocol):
    """A generator, or what takes its place."""

    def send(self, value: None, /) -> object: ...


class Entry(Protocol):
    """What waits in the wheel. It may be set again once it fired, or was cancelled."""

    slot: Slot | None
    """Where it waits. One that was cancelled stays in its slot for a while, but no longer knows it."""

    @property
    def generator(self) -> Resumable | None:
        """What to go on with when the moment has come; not None while it waits.

        Its `send` is called right from the wheel: a method between would be a tenth of what a pause costs.
        """

    def stopped(self, error: BaseException) -> None:
        """What `send` raised, told once the handling of that exception is over."""


Slot = list[Entry]


class Timer:
    """A call to come."""

    __slots__ = ("_callback", "_wheel", "slot")

    def __init__(self, callback: Callable[[], None], wheel: TimerWheel) -> None:
        self._callback = callback
        self.slot: Slot | None = None
        self._wheel = wheel

    @property
    def generator(self) -> Timer:
        return self

    def send(self, value: None, /) -> None:
        self._callback()

    def cancel(self) -> None:
        self._callback = _nothing
        self._wheel.cancel(self)

    def stopped(self, error: BaseException) -> None:
        if not isinstance(error, Exception):
            raise error
        _log.error("a timer's callback failed", exc_info=error)


def _nothing() -> None: ...


class TimerWheel:
    """Calls back at the first millisecond tick that is not before the time asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.now = clock.now
        self.slots: dict[int, Slot] = {}
        self._ticks: list[int] = []
        self._armed_tick = 0
        self._handle: TimerHandle | None = None
        self._closed = False
        self._forgotten = 0
        self._sweep_at = SWEEP_FROM

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(callback, self)
        self.enter(timer, when)
        return timer

    def enter(self, entry: Entry, when: float) -> None:
        """Have `entry` fired at `when`; it must not be waiting."""
        tick = ceil(when * TICKS_PER_SECOND)
        slot = self.slots.get(tick)
        if slot is None:
            slot = self.slots[tick] = []
            heappush(self._ticks, tick)
            if self._handle is None or tick < self._armed_tick:
                self._arm(tick)
        entry.slot = slot
        slot.append(entry)

    def cancel(self, entry: Entry) -> None:
        """Do not fire it; nothing to do when it does not wait.

        Deadlines that are met lie far ahead, and would stay until their moment comes: once half of all
        entries are cancelled ones, the slots are cleared of them.
        """
        if entry.slot is None:
            return
        entry.slot = None
        self._forgotten += 1
        if self._forgotten < self._sweep_at:
            return
        kept = 0
        for slot in self.slots.values():
            slot[:] = [entry for entry in slot if entry.slot is slot]
            kept += len(slot)
        self._forgotten = 0
        self._sweep_at = max(SWEEP_FROM, kept)

    def close(self) -> None:
        """Forget every timer; nothing is called any more."""
        self._closed = True
        for slot in self.slots.values():
            slot.clear()  # entries know their slot: cut the cycle
        self.slots.clear()
        self._ticks.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, tick: int) -> None:
        if self._closed:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._armed_tick = tick
        self._handle = self._clock.call_at(tick / TICKS_PER_SECOND, self._fire)

    def _fire(self) -> None:
        # While the wheel turns, `call_at` need not arm for each timer: it is armed once, at the end.
        self._handle = _TURNING
        self._armed_tick = 0
        ticks, slots = self._ticks, self.slots
        # Read once: whatever becomes due while the callbacks run waits until I/O had its turn.
        limit = self.now()
        try:
            while ticks and ticks[0] / TICKS_PER_SECOND <= limit:
                slot = slots.pop(heappop(ticks))
                for entry in slot:
                    if entry.slot is slot:
                        entry.slot = None
                        try:
                            entry.generator.send(None)  # type: ignore[union-attr]
                            continue
                        except BaseException as raised:
                            error = raised
                        entry.stopped(error)
        finally:
            self._handle = None
            if ticks:
                self._arm(ticks[0])


class _Turning:
    def cancel(self) -> None: ...


_TURNING = _Turning()
