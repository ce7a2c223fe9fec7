"""Holds the scenarios' conditions against fleet-wide aggregates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qalipsis.metrics.aggregate import CampaignAggregate
from qalipsis.metrics.expectations import Condition, Measured, describe, evaluate
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.reports.model import Expectation


@dataclass(frozen=True, slots=True)
class Check:
    """One condition and how it stands; `meter` names the author's meter it belongs to, if any."""

    scenario: str
    meter: str | None
    abort: bool
    expectation: Expectation

    @property
    def is_violated(self) -> bool:
        """False also while there is nothing to compare yet."""
        return not self.expectation.satisfied and self.expectation.actual is not None


def check(scenarios: Sequence[ScenarioDescriptor], aggregate: CampaignAggregate) -> tuple[Check, ...]:
    """All conditions as they stand now, in the order of the scenarios."""
    return tuple(found for scenario in scenarios for found in _check(scenario, aggregate))


def _check(scenario: ScenarioDescriptor, aggregate: CampaignAggregate) -> Iterator[Check]:
    for meter in scenario.meters:
        if meter.conditions:
            totals = aggregate.meter(scenario.name, meter.name, meter.type)
            for condition in meter.conditions:
                yield Check(scenario.name, meter.name, False, _held(condition, totals, meter.name))
    for each in scenario.expectations:
        measured = aggregate.step(scenario.name, each.step).measure(each.measure)
        subject = f"{each.measure.replace('_', ' ')} of {each.step}"
        yield Check(scenario.name, None, each.abort, _held(each.condition, measured, subject))


def _held(condition: Condition, measured: Measured, subject: str) -> Expectation:
    satisfied, actual = evaluate(condition, measured)
    if actual is not None and condition.is_duration:
        actual *= 1e3
    return Expectation(
        text=describe(condition, subject),
        satisfied=satisfied,
        actual=actual,
        unit="ms" if condition.is_duration else "",
    )
