"""Closed seconds become meters that say what happened in their second."""

from __future__ import annotations

from qalipsis.head.campaign_list import moment
from qalipsis.head.load import LoadSecond
from qalipsis.head.meter_rows import MeterRows, Part
from qalipsis.head.meter_series import Meter
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


def in_two_zones(**steps: tuple[StepSecond | None, StepSecond | None]) -> tuple[Meter, ...]:
    """A second of a fleet in east and west; each step as it was there."""
    east, west = (
        SecondFigures(t=0, steps={("buy", name): each[zone] for name, each in steps.items() if each[zone]})
        for zone in (0, 1)
    )
    together = {
        ("buy", name): StepSecond(
            executed=sum(each.executed for each in both if each),
            failed=sum(each.failed for each in both if each),
        )
        for name, both in steps.items()
    }
    rows = MeterRows()
    rows.add(
        SecondFigures(t=0, steps=together, zones={"east": east, "west": west}),
        LoadSecond(minions=5),
        (author_meter("counter", value=5.0),),
        parts={
            "east": Part(LoadSecond(minions=2), (author_meter("counter", value=4.0),)),
            "west": Part(LoadSecond(minions=3), (author_meter("counter", value=1.0),)),
        },
    )
    return rows.take(0.0)


def test_a_fleet_in_several_zones_has_the_meters_of_each_beside_its_own() -> None:
    taken = in_two_zones(pay=(StepSecond(executed=4), None))
    found = {(each.zone, each.is_part, each.name): each.value for each in taken}
    whole, east, west = ("", False), ("east", True), ("west", True)
    assert [found[(*each, "minions.count")] for each in (whole, east, west)] == [5.0, 2.0, 3.0]
    assert [found[(*each, "basket")] for each in (whole, east, west)] == [5.0, 4.0, 1.0]
    assert (found[(*whole, "step.executions")], found[(*east, "step.executions")]) == (4.0, 4.0)
    assert (*west, "step.executions") not in found
    assert len({(each.zone, each.name, str(each.tags)) for each in taken}) == len(taken)


def test_a_step_without_a_name_that_failed_in_one_zone_is_told_of_in_all() -> None:
    hidden = in_two_zones(
        _odd=(StepSecond(executed=4, failed=1), StepSecond(executed=2)), _even=(StepSecond(executed=1), None)
    )
    executions = {each.zone: each.value for each in hidden if each.name == "step.executions"}
    assert executions == {"": 6.0, "east": 4.0, "west": 2.0}


def test_a_fleet_in_one_zone_names_it_and_has_no_parts() -> None:
    rows = MeterRows()
    rows.add(SecondFigures(t=0), LoadSecond(), (), zone="east")
    assert {(each.zone, each.is_part) for each in rows.take(0.0)} == {("east", False)}
