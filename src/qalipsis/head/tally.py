"""Everything that the factories of a campaign have told, merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qalipsis.head.load import Load
from qalipsis.head.meter_rows import MeterRows
from qalipsis.head.meter_series import Meter
from qalipsis.metrics.aggregate import CampaignAggregate
from qalipsis.metrics.health import InjectorHealth
from qalipsis.metrics.snapshot import Snapshot, WorkerHealth
from qalipsis.reports.model import Second

Place = tuple[str, int]
"""A factory and one of its workers."""


@dataclass(slots=True)
class WorkerTally:
    """One worker. `ledgers` are its last counters: final ones once it is dead or the campaign closed."""

    pid: int
    health: InjectorHealth = field(default_factory=InjectorHealth)
    ledgers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    lost_reason: str | None = None
    lost_at: float | None = None
    """Epoch seconds."""

    @property
    def is_lost(self) -> bool:
        return self.lost_reason is not None


class Tally:
    """The workers' snapshots and accounts. Its size depends neither on minions nor on duration."""

    def __init__(self) -> None:
        self.aggregate = CampaignAggregate()
        self.workers: dict[Place, WorkerTally] = {}
        self._load = Load()
        self._meters = MeterRows()

    def add_worker(self, place: Place, pid: int) -> None:
        """A worker belongs to the campaign."""
        self.workers[place] = WorkerTally(pid)

    def add(self, place: Place, snapshot: Snapshot) -> None:
        """Merge a snapshot; one of an unknown worker, or one that was merged before, changes nothing."""
        worker = self.workers.get(place)
        if worker is None or not self.aggregate.add(source(place), snapshot):
            return
        if worker.is_lost:
            return  # what it counted last was read after this snapshot was made
        self._load.add(source(place), snapshot)
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
        self._load.lose(source(place))

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
        figures, load = self.aggregate.close_second(t), self._load.take(t)
        self._meters.add(figures, load, self.aggregate.meters())
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


def source(place: Place) -> str:
    """The name of a worker in the whole fleet."""
    return f"{place[0]}/{place[1]}"
