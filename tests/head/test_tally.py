"""What a head keeps of a campaign does not grow with it."""

from __future__ import annotations

import gc
import tracemalloc
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.head.meter_series import Meter, identity
from qalipsis.head.tally import Tally, TallyState
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


# Zones

FLEET = (("a", 0, "east"), ("a", 1, "east"), ("b", 0, "west"), ("c", 0, "north"))
AUTHORS = ("counter", "gauge", "throughput", "timer", "summary")

REPORT = st.fixed_dictionaries(
    {
        "answers": st.lists(
            st.tuples(st.sampled_from(["pay", "look"]), st.booleans(), st.floats(1e-4, 10.0)), max_size=4
        ),
        "hidden": st.integers(0, 2),
        "figures": st.lists(st.integers(1, 100), max_size=len(AUTHORS)),
        "started": st.integers(0, 5),
    }
)
"""What one worker did in one second."""

CAMPAIGN = st.lists(st.tuples(*[REPORT] * len(FLEET)), min_size=1, max_size=4)


class Drawn:
    """A worker that does what is drawn."""

    def __init__(self) -> None:
        self.meters = WorkerMeters()
        self.row = [0] * len(Slot)

    def second(self, t: int, drawn: dict[str, Any], *, has_hidden: bool = True) -> Snapshot:
        for name, is_good, latency in drawn["answers"]:
            step = self.meters.step("shop", name, "http.request")
            step.attempted += 1
            if is_good:
                step.successful += 1
            else:
                step.fail("http", "broken")
            self.meters.records.add(step.index, 200, 0.0, 0.0, 0.0, latency, latency, 1, 1)
            self.row[Slot.REQUESTS_ATTEMPTED] += 1
            self.row[Slot.REQUESTS_OK] += is_good
        if has_hidden and drawn["hidden"]:
            step = self.meters.step("shop", "_hidden", "verify")
            step.successful += 1
            if drawn["hidden"] == 2:
                step.fail("verify", "wrong")
        for kind, figure in zip(AUTHORS, drawn["figures"], strict=False):
            self.meters.meter("shop", kind, kind).record(figure)
        self.row[Slot.MINIONS_STARTED] += drawn["started"]
        self.row[Slot.MINIONS_COMPLETED] += drawn["started"] // 2
        snapshot = self.meters.freeze(t + 1, t + 1.002)
        return msgspec.structs.replace(snapshot, ledgers={"shop": tuple(self.row)})


def thawed(tally: Tally) -> Tally:
    data = msgspec.msgpack.encode(tally.freeze())
    return Tally.thaw(msgspec.msgpack.decode(data, type=TallyState))


def key_of(meter: Meter) -> tuple[Any, ...]:
    return meter.at, identity(meter)


def assert_parts_add_up(meters: Sequence[Meter]) -> None:
    """In each second the counts of the zones are those of the fleet."""
    parts = defaultdict(list)
    for each in meters:
        if each.is_part:
            parts[key_of(each)].append(each)
    whole = [each for each in meters if not each.is_part]
    assert {each.zone for each in whole} == {""}
    assert set(parts) <= {key_of(each) for each in whole}
    for each in whole:
        own = parts[key_of(each)]
        assert len({part.zone for part in own}) == len(own)
        for figure in ("count", "value", "sum"):
            total = sum(getattr(part, figure) or 0 for part in own)
            assert total == pytest.approx(getattr(each, figure) or 0, abs=1e-6), (each, own)
        if each.max is not None:
            assert max(part.max or 0.0 for part in own) == each.max


@given(CAMPAIGN, st.data())
def test_what_is_told_of_zones_adds_up_to_what_is_told_of_the_fleet(
    seconds: list[tuple[dict[str, Any], ...]], data: st.DataObject
) -> None:
    tally, workers = Tally(), [Drawn() for _ in FLEET]
    for node, worker, zone in FLEET:
        tally.add_worker((node, worker), 1, zone)
    meters: list[Meter] = []
    waiting: list[tuple[tuple[str, int], Snapshot]] = []
    for t, second in enumerate(seconds):
        for (node, number, _), worker, drawn in zip(FLEET, workers, second, strict=True):
            waiting.append(((node, number), worker.second(t, drawn)))
        # Some come too late for their second, and one worker may be lost.
        late = data.draw(st.integers(0, len(FLEET)))
        told, waiting = waiting[: len(waiting) - late], waiting[len(waiting) - late :]
        for place, snapshot in told:
            tally.add(place, snapshot)
        if data.draw(st.booleans()):
            tally.presume_lost(("a", 1), "was lost", 1.0, 1.0)
        tally.close_seconds(t + data.draw(st.sampled_from([1.2, 9.0])))
        meters += tally.take_meters(0.0)
        if data.draw(st.booleans()):
            tally = thawed(tally)
    for place, snapshot in waiting:
        tally.add(place, snapshot)
    tally.close_all_seconds()
    meters += tally.take_meters(0.0)
    assert len({each.zone for each in meters}) == 4
    assert_parts_add_up(meters)


def played(seconds: list[tuple[dict[str, Any], ...]], fleet: Iterable[tuple[str, int, str]]) -> list[Meter]:
    """The meters of a campaign on these of the workers, in the order of their identity."""
    tally, workers = Tally(), [Drawn() for _ in FLEET]
    fleet = tuple(fleet)
    for node, worker, zone in fleet:
        tally.add_worker((node, worker), 1, zone)
    for t, second in enumerate(seconds):
        for (node, number, _), worker, drawn in zip(FLEET, workers, second, strict=True):
            if (node, number) in tally.workers:
                tally.add((node, number), worker.second(t, drawn, has_hidden=False))
        tally.close_seconds(t + 1.2)
    return sorted(tally.take_meters(0.0), key=lambda each: (each.at, each.zone, identity(each)))


@given(CAMPAIGN)
def test_a_zone_is_told_of_as_if_it_were_the_whole_fleet(
    seconds: list[tuple[dict[str, Any], ...]],
) -> None:
    meters = played(seconds, FLEET)
    for zone in ("east", "west", "north"):
        alone = played(seconds, [each for each in FLEET if each[2] == zone])
        assert alone
        assert [msgspec.structs.replace(each, is_part=False) for each in meters if each.zone == zone] == alone


@given(CAMPAIGN)
def test_the_fleet_is_told_of_as_if_there_were_no_zones(seconds: list[tuple[dict[str, Any], ...]]) -> None:
    whole = [each for each in played(seconds, FLEET) if not each.is_part]
    without = played(seconds, [(node, worker, "") for node, worker, _ in FLEET])
    assert len(whole) == len(without)
    for one, other in zip(whole, without, strict=True):
        # Floats are summed in another order.
        figures = msgspec.structs.asdict(other)
        for name in ("sum", "mean"):
            figures[name] = pytest.approx(figures[name])
        assert msgspec.structs.asdict(one) == figures


def test_workers_without_a_zone_are_in_the_fleet_and_in_no_part() -> None:
    tally = Tally()
    workers = [Worker(number, 10) for number in range(3)]
    for worker, zone in zip(workers, ("east", "west", ""), strict=True):
        tally.add_worker(worker.place, 1, zone)
        tally.add(worker.place, msgspec.msgpack.decode(worker.second(0), type=Snapshot))
    tally.close_seconds(1.2)
    offered = {each.zone: each.value for each in tally.take_meters(0.0) if each.name == "requests.offered"}
    assert offered == {"": 120.0, "east": 40.0, "west": 40.0}


def test_a_zone_whose_workers_are_lost_has_no_minions_any_more() -> None:
    tally = Tally()
    workers = [Worker(number, 10) for number in range(2)]
    for worker, zone in zip(workers, ("east", "west"), strict=True):
        tally.add_worker(worker.place, 1, zone)
        tally.add(worker.place, msgspec.msgpack.decode(worker.second(0), type=Snapshot))
    tally.close_seconds(1.2)
    tally.take_meters(0.0)
    tally.presume_lost(workers[1].place, "was lost", 1.5, silence=0.5)
    tally.add(workers[0].place, msgspec.msgpack.decode(workers[0].second(1), type=Snapshot))
    tally.close_seconds(2.2)
    minions = {each.zone: each.value for each in tally.take_meters(0.0) if each.name == "minions.count"}
    assert minions == {"": 10.0, "east": 10.0, "west": 0.0}
