"""The load of each second, from cumulative counters."""

from qalipsis.head.load import Load
from qalipsis.metrics.ledger import SLOTS, Slot
from qalipsis.metrics.snapshot import Snapshot


def snapshot(sequence: int, elapsed: float, attempted: int, ok: int, walking: int) -> Snapshot:
    row = [0] * SLOTS
    row[Slot.REQUESTS_ATTEMPTED], row[Slot.REQUESTS_OK] = attempted, ok
    row[Slot.MINIONS_STARTED], row[Slot.MINIONS_COMPLETED] = walking + 5, 5
    return Snapshot(sequence=sequence, elapsed_s=elapsed, ledgers={"shop": tuple(row)})


def test_a_second_is_what_the_counters_grew_by_in_all_sources() -> None:
    load = Load()
    load.add("a/0", snapshot(1, 1.001, 100, 90, 10))
    load.add("a/1", snapshot(1, 1.002, 50, 50, 7))
    load.add("a/0", snapshot(2, 2.001, 160, 155, 12))
    first = load.take(0)
    assert (first.offered, first.achieved, first.minions) == (150, 140, 17)
    second = load.take(1)
    assert (second.offered, second.achieved, second.minions) == (60, 65, 19)


def test_a_repeated_snapshot_counts_once() -> None:
    load = Load()
    for _ in range(3):
        load.add("a/0", snapshot(1, 1.001, 100, 90, 10))
    assert load.take(0).offered == 100


def test_a_lost_source_takes_its_minions_with_it() -> None:
    load = Load()
    load.add("a/0", snapshot(1, 1.001, 100, 90, 10))
    load.add("a/1", snapshot(1, 1.001, 100, 90, 10))
    load.lose("a/0")
    assert load.take(0).minions == 10
    assert load.take(0).offered == 0


def test_no_request_is_lost_between_seconds() -> None:
    load = Load()
    for sequence in range(1, 50):
        load.add("a/0", snapshot(sequence, sequence * 1.3, 10 * sequence, 0, 1))
    assert sum(load.take(t).offered for t in range(0, 70, 3)) == 490
