"""One line of a minion's walk: a generator resumed by whatever it waits for, without task or future."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from inspect import GEN_RUNNING, getgeneratorstate
from math import inf
from typing import Any

from qalipsis.clock import TimerHandle
from qalipsis.engine.step import Pending, StepError
from qalipsis.engine.wheel import Slot, TimerWheel

_log = logging.getLogger(__name__)

Errors = tuple[BaseException, ...]
Walk = Generator[None, Any, Errors]
"""Yields while it waits, is sent the answer, and returns the errors of the records that failed."""


class Abort(BaseException):
    """Thrown into a walk that must end now."""


class StepTimeout(StepError):
    """The deadline `at` passed; whoever set that one fails."""

    def __init__(self, at: float) -> None:
        super().__init__("timeout", "the step did not end within its timeout")
        self.at = at


class Strand:
    """Drives one walk at a time; `on_end(errors, is_aborted)` is called when it is over."""

    __slots__ = (
        "_timer",
        "_timer_at",
        "_wheel",
        "deadline",
        "generator",
        "on_end",
        "pending",
        "slot",
    )

    def __init__(self, wheel: TimerWheel) -> None:
        self._wheel = wheel
        self.generator: Walk | None = None
        # The strand itself is what the wheel fires: a timer less for each of ten thousand minions that pause.
        self.slot: Slot | None = None
        self._timer: TimerHandle | None = None
        self._timer_at = inf
        self.deadline = inf
        self.pending: Pending | None = None
        self.on_end: Callable[[Errors, bool], None] | None = None

    @property
    def is_walking(self) -> bool:
        return self.generator is not None

    @property
    def is_in_step(self) -> bool:
        """True while its walk runs, and does not wait: it cannot be interrupted then."""
        return self.generator is not None and getgeneratorstate(self.generator) == GEN_RUNNING

    def start(self, walk: Walk, on_end: Callable[[Errors, bool], None]) -> None:
        """Walk until the first wait; the end may come before this returns."""
        self.generator = walk
        self.on_end = on_end
        self._advance(walk.send, None)

    def resume(self, value: Any = None) -> None:
        """Go on with an answer."""
        # The same as _advance, spelt out: this runs once per request.
        self.pending = None
        try:
            self.generator.send(value)  # type: ignore[union-attr]
            return
        except StopIteration as stop:
            errors, is_aborted = stop.value, False
        except Abort:
            errors, is_aborted = (), True
        except Exception as error:
            errors, is_aborted = _broken(error), False
        self._end(errors, is_aborted)

    def stopped(self, error: BaseException) -> None:
        """The walk ended behind a sleep, at whose end the wheel resumed the generator."""
        match error:
            case StopIteration():
                self._end(error.value, False)
            case Abort():  # as when the lease ended while it slept
                self._end((), True)
            case Exception():
                self._end(_broken(error), False)
            case _:
                raise error

    def fail(self, error: BaseException) -> None:
        """Go on with a failure."""
        self.pending = None
        if self.generator is not None:
            self._advance(self.generator.throw, error)

    def settle(self, value: Any, error: BaseException | None) -> None:
        """The answer of a coroutine."""
        if error is None:
            self.resume(value)
        else:
            self.fail(error)

    def abort(self) -> None:
        """End the walk now, wherever it waits."""
        if self.generator is None:
            return
        self._cancel_pending()
        self.fail(Abort())

    def sleep_until(self, when: float) -> None:
        """Be resumed at `when`; the walk yields next."""
        self._wheel.enter(self, when)

    def limit(self, at: float) -> None:
        """Fail the walk with StepTimeout when it still waits at `at`.

        One timer serves all steps: it is re-armed when it fires early, so that a step's deadline that is
        met costs two stores.
        """
        self.deadline = at
        if at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = self._wheel.call_at(at, self._on_timer)

    def _advance(self, go_on: Callable[[Any], None], argument: Any) -> None:
        try:
            go_on(argument)
            return
        except StopIteration as stop:
            errors, is_aborted = stop.value, False
        except Abort:
            errors, is_aborted = (), True
        except Exception as error:
            errors, is_aborted = _broken(error), False
        # Outside of the handler: what starts now must not carry this exception as its context.
        self._end(errors, is_aborted)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = inf
        at = self.deadline
        if at == inf or self.generator is None:
            return
        if self._wheel.now() < at:
            self.limit(at)
            return
        self.deadline = inf
        self._cancel_pending()
        self.fail(StepTimeout(at))

    def _cancel_pending(self) -> None:
        self._wheel.cancel(self)
        pending, self.pending = self.pending, None
        if pending is not None:
            pending.cancel()

    def _end(self, errors: Errors, is_aborted: bool) -> None:
        self.generator = None
        self.deadline = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = inf
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end(errors, is_aborted)


def _broken(error: Exception) -> Errors:
    """A walk turns failures into data: this is a defect of the engine, and must not hang the minion."""
    _log.error("the walk of a minion broke", exc_info=error)
    return (error,)
