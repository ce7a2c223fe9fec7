"""Closed seconds become meters that say what happened in their second."""

from __future__ import annotations

from qalipsis.head.campaign_list import moment
from qalipsis.head.load import LoadSecond
from qalipsis.head.meter_rows import MeterRows
from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.meter_totals import MeterTotals
from qalipsis.metrics.scale import VALUES
from qalipsis.metrics.timeline import SecondFigures, StepSecond


def author_meter(type: str, *, value: float | None = None, values: tuple[float, ...] = ()) -> MeterTotals:
    distribution = Histogram(VALUES)
    for each in values:
        distribution.add(each)
    return MeterTotals(
        scenario="buy",
        name="basket",
        type=type,
        records=1,
        value=value,
        observed=0.0,
        total=0.0,
        current=None,
        distribution=distribution,
    )


def test_a_second_tells_of_the_campaign_and_of_each_step() -> None:
    rows = MeterRows()
    step = StepSecond(executed=4, failed=1, timed=4, sum_ms=100.0, max_ms=70.0, p75_ms=30.0, p999_ms=69.0)
    steps = {
        ("buy", "pay"): step,
        ("buy", "pause"): StepSecond(executed=2),
        ("buy", "_hidden"): StepSecond(executed=1),
    }
    rows.add(SecondFigures(t=3, errors=1, steps=steps), LoadSecond(offered=9, achieved=8, minions=5), ())
    taken = rows.take(100.0)
    assert {each.at for each in taken} == {moment(103.0)}
    found = {(each.name, each.tags.get("step", "")): each for each in taken}
    assert [found[name, ""].value for name in ("minions.count", "requests.offered", "requests.achieved")] == [
        5.0,
        9.0,
        8.0,
    ]
    latency = found["step.latency", "pay"]
    assert (latency.scenario, latency.count, latency.sum, latency.mean, latency.max) == (
        "buy",
        4,
        100.0,
        25.0,
        70.0,
    )
    assert (latency.other["percentile_75.0"], latency.other["percentile_99.9"]) == (30.0, 69.0)
    assert (found["step.failures", "pay"].value, found["step.executions", "pause"].value) == (1.0, 2.0)
    assert ("step.latency", "pause") not in found
    assert not any("_hidden" in key for key in found)
    assert rows.take(100.0) == ()


def added(*totals: MeterTotals) -> list[tuple[float | None, int | None, float | None]]:
    """What each second shows of a meter that stood like this at its end."""
    rows = MeterRows()
    for t, each in enumerate(totals):
        rows.add(SecondFigures(t=t), LoadSecond(), (each,))
    return [(each.value, each.count, each.mean) for each in rows.take(0.0) if each.name == "basket"]


def test_a_counter_of_an_author_tells_what_the_second_added() -> None:
    assert added(*(author_meter("counter", value=value) for value in (5.0, 7.0, 7.0))) == [
        (5.0, None, None),
        (2.0, None, None),
        (0.0, None, None),
    ]


def test_a_timer_of_an_author_has_the_mean_of_the_second_in_milliseconds() -> None:
    first, second = (0.25, 0.75), (0.25, 0.75, 0.125)
    assert added(*(author_meter("timer", values=values) for values in (first, second, second))) == [
        (None, 2, 500.0),
        (None, 1, 125.0),
    ]


def test_a_gauge_of_an_author_keeps_its_value() -> None:
    assert added(author_meter("gauge"), *[author_meter("gauge", value=3.0)] * 2) == [
        (3.0, None, None),
        (3.0, None, None),
    ]
