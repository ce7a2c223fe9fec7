"""What a head keeps of a campaign does not grow with it."""

from __future__ import annotations

import gc
import tracemalloc

import msgspec
import numpy as np

from qalipsis.head.tally import Tally
from qalipsis.metrics.ledger import Slot
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.metrics.snapshot import Snapshot, WorkerHealth

STEPS = 2
WORKERS = 2
REQUESTS = 20
SMALL = 48 * 1024
"""Bytes: what is merged of such a campaign takes a megabyte, and numpy keeps some hundred small blocks."""


class Worker:
    """Says that each step answered as many requests a second as the others, and how many minions it has."""

    def __init__(self, number: int, minions: int) -> None:
        self.place = ("factory", number)
        random, meters = np.random.default_rng(number), WorkerMeters()
        for step in range(STEPS):
            meters.step("shop", f"step-{step}", "http.request")
            for latency in random.lognormal(-4, 1, REQUESTS).tolist():
                meters.records.add(step, 200, 0.0, 0.0, 0.0, latency, latency, 10, 20)
        meters.meter("shop", "sold", "throughput").record(5)
        meters.meter("shop", "waited", "timer").record(0.5)
        self._model = meters.freeze(0, 0.0)
        self._minions = minions

    def second(self, t: int) -> bytes:
        answered = (t + 1) * REQUESTS
        steps = tuple(
            msgspec.structs.replace(step, attempted=answered, successful=answered, statuses={200: answered})
            for step in self._model.steps
        )
        counts = [0] * len(Slot)
        counts[Slot.MINIONS_SCHEDULED] = counts[Slot.MINIONS_STARTED] = self._minions
        counts[Slot.REQUESTS_ATTEMPTED] = counts[Slot.REQUESTS_OK] = answered * STEPS
        return msgspec.msgpack.encode(
            msgspec.structs.replace(
                self._model,
                sequence=t,
                elapsed_s=t + 1.002,
                steps=steps,
                ledgers={"shop": tuple(counts)},
                health=WorkerHealth(cpu=0.5),
            )
        )


def kept(seconds: int, minions: int) -> int:
    """Bytes that a tally holds after so many seconds."""
    workers = [Worker(number, minions // WORKERS) for number in range(WORKERS)]
    gc.collect()
    tracemalloc.start()
    try:
        tally = Tally()
        for worker in workers:
            tally.add_worker(worker.place, 1)
        for t in range(seconds):
            for worker in workers:
                tally.add(worker.place, msgspec.msgpack.decode(worker.second(t), type=Snapshot))
            (second,) = tally.close_seconds(t + 1.2)
            assert second.minions == minions
            assert tally.take_meters(0.0)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert tally.aggregate.step("shop", "step-0").from_due.count == REQUESTS * WORKERS * seconds
    return held


def test_what_is_merged_depends_on_neither_duration_nor_minions() -> None:
    kept(2, 10)  # so that everything is imported and caches are filled
    minute = kept(60, 10)
    assert abs(kept(600, 10) - minute) < SMALL
    assert abs(kept(60, 1_000_000) - minute) < SMALL


def reported() -> tuple[Tally, Worker]:
    """A worker that has reported two seconds, with 40 requests in each."""
    tally, worker = Tally(), Worker(0, 10)
    tally.add_worker(worker.place, 41)
    for t in range(2):
        tally.add(worker.place, msgspec.msgpack.decode(worker.second(t), type=Snapshot))
    return tally, worker


def test_what_a_silent_worker_may_have_sent_is_estimated_from_its_last_rate() -> None:
    tally, worker = reported()
    tally.presume_lost(worker.place, "was lost", 3.0, silence=1.5)
    known = tally.workers[worker.place]
    assert known.estimates == {"shop": 60}
    assert known.ledgers["shop"][Slot.REQUESTS_ATTEMPTED] == 80


def test_a_late_snapshot_takes_the_place_of_the_estimate() -> None:
    tally, worker = reported()
    tally.presume_lost(worker.place, "was lost", 3.0, silence=1.5)
    tally.add(worker.place, msgspec.msgpack.decode(worker.second(2), type=Snapshot))
    known = tally.workers[worker.place]
    assert (known.estimates, known.ledgers["shop"][Slot.REQUESTS_ATTEMPTED]) == ({}, 120)
    assert known.is_lost


def test_who_is_known_to_have_died_has_no_estimate_and_no_later_figures() -> None:
    tally, worker = reported()
    tally.presume_lost(worker.place, "was lost", 3.0, silence=1.5)
    counts = tally.workers[worker.place].ledgers
    tally.lose(worker.place, "was killed by SIGKILL", 3.0, counts)
    tally.add(worker.place, msgspec.msgpack.decode(worker.second(2), type=Snapshot))
    known = tally.workers[worker.place]
    assert (known.estimates, known.ledgers, known.lost_reason) == ({}, counts, "was killed by SIGKILL")


def test_the_last_accounts_take_the_place_of_the_estimate() -> None:
    tally, worker = reported()
    tally.presume_lost(worker.place, "was lost", 3.0, silence=1.5)
    final = {"shop": (1,) * len(Slot)}
    tally.settle(worker.place, final)
    assert (tally.workers[worker.place].estimates, tally.workers[worker.place].ledgers) == ({}, final)


def test_what_a_dead_worker_counted_after_its_last_report_is_known() -> None:
    tally, worker = reported()
    counts = [0] * len(Slot)
    counts[Slot.REQUESTS_ATTEMPTED] = 130
    tally.lose(worker.place, "was killed by SIGKILL", 3.0, {"shop": tuple(counts)})
    assert tally.workers[worker.place].unreported == 130 - 80
    tally.add(worker.place, msgspec.msgpack.decode(worker.second(2), type=Snapshot))
    assert tally.workers[worker.place].unreported == 130 - 120, "a report that was late counts"
