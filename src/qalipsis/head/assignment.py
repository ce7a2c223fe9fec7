"""Who runs what: minions of each scenario, workers of the fleet and their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.ownership import Ownership


@dataclass(frozen=True, slots=True)
class Assignment:
    """The minions of the whole fleet by scenario, and the fleet: one weight per worker."""

    minions: dict[str, int]
    weights: tuple[int, ...]
    first_worker: dict[str, int]
    """By factory: where its workers begin."""

    def share(self, factory: str, worker: int, scenario: str) -> int:
        """How many minions of the scenario belong to a factory's worker."""
        ownership = Ownership(self.weights)
        return ownership.count(self.first_worker[factory] + worker, 0, self.minions[scenario])


def assign(
    scenarios: Sequence[ScenarioDescriptor],
    factories: Mapping[str, int],
    minions_factor: float = 1.0,
    minions_per_scenario: int | None = None,
) -> Assignment:
    """Spread the scenarios over all workers alike; `factories` says how many workers each one has."""
    first_worker: dict[str, int] = {}
    workers = 0
    for factory, count in factories.items():
        first_worker[factory] = workers
        workers += count
    return Assignment(
        {scenario.name: minions_of(scenario, minions_factor, minions_per_scenario) for scenario in scenarios},
        (1,) * workers,
        first_worker,
    )


def minions_of(scenario: ScenarioDescriptor, factor: float, replacement: int | None) -> int:
    """The minions that a scenario gets, at least one. Counts that belong to a profile are not touched."""
    if scenario.fixed_minions:
        return scenario.minions
    if replacement is not None:
        return replacement
    return max(1, round(scenario.minions * factor))
