"""What time it is, and when to be called: the one seam through which time enters the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class TimerHandle(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Seconds of the machine's monotonic clock, shared by all processes of the machine.

    `epoch` turns such a stamp into epoch seconds; the offset is fixed when the clock is made, so two
    stamps keep their distance whatever happens to the wall clock.
    """

    def now(self) -> float: ...

    def epoch(self, at: float) -> float: ...

    def cpu(self) -> float:
        """Seconds of processor time that this process has used."""

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Call back at `when` or later, never before."""
