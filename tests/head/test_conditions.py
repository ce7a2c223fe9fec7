"""Conditions, held against what the fleet measured."""

import pytest

from qalipsis.head.conditions import check
from qalipsis.metrics.aggregate import CampaignAggregate
from qalipsis.metrics.expectations import Condition
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.plan.model import ExpectationDescriptor, MeterDescriptor, ScenarioDescriptor

FAST = Condition(
    statistic="percentile", argument=95.0, operator="is_less_than", bounds=(1.0,), is_duration=True
)
RARE = Condition(statistic="value", operator="is_less_than", bounds=(0.1,))
SHOP = ScenarioDescriptor(
    name="shop",
    minions=1,
    profile="immediate",
    meters=(MeterDescriptor(name="publish-delay", type="timer", conditions=(FAST,)),),
    expectations=(ExpectationDescriptor(step="order", measure="failed_share", condition=RARE, abort=True),),
)


def measured(delay: float, failed: int) -> CampaignAggregate:
    meters, aggregate = WorkerMeters(), CampaignAggregate()
    meters.meter("shop", "publish-delay", "timer").record(delay)
    step = meters.step("shop", "order", "http")
    step.attempted, step.successful = 10, 10 - failed
    for _ in range(failed):
        step.fail("verify", "")
    aggregate.add("a/0", meters.freeze(1, 1.0))
    return aggregate


def test_conditions_are_told_in_words_with_what_was_measured() -> None:
    delay, failures = check((SHOP,), measured(delay=0.25, failed=3))
    assert (delay.meter, delay.expectation.text) == ("publish-delay", "p95 of publish-delay is less than 1 s")
    assert delay.expectation.satisfied
    assert delay.expectation.unit == "ms"
    assert delay.expectation.actual == 250.0
    assert failures.expectation.text == "failed share of order is less than 0.1"
    assert (failures.expectation.satisfied, failures.expectation.actual, failures.abort) == (False, 0.3, True)
    assert failures.is_violated


def test_nothing_is_violated_before_anything_was_measured() -> None:
    checks = check((SHOP,), CampaignAggregate())
    assert [each.is_violated for each in checks] == [False, False]
    assert [each.expectation.satisfied for each in checks] == [False, False]


@pytest.mark.parametrize(
    ("operator", "bounds", "is_violated"),
    [
        ("is_greater_than", (100.0,), False),
        ("is_greater_than_or_equal", (11.0,), False),
        ("is_equal", (11.0,), False),
        ("is_equal", (9.0,), True),
        ("is_between", (11.0, 20.0), False),
        ("is_between", (1.0, 9.0), True),
        ("is_not_between", (5.0, 15.0), False),
        ("is_less_than", (10.0,), True),
        ("is_less_than_or_equal", (9.0,), True),
    ],
)
def test_a_count_is_not_judged_while_it_may_yet_grow_to_its_bound(
    operator: str, bounds: tuple[float, ...], is_violated: bool
) -> None:
    condition = Condition(statistic="count", operator=operator, bounds=bounds)
    expected = ExpectationDescriptor(step="order", measure="executions", condition=condition, abort=True)
    scenario = ScenarioDescriptor(name="shop", minions=1, profile="immediate", expectations=(expected,))
    [executions] = check((scenario,), measured(delay=0.25, failed=3))
    assert (executions.expectation.actual, executions.expectation.satisfied) == (10.0, False)
    assert executions.is_violated is is_violated


def test_a_figure_that_can_fall_again_is_judged_as_it_stands() -> None:
    condition = Condition(statistic="value", operator="is_greater_than", bounds=(0.5,))
    expected = ExpectationDescriptor(step="order", measure="failed_share", condition=condition)
    scenario = ScenarioDescriptor(name="shop", minions=1, profile="immediate", expectations=(expected,))
    [share] = check((scenario,), measured(delay=0.25, failed=3))
    assert share.is_violated
