"""(g) How many snapshots a head merges in a second of CPU: from a transport's bytes to closed seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.cores import INJECTOR
from benchmarks.figure import Figure, at_least, at_most
from benchmarks.isolated import isolated
from qalipsis.cluster.codec import MAX_BYTES, Sender, decode
from qalipsis.cluster.messages import SnapshotTaken
from qalipsis.factory.supervisor import PIECE_BYTES
from qalipsis.head.tally import Tally
from qalipsis.metrics.ledger import Slot
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.metrics.packing import unpack
from qalipsis.metrics.records import RECORD, STATUSES
from qalipsis.metrics.snapshot import Snapshot, WorkerHealth

STEPS = 20
VALUES = 1_000
"""Requests of each step in a second, so values in each of its five histograms."""

SPREAD = 0.5
"""Of the logarithms: the slowest in a hundred takes three times as long as the middle."""

WORKERS = 4
FACTORIES = 250
"""A thousand snapshots a second; those of one factory differ, all factories say the same."""

ZONES = 4

WARM = 2
"""Seconds that are not counted: the tables of the first ones are not there yet."""


def measure(is_quick: bool) -> list[Figure]:
    seconds = 5 if is_quick else 20
    measured = isolated("benchmarks.merging:merging", INJECTOR, seconds=seconds, zones=1)
    in_zones = isolated("benchmarks.merging:merging", INJECTOR, seconds=seconds, zones=ZONES)
    return [
        at_least("snapshots merged per second of CPU", measured["per_second"], "/s", 4_000),
        Figure(f"of a fleet in {ZONES} zones", in_zones["per_second"], "/s"),
        Figure("in the fastest second", measured["fastest"], "/s"),
        Figure("occupied buckets of a snapshot", measured["buckets"], ""),
        at_most("its message", measured["largest"], "bytes", MAX_BYTES),
        Figure("freezing and encoding it", measured["freezing_ms"], "ms"),
    ]


def merging(seconds: int, zones: int) -> dict[str, float]:
    """Every worker tells of every second; the head hears all workers of one second, then closes it."""
    frozen = [list(snapshots(worker, seconds)) for worker in range(WORKERS)]
    senders = [Sender(f"factory-{number}", 1) for number in range(FACTORIES)]
    tally = Tally()
    for number, sender in enumerate(senders):
        for worker in range(WORKERS):
            tally.add_worker((sender.source, worker), 1, f"zone-{number % zones}")
    rates = []
    largest = 0
    for t in range(seconds):
        bodies = [
            sender.encode(message, "campaign")[1]
            for sender in senders
            for worker in range(WORKERS)
            for message in messages(worker, frozen[worker][t][0])
        ]
        largest = max(largest, *map(len, bodies))
        before = time.process_time()
        _hear(tally, bodies)
        closed = tally.close_seconds(t + 1.2)
        rates.append(FACTORIES * WORKERS / (time.process_time() - before))
        assert [second.achieved_per_s for second in closed] == [FACTORIES * WORKERS * STEPS * VALUES]
    for step in tally.aggregate.steps():
        assert step.from_due.count == step.from_sent.count == seconds * FACTORIES * WORKERS * VALUES
    return {
        "per_second": median(rates[WARM:]),
        "fastest": max(rates),
        "buckets": median(_buckets(data) for each in frozen for data, _ in each),
        "largest": largest,
        "freezing_ms": 1e3 * median(cost for each in frozen for _, cost in each),
    }


def _hear(tally: Tally, bodies: list[bytes]) -> None:
    """What the orchestrator does with each message."""
    pieces: dict[tuple[str, int], list[bytes]] = {}
    for body in bodies:
        received = decode(body)
        message = received.message
        assert isinstance(message, SnapshotTaken)
        place = (received.source, message.worker)
        known = pieces.setdefault(place, [])
        known.append(message.data)
        if len(known) == message.pieces:
            tally.add(place, msgspec.msgpack.decode(b"".join(pieces.pop(place)), type=Snapshot))


def messages(worker: int, data: bytes) -> Iterator[SnapshotTaken]:
    pieces = [data[first : first + PIECE_BYTES] for first in range(0, len(data), PIECE_BYTES)]
    for number, piece in enumerate(pieces):
        yield SnapshotTaken(worker=worker, piece=number, pieces=len(pieces), data=piece)


def snapshots(worker: int, seconds: int) -> Iterator[tuple[bytes, float]]:
    """What a worker's meters make of log-normal responses, and the CPU seconds it takes to freeze them."""
    random = np.random.default_rng(worker)
    meters = WorkerMeters()
    steps = [meters.step("shop", f"request-{number}", "http.request") for number in range(STEPS)]
    for t in range(seconds):
        for step in steps:
            meters.records._data += _records(random, step.index, float(t)).tobytes()
            step.attempted += VALUES
            step.successful += VALUES - 10
            step.failed += 10
            step.errors["http-status"] = step.errors.get("http-status", 0) + 10
        meters.drain()
        before = time.process_time()
        snapshot = meters.freeze(t, t + 1.002)
        cost = time.process_time() - before
        snapshot = msgspec.structs.replace(
            snapshot,
            ledgers={"shop": ledger((t + 1) * STEPS * VALUES)},
            health=WorkerHealth(cpu=0.5, loop_lag_p99_s=0.001, loop_lag_max_s=0.002),
        )
        before = time.process_time()
        data = msgspec.msgpack.encode(snapshot)
        yield data, cost + time.process_time() - before


def _records(random: np.random.Generator, step: int, at: float) -> NDArray[Any]:
    """A second of responses: late by 100 µs, sent in 30 µs, answered in 5 to 100 ms, read in 100 µs."""

    def lognormal(middle: float) -> NDArray[Any]:
        return random.lognormal(np.log(middle), SPREAD, VALUES)

    records = np.zeros(VALUES, RECORD)
    records["tag"] = step * STATUSES + 200
    records["due"] = at
    records["sent"] = records["due"] + lognormal(1e-4)
    records["written"] = records["sent"] + lognormal(3e-5)
    records["first_byte"] = records["written"] + lognormal(0.005 * (step + 1))
    records["done"] = records["first_byte"] + lognormal(1e-4)
    records["bytes_sent"], records["bytes_received"] = 200, 2_000
    return records


def ledger(requests: int) -> tuple[int, ...]:
    counts = [0] * len(Slot)
    counts[Slot.MINIONS_STARTED] = counts[Slot.MINIONS_SCHEDULED] = 1_000
    counts[Slot.REQUESTS_ATTEMPTED] = counts[Slot.REQUESTS_OK] = requests
    return tuple(counts)


def _buckets(data: bytes) -> int:
    snapshot = msgspec.msgpack.decode(data, type=Snapshot)
    packed = (unpack(snapshot.latencies), unpack(snapshot.timings))
    return sum(int(np.count_nonzero(each.counts)) for each in packed)
