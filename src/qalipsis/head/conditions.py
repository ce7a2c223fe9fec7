"""Holds the scenarios' conditions against fleet-wide aggregates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qalipsis.metrics.aggregate import CampaignAggregate
from qalipsis.metrics.expectations import Condition, Measured, describe, evaluate, may_yet_hold
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.reports.model import Expectation


@dataclass(frozen=True, slots=True)
class Check:
    """One condition and how it stands; `meter` names the author's meter it belongs to, if any."""

    scenario: str
    meter: str | None
    abort: bool
    expectation: Expectation
    is_violated: bool
    """Whether it is broken while the campaign runs: False while there is nothing to compare yet, and while a
    figure that only grows may yet reach its bound."""


def check(scenarios: Sequence[ScenarioDescriptor], aggregate: CampaignAggregate) -> tuple[Check, ...]:
    """All conditions as they stand now, in the order of the scenarios."""
    return tuple(found for scenario in scenarios for found in _check(scenario, aggregate))


def _check(scenario: ScenarioDescriptor, aggregate: CampaignAggregate) -> Iterator[Check]:
    for meter in scenario.meters:
        if meter.conditions:
            totals = aggregate.meter(scenario.name, meter.name, meter.type)
            for condition in meter.conditions:
                is_growing = _only_grows(meter.type, condition.statistic)
                held = _held(condition, totals, meter.name, is_growing)
                yield Check(scenario.name, meter.name, False, *held)
    for each in scenario.expectations:
        measured = aggregate.step(scenario.name, each.step).measure(each.measure)
        subject = f"{each.measure.replace('_', ' ')} of {each.step}"
        is_growing = _only_grows(each.measure, each.condition.statistic)
        yield Check(scenario.name, None, each.abort, *_held(each.condition, measured, subject, is_growing))


def _only_grows(subject: str, statistic: str) -> bool:
    """Counts, sums and maxima never fall again; all other figures go up and down."""
    return statistic in ("count", "max") or (statistic == "value" and subject in ("counter", "throughput"))


def _held(
    condition: Condition, measured: Measured, subject: str, is_growing: bool
) -> tuple[Expectation, bool]:
    """How the condition stands, and whether it is violated already."""
    satisfied, actual = evaluate(condition, measured)
    is_violated = (
        not satisfied and actual is not None and not (is_growing and may_yet_hold(condition, actual))
    )
    if actual is not None and condition.is_duration:
        actual *= 1e3
    expectation = Expectation(
        text=describe(condition, subject),
        satisfied=satisfied,
        actual=actual,
        unit="ms" if condition.is_duration else "",
    )
    return expectation, is_violated
