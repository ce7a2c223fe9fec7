import pytest

from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.meter_totals import STATISTICS, MeterTotals, sum_meters
from qalipsis.metrics.meters import METER_TYPES
from qalipsis.metrics.scale import VALUES
from qalipsis.metrics.snapshot import MeterSnapshot


def totals(
    type: str, *parts: MeterSnapshot, values: tuple[float, ...] = (), last_second: float | None = None
) -> MeterTotals:
    distribution = Histogram(VALUES)
    for value in values:
        distribution.add(value)
    return sum_meters("shop", "mine", type, parts, distribution=distribution, last_second=last_second)


def part(type: str, **state: float) -> MeterSnapshot:
    return MeterSnapshot(scenario="shop", name="mine", type=type, **state)  # type: ignore[arg-type]


def test_a_counter_is_the_sum_of_everything_counted() -> None:
    counter = totals("counter", part("counter", count=2, value=7.0), part("counter", count=1, value=3.0))
    assert counter.statistic("value") == counter.statistic("count") == 10.0
    assert totals("counter").statistic("count") == 0.0


def test_a_gauge_is_the_sum_of_the_last_values_of_its_sources() -> None:
    gauge = totals(
        "gauge", part("gauge", count=9, value=4.0), part("gauge", count=1, value=2.0), part("gauge")
    )
    assert gauge.statistic("value") == gauge.statistic("current") == 6.0
    assert totals("gauge", part("gauge")).statistic("value") is None


def test_a_rate_divides_the_sums_and_never_averages_shares() -> None:
    rate = totals("rate", part("rate", count=1, value=1, total=2), part("rate", count=1, value=0, total=98))
    assert rate.statistic("value") == 0.01
    assert rate.values() == {"count": 2.0, "value": 0.01, "observed": 1.0, "total": 100.0}
    assert totals("rate", part("rate", count=1)).statistic("value") is None


def test_a_throughput_tells_of_the_seconds_of_the_fleet() -> None:
    sold = totals(
        "throughput", part("throughput", count=9, value=60.0), values=(10.0, 20.0, 30.0), last_second=30.0
    )
    assert sold.statistic("current") == 30.0
    assert sold.statistic("mean") == 20.0
    assert sold.statistic("max") == 30.0
    assert sold.statistic("percentile", 50) == pytest.approx(20, rel=0.004)
    assert sold.statistic("value") == 60.0


def test_a_timer_is_reported_in_milliseconds_and_asked_in_seconds() -> None:
    timer = totals("timer", part("timer", count=2), values=(0.1, 0.3))
    assert timer.statistic("mean") == pytest.approx(0.2)
    assert timer.values()["max"] == pytest.approx(300)
    assert timer.statistic("count") == timer.values()["count"] == 2


def test_a_summary_keeps_its_unit_and_its_signs() -> None:
    summary = totals("summary", part("summary", count=3), values=(-40.0, 0.0, 10.0))
    assert summary.values()["min"] == -40.0
    assert summary.values()["p50"] == 0.0
    assert summary.statistic("mean") == -10.0
    assert totals("summary").statistic("mean") is None


@pytest.mark.parametrize("type", METER_TYPES)
def test_every_statistic_of_a_meter_answers_and_others_are_refused(type: str) -> None:
    meter = totals(type, part(type, count=1, value=1.0, total=2.0), values=(1.0,), last_second=1.0)
    for statistic in ("count", "value", "current", "mean", "max", "percentile"):
        if statistic in STATISTICS[type]:
            assert meter.statistic(statistic, 95.0) is not None
        else:
            with pytest.raises(ValueError, match=f"no `{statistic}`"):
                meter.statistic(statistic)
