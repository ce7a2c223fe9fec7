"""Everything that the factories of a campaign have told, merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from qalipsis.head.load import Load, LoadState, together
from qalipsis.head.meter_rows import Counted, MeterRows, Part
from qalipsis.head.meter_series import Meter
from qalipsis.metrics.aggregate import CampaignAggregate
from qalipsis.metrics.aggregate_state import AggregateState
from qalipsis.metrics.health import HealthState, InjectorHealth
from qalipsis.metrics.ledger import Slot
from qalipsis.metrics.snapshot import Snapshot, WorkerHealth
from qalipsis.reports.model import Second

Place = tuple[str, int]
"""A factory and one of its workers."""


@dataclass(slots=True)
class WorkerTally:
    """One worker. `ledgers` are its last counters: final ones once it is dead or the campaign closed."""

    pid: int
    zone: str = ""
    """Empty for one that stands in none."""
    health: InjectorHealth = field(default_factory=InjectorHealth)
    ledgers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    lost_reason: str | None = None
    lost_at: float | None = None
    """Epoch seconds."""
    is_presumed: bool = False
    """Nobody has seen it die: what still comes of it is true, and `estimates` stand for what does not."""
    estimates: Mapping[str, int] = field(default_factory=dict)
    """Requests that it may have sent after its last report, by scenario."""
    rates: dict[str, tuple[float, int, float]] = field(default_factory=dict)
    """By scenario: when it reported last, the requests it had attempted by then, and how many a second."""

    @property
    def is_lost(self) -> bool:
        return self.lost_reason is not None

    @property
    def unreported(self) -> int:
        """The requests that its last counters know and its last report did not: no step has them."""
        return sum(
            max(0, counts[Slot.REQUESTS_ATTEMPTED] - self.rates.get(scenario, (0.0, 0, 0.0))[1])
            for scenario, counts in self.ledgers.items()
        )

    @property
    def is_unheard(self) -> bool:
        """Whether it is lost and has never reported: then there is no rate to estimate from."""
        return self.is_presumed and not self.ledgers


class WorkerState(Struct, frozen=True, kw_only=True):
    """A worker's tally as data."""

    node: str
    index: int
    pid: int
    zone: str
    health: HealthState
    ledgers: dict[str, tuple[int, ...]]
    lost_reason: str | None
    lost_at: float | None
    is_presumed: bool
    estimates: dict[str, int]
    rates: dict[str, tuple[float, int, float]]


class TallyState(Struct, frozen=True, kw_only=True):
    """Everything that was merged, as data."""

    aggregate: AggregateState
    loads: dict[str, LoadState]
    """By zone."""
    counted: tuple[Counted, ...]
    """What the meters of authors had counted when the last second was closed."""
    workers: tuple[WorkerState, ...]


class Tally:
    """The workers' snapshots and accounts. Its size depends neither on minions nor on duration.

    Where the workers stand in several zones, each second has the meters of the fleet and those of each zone.
    """

    def __init__(self) -> None:
        self.aggregate = CampaignAggregate()
        self.workers: dict[Place, WorkerTally] = {}
        self._loads: dict[str, Load] = {}
        """By zone."""
        self._meters = MeterRows()

    @classmethod
    def thaw(cls, state: TallyState) -> Tally:
        tally = cls()
        tally.aggregate = CampaignAggregate.thaw(state.aggregate)
        tally._loads = {zone: Load.thaw(load) for zone, load in state.loads.items()}
        tally._meters = MeterRows(state.counted)
        for each in state.workers:
            tally.workers[each.node, each.index] = WorkerTally(
                each.pid,
                each.zone,
                InjectorHealth.thaw(each.health),
                each.ledgers,
                each.lost_reason,
                each.lost_at,
                each.is_presumed,
                each.estimates,
                each.rates,
            )
        return tally

    def freeze(self) -> TallyState:
        """To be encoded before anything changes."""
        return TallyState(
            aggregate=self.aggregate.freeze(),
            loads={zone: load.freeze() for zone, load in self._loads.items()},
            counted=self._meters.counted(),
            workers=tuple(
                WorkerState(
                    node=node,
                    index=index,
                    pid=worker.pid,
                    zone=worker.zone,
                    health=worker.health.freeze(),
                    ledgers=dict(worker.ledgers),
                    lost_reason=worker.lost_reason,
                    lost_at=worker.lost_at,
                    is_presumed=worker.is_presumed,
                    estimates=dict(worker.estimates),
                    rates=worker.rates,
                )
                for (node, index), worker in self.workers.items()
            ),
        )

    def add_worker(self, place: Place, pid: int, zone: str = "") -> None:
        """A worker belongs to the campaign, and stands in this zone."""
        self.workers[place] = WorkerTally(pid, zone)
        self._loads.setdefault(zone, Load())

    def add(self, place: Place, snapshot: Snapshot) -> None:
        """Merge a snapshot; one of an unknown worker, or one that was merged before, changes nothing."""
        worker = self.workers.get(place)
        if worker is None or not self.aggregate.add(source(place), snapshot, worker.zone):
            return
        _note_rates(worker, snapshot)
        if worker.is_presumed:
            worker.ledgers, worker.estimates = snapshot.ledgers, {}
        if worker.is_lost:
            return  # what it counted last was read after this snapshot was made
        self._loads[worker.zone].add(source(place), snapshot)
        worker.health.add(snapshot.health)
        worker.ledgers = snapshot.ledgers

    def silent(self, place: Place, seconds: float) -> None:
        """Count a second in which a worker could not even report: its loop lags by so much."""
        if place in self.workers:
            self.workers[place].health.add(WorkerHealth(loop_lag_p99_s=seconds, loop_lag_max_s=seconds))

    def lose(self, place: Place, reason: str, at: float, ledgers: Mapping[str, tuple[int, ...]]) -> None:
        """A worker died, and this is what it had counted."""
        worker = self.workers[place]
        worker.lost_reason, worker.lost_at, worker.ledgers = reason, at, ledgers
        worker.is_presumed, worker.estimates = False, {}
        self._loads[worker.zone].lose(source(place))

    def presume_lost(self, place: Place, reason: str, at: float, silence: float) -> None:
        """Nothing came from a worker for so many seconds: it is lost, unless its own word says more."""
        worker = self.workers[place]
        self.lose(place, reason, at, worker.ledgers)
        worker.is_presumed = True
        worker.estimates = {
            scenario: round(rate * silence) for scenario, (_, _, rate) in worker.rates.items() if rate
        }

    def reported_until(self, node: str) -> float:
        """Seconds after the start up to which workers of this factory have reported; 0 when none has."""
        own = (worker for place, worker in self.workers.items() if place[0] == node)
        return max((at for worker in own for at, _, _ in worker.rates.values()), default=0.0)

    def settle(self, place: Place, ledgers: Mapping[str, tuple[int, ...]]) -> None:
        """A worker's final counters, read from the memory that outlives it."""
        if (worker := self.workers.get(place)) is not None:
            worker.ledgers, worker.estimates = ledgers, {}

    def close_seconds(self, elapsed: float) -> tuple[Second, ...]:
        """The seconds that all living workers have reported, oldest first, each once."""
        living = [source(place) for place, worker in self.workers.items() if not worker.is_lost]
        return tuple(self._close(t) for t in self.aggregate.ready_seconds(elapsed, living))

    def close_all_seconds(self) -> tuple[Second, ...]:
        """What is left, at the end of the campaign."""
        return tuple(self._close(t) for t in self.aggregate.open_seconds())

    def take_meters(self, started_at: float) -> tuple[Meter, ...]:
        """The meters of the seconds closed since the last call; the campaign started at this instant."""
        return self._meters.take(started_at)

    def _close(self, t: int) -> Second:
        zones = list(self._loads)
        named = [zone for zone in zones if zone] if len(zones) > 1 else []
        figures = self.aggregate.close_second(t, named)
        loads = {zone: each.take(t) for zone, each in self._loads.items()}
        load = together(loads.values())
        self._meters.add(
            figures,
            load,
            self.aggregate.meters(),
            zone=zones[0] if len(zones) == 1 else "",
            parts={zone: Part(loads[zone], self.aggregate.meters(zone)) for zone in named},
        )
        return Second(
            t_s=float(t),
            offered_per_s=float(load.offered),
            achieved_per_s=float(load.achieved),
            errors_per_s=float(figures.errors),
            minions=load.minions,
            p50_ms=figures.p50_ms,
            p95_ms=figures.p95_ms,
            p99_ms=figures.p99_ms,
        )


def _note_rates(worker: WorkerTally, snapshot: Snapshot) -> None:
    for scenario, counts in snapshot.ledgers.items():
        attempted = counts[Slot.REQUESTS_ATTEMPTED]
        at, before, rate = worker.rates.get(scenario, (0.0, 0, 0.0))
        if snapshot.elapsed_s > at:
            rate = (attempted - before) / (snapshot.elapsed_s - at)
        worker.rates[scenario] = (snapshot.elapsed_s, attempted, rate)


def source(place: Place) -> str:
    """The name of a worker in the whole fleet."""
    return f"{place[0]}/{place[1]}"
