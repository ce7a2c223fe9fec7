"""Who runs what: minions of each scenario, and the fleet that they are dealt to, zone by zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.ownership import Ownership, ownership_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A factory as far as the assignment goes."""

    node: str
    workers: int
    zone: str | None = None
    incarnation: int = 0


@dataclass(frozen=True)
class Assignment:
    """The minions of the whole fleet by scenario, and the fleet: its workers, one zone after the other."""

    minions: dict[str, int]
    zones: dict[str, int]
    """Workers by key of the zone, "" for those that stand in none."""
    first_worker: dict[str, int]
    """By factory: where its workers begin."""
    shares: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Percentages of the zones, in their order, of the scenarios that say where they run."""

    @cached_property
    def _ownership(self) -> dict[str, Ownership]:
        workers = tuple(self.zones.values())
        return {
            scenario: ownership_of(workers, self.shares.get(scenario), minions)
            for scenario, minions in self.minions.items()
        }

    def share(self, factory: str, worker: int, scenario: str) -> int:
        """How many minions of the scenario belong to a factory's worker."""
        return self.dealt(self.worker(factory, worker), scenario)

    def worker(self, factory: str, worker: int) -> int:
        """The number in the whole fleet of a factory's worker."""
        return self.first_worker[factory] + worker

    def factory(self, worker: int) -> str:
        """Whose worker has this number in the whole fleet."""
        return max((first, node) for node, first in self.first_worker.items() if first <= worker)[1]

    def zone(self, worker: int) -> str:
        """The key of the zone of a worker, by its number in the whole fleet."""
        for zone, workers in self.zones.items():
            if worker < workers:
                return zone
            worker -= workers
        raise ValueError(f"the fleet has {sum(self.zones.values())} workers, and none beyond")

    def dealt(self, worker: int, scenario: str) -> int:
        """How many minions of the scenario a worker was dealt at first, by its number in the whole fleet."""
        return self._ownership[scenario].count(worker, 0, self.minions[scenario])

    def in_zones(self, scenario: str) -> dict[str, int]:
        """How many minions of the scenario belong to each zone, those without any left out."""
        ownership, minions = self._ownership[scenario], self.minions[scenario]
        found: dict[str, int] = {}
        first = 0
        for zone, workers in self.zones.items():
            own = sum(ownership.count(worker, 0, minions) for worker in range(first, first + workers))
            first += workers
            if zone and own:
                found[zone] = own
        return found


def assign(
    scenarios: Sequence[ScenarioDescriptor],
    factories: Iterable[Member],
    minions_factor: float = 1.0,
    minions_per_scenario: int | None = None,
    requested: Mapping[str, ScenarioRequest] | None = None,
) -> Assignment:
    """Spread each scenario over the zones that the request names for it, and there over all workers alike.

    A scenario without zones is spread over all workers. `check_zones` comes before.
    """
    requested = requested or {}
    first_worker: dict[str, int] = {}
    zones: dict[str, int] = {}
    workers = 0
    for factory in sorted(factories, key=lambda factory: factory.zone or ""):
        first_worker[factory.node] = workers
        workers += factory.workers
        zone = factory.zone or ""
        zones[zone] = zones.get(zone, 0) + factory.workers
    return Assignment(
        {
            scenario.name: _minions(scenario, minions_factor, minions_per_scenario, requested)
            for scenario in scenarios
        },
        zones,
        first_worker,
        {
            name: tuple(request.zones.get(zone, 0) for zone in zones)
            for name, request in requested.items()
            if request.zones
        },
    )


def eligible(factories: Iterable[Member], requested: Mapping[str, ScenarioRequest]) -> list[Member]:
    """The factories that some scenario can run on: all of them, unless every scenario names its zones."""
    if not requested or not all(request.zones for request in requested.values()):
        return list(factories)
    wanted = {zone for request in requested.values() for zone in request.zones}
    return [factory for factory in factories if factory.zone in wanted]


def minions_of(scenario: ScenarioDescriptor, factor: float, replacement: int | None) -> int:
    """The minions that a scenario gets, at least one. Counts that belong to a profile are not touched."""
    if scenario.fixed_minions:
        return scenario.minions
    if replacement is not None:
        return replacement
    return max(1, round(scenario.minions * factor))


def _minions(
    scenario: ScenarioDescriptor,
    factor: float,
    replacement: int | None,
    requested: Mapping[str, ScenarioRequest],
) -> int:
    request = requested.get(scenario.name)
    own = None if request is None else request.minions
    return minions_of(scenario, factor, replacement if own is None else own)
