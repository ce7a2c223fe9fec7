from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qalipsis.reports import timeline
from qalipsis.reports.model import Second


def second(t: float, achieved: float = 10.0, p99: float = 5.0) -> Second:
    return Second(t_s=t, offered_per_s=10, achieved_per_s=achieved, errors_per_s=0, minions=3, p99_ms=p99)


def test_an_hour_keeps_its_worst_second() -> None:
    seconds = [second(t, p99=900.0 if t == 1803 else 5.0) for t in range(3600)]
    width, points = timeline.condense(seconds)
    assert (width, len(points)) == (15, 240)
    assert max(point.p99 or 0 for point in points) == 900.0


def test_a_condensed_rate_keeps_its_mean_and_its_extremes() -> None:
    seconds = [second(t, achieved=0.0 if t == 7 else 10.0) for t in range(480)]
    width, points = timeline.condense(seconds)
    assert width == 2
    assert points[3].achieved == 5.0
    assert (points[3].achieved_low, points[3].achieved_high) == (0.0, 10.0)


def test_a_missing_second_is_a_gap() -> None:
    _, points = timeline.condense([second(0), second(2)])
    assert [point.achieved for point in points] == [10.0, None, 10.0]


def test_a_second_in_which_nothing_ended_has_no_latency_but_a_rate() -> None:
    _, (point,) = timeline.condense([second(0, achieved=0, p99=0)])
    assert point.p99 is None
    assert point.achieved == 0


def test_uneven_stamps_make_no_gap() -> None:
    _, points = timeline.condense([second(0.0), second(1.004), second(1.997), second(3.01)])
    assert all(point.seconds == 1 for point in points)


@given(st.lists(st.floats(-1e12, 1e12), max_size=50))
def test_there_are_never_more_points_than_a_chart_can_show(stamps: list[float]) -> None:
    _, points = timeline.condense([second(t) for t in stamps])
    assert len(points) <= timeline.MOST + 1
