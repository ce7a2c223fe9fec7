"""The head's exact merge of what all workers report: counters are summed, histogram buckets added."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain, repeat
from typing import Final

import numpy as np
from msgspec.structs import replace

from qalipsis.metrics.aggregate_state import AggregateState, SourceState
from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.meter_totals import MeterTotals, sum_meters
from qalipsis.metrics.packing import Packed, unpack
from qalipsis.metrics.scale import DURATIONS, VALUES, Ints
from qalipsis.metrics.snapshot import TIMINGS, MeterSnapshot, Snapshot, StepSnapshot
from qalipsis.metrics.step_totals import StepTotals, sum_steps
from qalipsis.metrics.table import HistogramTable
from qalipsis.metrics.timeline import LATEST, OpenSecond, SecondFigures, second_of

_WIDTH: Final = len(TIMINGS)
_UNKNOWN: Final = StepSnapshot(scenario="", name="", type="")

MOST_OPEN_SECONDS: Final = 60
"""Who closes seconds never has so many open; beyond it the oldest is closed unseen, to bound the memory."""


class _Source:
    """The latest state of one worker."""

    __slots__ = ("ledgers", "meters", "numbers", "second", "sequence", "steps", "zone")

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self.sequence = -1
        self.second = -1
        self.steps: tuple[StepSnapshot, ...] = ()
        self.meters: dict[tuple[str, str], MeterSnapshot] = {}
        self.ledgers: dict[str, tuple[int, ...]] = {}
        self.numbers: Ints = np.zeros(0, np.int64)
        """The aggregate's number of each of the source's steps."""


class CampaignAggregate:
    """Everything a campaign counted so far, in memory that neither time nor minions let grow.

    Snapshots may come again or late: one whose sequence is not above the last of its source is ignored whole.
    Each source stands in one zone, or in none, whose key is empty. What is told second by second is kept by
    zone until its second closes: each snapshot is merged once, and the fleet is the exact sum of its zones.
    """

    __slots__ = (
        "_closed",
        "_distributions",
        "_first_errors",
        "_last_throughputs",
        "_latencies",
        "_numbers",
        "_open",
        "_sources",
        "_steps",
        "_timings",
        "_zones",
        "last_second",
        "late",
    )

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._zones = {"": None}
        """Those of the sources, in the order in which they were first named: sums of floats depend on it."""
        self._steps: list[tuple[str, str, str]] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self._first_errors: dict[int, str] = {}
        self._latencies = HistogramTable()
        self._timings = HistogramTable()
        self._distributions: dict[tuple[str, str, str], Histogram] = {}
        """By zone, scenario and meter; those of throughputs are of the whole fleet, under the empty one."""
        self._last_throughputs: dict[tuple[str, str], float] = {}
        self._open: dict[int, dict[str, OpenSecond]] = {}
        """By zone."""
        self._closed = -1
        self.late = 0
        """Snapshots that came after their second was closed: they are in the totals, not in the timeline."""
        self.last_second: SecondFigures | None = None
        """The second closed last."""

    @classmethod
    def thaw(cls, state: AggregateState) -> CampaignAggregate:
        """The aggregate that was frozen; a broken state raises ValueError."""
        aggregate = cls()
        aggregate._steps = list(state.steps)
        aggregate._numbers = {
            (scenario, name): place for place, (scenario, name, _) in enumerate(state.steps)
        }
        aggregate._first_errors = dict(state.first_errors)
        aggregate._latencies = HistogramTable.decode(state.latencies)
        aggregate._timings = HistogramTable.decode(state.timings)
        aggregate._distributions = {
            (zone, scenario, name): Histogram.decode(data)
            for zone, scenario, name, data in state.distributions
        }
        aggregate._last_throughputs = {
            (scenario, name): total for scenario, name, total in state.last_throughputs
        }
        for second in state.open:
            aggregate._open.setdefault(second.t, {})[second.zone] = OpenSecond.thaw(second)
        aggregate._closed, aggregate.late = state.closed, state.late
        for source, known in state.sources.items():
            own = aggregate._sources[source] = _Source(known.zone)
            aggregate._zones[known.zone] = None
            own.sequence, own.second = known.sequence, known.second
            own.steps, own.ledgers = known.steps, known.ledgers
            own.meters = {(meter.scenario, meter.name): meter for meter in known.meters}
            aggregate._number(own, own.steps)
        return aggregate

    def freeze(self) -> AggregateState:
        """Everything that was merged."""
        return AggregateState(
            sources={
                source: SourceState(
                    sequence=own.sequence,
                    second=own.second,
                    steps=own.steps,
                    meters=tuple(replace(meter, histogram=b"") for meter in own.meters.values()),
                    ledgers=own.ledgers,
                    zone=own.zone,
                )
                for source, own in self._sources.items()
            },
            steps=tuple(self._steps),
            first_errors=dict(self._first_errors),
            latencies=self._latencies.encode(),
            timings=self._timings.encode(),
            distributions=tuple((*key, each.encode()) for key, each in self._distributions.items()),
            last_throughputs=tuple((*key, total) for key, total in self._last_throughputs.items()),
            open=tuple(
                second.freeze(t, zone) for t, parts in self._open.items() for zone, second in parts.items()
            ),
            closed=self._closed,
            late=self.late,
        )

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self._sources)

    def add(self, source: str, snapshot: Snapshot, zone: str = "") -> bool:
        """Merge a snapshot; False when it was known. A broken one raises ValueError and changes nothing.

        A source stays in the zone that it first came from.
        """
        state = self._sources.get(source)
        if state is None:
            state = _Source(zone)
        if snapshot.sequence <= state.sequence:
            return False
        latencies = _unpack_steps(snapshot.latencies, len(snapshot.steps))
        timings = _unpack_steps(snapshot.timings, len(snapshot.steps) * _WIDTH)
        distributions = [(meter, _unpack_meter(meter)) for meter in snapshot.meters if meter.histogram]
        t = second_of(snapshot.elapsed_s, state.second)

        self._sources[source] = state
        self._zones[state.zone] = None
        state.second = t
        second = self._open_second(t, state.zone)
        numbers = self._number(state, snapshot.steps)
        for number, before, now in zip(
            numbers.tolist(), chain(state.steps, repeat(_UNKNOWN)), snapshot.steps, strict=False
        ):
            failed = now.failed - before.failed
            executed = now.successful - before.successful + failed
            if executed and second is not None:
                second.count(number, executed, failed)
            if now.first_error:
                self._first_errors.setdefault(number, now.first_error)
        if latencies is not None:
            # Counted once: an open second is poured into the totals when it closes.
            table = self._latencies if second is None else second.latencies
            table.add_packed(latencies, numbers[latencies.keys])
        if timings is not None:
            self._timings.add_packed(
                timings, numbers[timings.keys // _WIDTH] * _WIDTH + timings.keys % _WIDTH
            )
        for meter, packed in distributions:
            self._distribution(state.zone, meter.scenario, meter.name).add_packed(packed)
        for meter in snapshot.meters:
            if meter.type == "throughput" and second is not None:
                key = (meter.scenario, meter.name)
                second.throughputs[key] = second.throughputs.get(key, 0.0) + meter.second
        state.sequence = snapshot.sequence
        state.steps = snapshot.steps
        state.meters = {(meter.scenario, meter.name): meter for meter in snapshot.meters}
        state.ledgers = snapshot.ledgers
        return True

    def step(self, scenario: str, name: str) -> StepTotals:
        """A step over the whole fleet."""
        number = self._numbers.get((scenario, name))
        timings: dict[str, Histogram] = {}
        if number is not None:
            keys = {timing: number * _WIDTH + place for place, timing in enumerate(TIMINGS)}
            timings = {
                timing: self._timings.histogram(key)
                for timing, key in keys.items()
                if self._timings.holds(key)
            }
        return sum_steps(
            scenario,
            name,
            () if number is None else self._parts(number),
            first_error="" if number is None else self._first_errors.get(number, ""),
            from_due=Histogram() if number is None else self._latency(number),
            from_sent=timings.pop("sent", Histogram()),
            phases=timings,
        )

    def steps(self) -> tuple[StepTotals, ...]:
        """All steps, in the order in which they were first reported."""
        return tuple(self.step(scenario, name) for scenario, name, _ in self._steps)

    def meter(self, scenario: str, name: str, type: str, zone: str | None = None) -> MeterTotals:
        """A meter of the author over the whole fleet, or in one zone.

        How a throughput is distributed, and how much it was last, is told of the whole fleet only.
        """
        key = (scenario, name)
        return sum_meters(
            scenario,
            name,
            type,
            (state.meters[key] for state in self._sources_in(zone) if key in state.meters),
            distribution=self._distribution_in(zone, scenario, name),
            last_second=self._last_throughputs.get(key) if zone is None else None,
        )

    def meters(self, zone: str | None = None) -> tuple[MeterTotals, ...]:
        """All meters that were reported, over the whole fleet or in one zone."""
        types = {key: meter.type for state in self._sources_in(zone) for key, meter in state.meters.items()}
        return tuple(self.meter(scenario, name, type, zone) for (scenario, name), type in types.items())

    def ledger(self, scenario: str) -> tuple[int, ...]:
        """The raw counters of a scenario, summed over all sources; empty when none reported any."""
        rows = [state.ledgers[scenario] for state in self._sources.values() if scenario in state.ledgers]
        return tuple(map(sum, zip(*rows, strict=True)))

    def ledger_of(self, source: str, scenario: str) -> tuple[int, ...]:
        """The raw counters of a scenario as one source last reported them; empty when it did not."""
        state = self._sources.get(source)
        return state.ledgers.get(scenario, ()) if state else ()

    def ready_seconds(self, elapsed: float, live: Collection[str]) -> tuple[int, ...]:
        """The seconds to close now, oldest first: all live sources reported them, or they are too old."""
        reported = min((self._second_of(source) for source in live), default=max(self._open, default=-1))
        return tuple(t for t in sorted(self._open) if t <= reported or elapsed - (t + 1) > LATEST)

    def open_seconds(self) -> tuple[int, ...]:
        """The seconds not closed yet, oldest first: all are to be closed when the campaign ends."""
        return tuple(sorted(self._open))

    def close_second(self, t: int, zones: Iterable[str] = ()) -> SecondFigures:
        """The merged figures of a second, and of each of `zones` in it, once.

        What comes later for it or an older one counts as late.
        """
        parts = self._open.pop(t, {})
        whole = OpenSecond.together(parts.values())
        self._closed = max(self._closed, t)
        for key, count in whole.throughputs.items():
            self._distribution("", *key).add(count)
            self._last_throughputs[key] = count
        self._latencies.merge(whole.latencies)
        figures = whole.close(t, self._steps)
        in_zones = {zone: parts.get(zone, OpenSecond()).close(t, self._steps) for zone in zones}
        self.last_second = replace(figures, zones=in_zones) if in_zones else figures
        return self.last_second

    def _number(self, state: _Source, steps: tuple[StepSnapshot, ...]) -> Ints:
        # A source only ever appends steps, so known numbers stay.
        if len(state.numbers) < len(steps):
            fresh = [self._number_of(step) for step in steps[len(state.numbers) :]]
            state.numbers = np.concatenate((state.numbers, np.array(fresh, np.int64)))
        return state.numbers

    def _number_of(self, step: StepSnapshot) -> int:
        number = self._numbers.setdefault((step.scenario, step.name), len(self._steps))
        if number == len(self._steps):
            self._steps.append((step.scenario, step.name, step.type))
        return number

    def _open_second(self, t: int, zone: str) -> OpenSecond | None:
        if t not in self._open and len(self._open) == MOST_OPEN_SECONDS:
            self.close_second(min(self._open))  # before, for this one may be older than all of them
        if t <= self._closed:
            self.late += 1
            return None
        parts = self._open.setdefault(t, {})
        second = parts.get(zone)
        if second is None:
            second = parts[zone] = OpenSecond()
        return second

    def _second_of(self, source: str) -> int:
        state = self._sources.get(source)
        return state.second if state else -1

    def _latency(self, number: int) -> Histogram:
        latency = self._latencies.histogram(number)
        for parts in self._open.values():
            for second in parts.values():
                if second.latencies.holds(number):
                    latency.merge(second.latencies.histogram(number))
        return latency

    def _parts(self, number: int) -> list[StepSnapshot]:
        return [
            state.steps[int(place)]
            for state in self._sources.values()
            for place in np.flatnonzero(state.numbers == number)
        ]

    def _sources_in(self, zone: str | None) -> list[_Source]:
        return [state for state in self._sources.values() if zone is None or state.zone == zone]

    def _distribution(self, zone: str, scenario: str, name: str) -> Histogram:
        distribution = self._distributions.get((zone, scenario, name))
        if distribution is None:
            distribution = self._distributions[zone, scenario, name] = Histogram(VALUES)
        return distribution

    def _distribution_in(self, zone: str | None, scenario: str, name: str) -> Histogram:
        """To look at only: where one zone has all of it, it is not copied."""
        keys = [(each, scenario, name) for each in (self._zones if zone is None else (zone,))]
        found = [self._distributions[key] for key in keys if key in self._distributions]
        if len(found) == 1:
            return found[0]
        together = Histogram(VALUES)
        for each in found:
            together.merge(each)
        return together


def _unpack_steps(data: bytes, keys: int) -> Packed | None:
    if not data:
        return None
    packed = unpack(data)
    if packed.size != DURATIONS.size or (len(packed.keys) and packed.keys.max() >= keys):
        raise ValueError("the snapshot's histograms do not belong to its steps")
    if len(packed.keys) and np.bincount(packed.keys).max() > 1:
        raise ValueError("the snapshot has two histograms of the same")
    return packed


def _unpack_meter(meter: MeterSnapshot) -> Packed:
    packed = unpack(meter.histogram)
    if packed.size != VALUES.size or len(packed.keys) > 1:
        raise ValueError(f"the snapshot's histogram of meter `{meter.name}` is not one")
    return packed
