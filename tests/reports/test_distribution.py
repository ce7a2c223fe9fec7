from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.reports import distribution

POINTS = st.lists(st.tuples(st.floats(-1, 4e6), st.integers(0, 10**9)), max_size=40).map(
    lambda points: distribution.merge([points])
)


def test_merging_adds_counts() -> None:
    assert distribution.merge([((1.0, 2), (5.0, 1)), ((1.0, 3),)]) == ((1.0, 5), (5.0, 1))


def test_a_percentile_is_the_bound_that_holds_it() -> None:
    points = ((10.0, 90), (20.0, 9), (300.0, 1))
    assert [distribution.percentile(points, percent) for percent in (50, 95, 99, 99.9)] == [10, 20, 20, 300]


@given(POINTS.filter(len))
def test_bars_hold_every_observation(points: distribution.Points) -> None:
    low, high = distribution.extent(points)
    bars = distribution.bars(points, low, high)
    assert len(bars) <= distribution.MOST_BARS
    assert sum(bar.count for bar in bars) == pytest.approx(sum(count for _, count in points), rel=1e-6)


def test_a_single_value_is_a_single_bar() -> None:
    points = ((7.0, 3),)
    (bar,) = distribution.bars(points, *distribution.extent(points))
    assert bar.count == pytest.approx(3)
