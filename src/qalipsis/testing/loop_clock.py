"""The time of a virtual loop, as the engine's clock."""

from __future__ import annotations

from typing import Final

from qalipsis.testing.virtual_loop import START, VirtualLoop

EPOCH: Final = 946_684_800.0
"""Virtual campaigns begin with the year 2000, UTC: a report is the same whenever its test runs."""


class LoopClock:
    """Timers fire at exactly their moment: nothing else takes time on such a loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.now = loop.time
        self.call_at = loop.call_at

    def epoch(self, at: float) -> float:
        return at - START + EPOCH

    def cpu(self) -> float:
        return 0.0  # what is computed takes no virtual time
