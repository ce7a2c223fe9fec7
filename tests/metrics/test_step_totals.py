import pytest

from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.snapshot import StepSnapshot
from qalipsis.metrics.step_totals import StepTotals, sum_steps


def totals(*parts: StepSnapshot, latencies: tuple[float, ...] = ()) -> StepTotals:
    from_due, from_sent = Histogram(), Histogram()
    for seconds in latencies:
        from_due.add(seconds)
        from_sent.add(seconds / 2)
    return sum_steps("shop", "home", parts, first_error="", from_due=from_due, from_sent=from_sent, phases={})


def part(**counts: object) -> StepSnapshot:
    return StepSnapshot(scenario="shop", name="home", type="http.request", **counts)  # type: ignore[arg-type]


def test_counters_and_classes_are_summed() -> None:
    step = totals(
        part(attempted=5, successful=3, failed=2, errors={"reset": 2}, statuses={200: 3}),
        part(attempted=4, successful=2, failed=2, errors={"reset": 1, "dns": 1}, statuses={404: 1, 200: 1}),
    )
    assert (step.attempted, step.executed, step.failed) == (9, 9, 4)
    assert step.errors == {"dns": 1, "reset": 3}
    assert step.statuses == {200: 4, 404: 1}
    assert step.failed_share == 4 / 9


def test_measures_answer_what_conditions_ask() -> None:
    step = totals(part(successful=3, failed=1), latencies=(0.1, 0.2, 0.3))
    assert step.measure("latency").statistic("percentile", 50) == pytest.approx(0.2, rel=0.004)
    assert step.measure("latency").statistic("max") == 0.3
    assert step.measure("service_time").statistic("mean") == pytest.approx(0.1)
    assert step.measure("latency").statistic("count") == 3
    assert step.measure("failed_share").statistic("value") == 0.25
    assert step.measure("executions").statistic("count") == 4


def test_a_step_that_never_ran_has_no_figures() -> None:
    step = totals()
    assert step.type == ""
    assert step.measure("latency").statistic("mean") is None
    assert step.measure("failed_share").statistic("value") is None
    assert step.measure("executions").statistic("count") == 0
    assert step.measure("latency").statistic("count") == 0


@pytest.mark.parametrize(
    ("measure", "statistic"),
    [("latency", "value"), ("service_time", "current"), ("failed_share", "mean"), ("speed", "count")],
)
def test_a_figure_that_does_not_exist_is_refused(measure: str, statistic: str) -> None:
    with pytest.raises(ValueError, match=f"no `{statistic}`"):
        totals().measure(measure).statistic(statistic)
