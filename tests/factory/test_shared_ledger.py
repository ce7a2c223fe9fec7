"""Counters that outlive the process that counts."""

import os
import signal

import pytest

from qalipsis.factory.shared_ledger import SharedLedger, map_ledger
from qalipsis.metrics.ledger import ScenarioLedger, Slot


def test_nothing_is_counted_before_the_scenarios_are_known() -> None:
    ledger = SharedLedger()
    assert ledger.read() == {}
    ledger.close()
    ledger.close()


def test_the_lease_of_a_worker_on_the_same_machine_does_not_end() -> None:
    ledger = SharedLedger()
    ledger.size_for(["shop"])
    assert ScenarioLedger(map_ledger(ledger.descriptor, 1), 0).lease[0] == float("inf")
    ledger.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_killed_process_cannot_hide_what_it_did_last() -> None:
    ledger = SharedLedger()
    ledger.size_for(["shop", "search"])
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        counts = ScenarioLedger(map_ledger(ledger.descriptor, 2), 1).counts
        counts[Slot.REQUESTS_ATTEMPTED] += 3
        os.write(writing, b"!")
        signal.pause()
    os.read(reading, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    counters = ledger.read()
    assert counters["search"][Slot.REQUESTS_ATTEMPTED] == 3
    assert sum(counters["shop"]) == 0
    ledger.close()
    os.close(reading)
    os.close(writing)
