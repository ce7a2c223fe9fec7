"""What a campaign looks like while it runs."""

from __future__ import annotations

from qalipsis.head.live_view import LiveView
from qalipsis.head.tally import Tally
from qalipsis.metrics.ledger import SLOTS, Slot


def test_minions_that_failed_have_ended_and_are_not_completed() -> None:
    counts = [0] * SLOTS
    counts[Slot.MINIONS_STARTED] = 10
    counts[Slot.MINIONS_COMPLETED], counts[Slot.MINIONS_FAILED], counts[Slot.MINIONS_ABORTED] = 4, 3, 2
    tally = Tally()
    tally.add_worker(("one", 0), 11)
    tally.settle(("one", 0), {"shop": tuple(counts)})

    shown = LiveView("shop").show("RUNNING", 1.0, tally)

    assert (shown.minions_started, shown.minions_ended, shown.minions_completed) == (10, 9, 4)
