"""The worker's timers: a wheel of one-millisecond slots, armed once, never early.

uvloop's own timers fire up to a millisecond early and cost 1.3 µs each; here a timer is one append.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from heapq import heappop, heappush
from math import ceil

from qalipsis.clock import Clock, TimerHandle

_log = logging.getLogger(__name__)

TICKS_PER_SECOND = 1000
"""A slot per millisecond: coarser would show in start times, finer costs a heap entry per timer."""


SWEEP_FROM = 1000
"""Cancelled timers that are not worth looking for."""


class Timer:
    """A call to come; cancelling forgets the call, and the wheel clears its slot some time later."""

    __slots__ = ("_wheel", "callback")

    def __init__(self, callback: Callable[[], None], wheel: TimerWheel) -> None:
        self.callback: Callable[[], None] | None = callback
        self._wheel = wheel

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback = None
            self._wheel.forget_one()


class TimerWheel:
    """Calls back at the first millisecond tick that is not before the time asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.now = clock.now
        self._slots: dict[int, list[Timer]] = {}
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

    def enter(self, timer: Timer, when: float) -> None:
        """Set a timer that has fired, or was never set; one that still waits may not be entered again."""
        tick = ceil(when * TICKS_PER_SECOND)
        try:
            self._slots[tick].append(timer)
        except KeyError:  # the first of its millisecond
            self._slots[tick] = [timer]
            heappush(self._ticks, tick)
            if self._handle is None or tick < self._armed_tick:
                self._arm(tick)

    def forget_one(self) -> None:
        """A timer was cancelled; once half of them are, the slots are cleared of them.

        Deadlines that are met lie far ahead, and would otherwise stay until their moment comes.
        """
        self._forgotten += 1
        if self._forgotten < self._sweep_at:
            return
        kept = 0
        for slot in self._slots.values():
            slot[:] = [timer for timer in slot if timer.callback is not None]
            kept += len(slot)
        self._forgotten = 0
        self._sweep_at = max(SWEEP_FROM, kept)

    def close(self) -> None:
        """Forget every timer; nothing is called any more."""
        self._closed = True
        self._slots.clear()
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
        ticks, slots = self._ticks, self._slots
        # Read once: whatever becomes due while the callbacks run waits until I/O had its turn.
        limit = self.now()
        try:
            while ticks and ticks[0] / TICKS_PER_SECOND <= limit:
                for timer in slots.pop(heappop(ticks)):
                    callback = timer.callback
                    if callback is not None:
                        try:
                            callback()
                        except Exception:
                            # One broken callback must not take the others' wake-up with it.
                            _log.exception("a timer's callback failed")
        finally:
            self._handle = None
            if ticks:
                self._arm(ticks[0])


class _Turning:
    def cancel(self) -> None: ...


_TURNING = _Turning()
