"""What a campaign's report says of what nobody has counted."""

from __future__ import annotations

from qalipsis.cluster.messages import Fault, Final, WorkerState
from qalipsis.head.progress import Progress
from qalipsis.metrics.ledger import SLOTS, Slot


def lost_at_once() -> Progress:
    progress = Progress("shop", 0.0)
    progress.started_at = 1.0
    progress.meet("one", WorkerState(worker=0, pid=11, planned_s=None))
    progress.lose_factory("one", "was lost", 3.0, 1.0)
    return progress


def test_what_a_factory_sent_before_its_first_report_is_said_to_be_in_no_figure() -> None:
    progress = lost_at_once()
    progress.tell_estimates()
    assert progress.faults == [
        "factory one was lost before its first report: what it sent until then is in no figure"
    ]


def test_a_factory_that_came_back_with_its_accounts_leaves_nothing_unsaid() -> None:
    progress = lost_at_once()
    progress.settle("one", Final(last_sequence=1, ledgers={0: {"shop": (0,) * SLOTS}}))
    progress.tell_estimates()
    assert progress.faults == []


def test_what_a_killed_worker_had_begun_after_its_last_report_is_said_to_be_in_no_step() -> None:
    progress = lost_at_once()
    counts = [0] * SLOTS
    counts[Slot.REQUESTS_ATTEMPTED] = 176
    progress.lose_worker(
        "one", Fault(worker=0, pid=11, reason="died", at=3.0, ledgers={"shop": tuple(counts)}), 3.0
    )
    progress.tell_estimates()
    assert [each.text for each in progress.messages] == [
        "176 requests that lost workers had begun after their last report are in the books only: "
        "the figures of steps, latencies and seconds are without them"
    ]
