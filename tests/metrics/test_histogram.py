import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.metrics.histogram import DISTRIBUTION_POINTS, Histogram
from qalipsis.metrics.scale import VALUES

durations = st.floats(1e-6, 3600.0)
ranks = st.floats(0.1, 99.99)


def histogram_of(values: list[float]) -> Histogram:
    histogram = Histogram()
    histogram.add_many(np.array(values))
    return histogram


def assert_same(one: Histogram, other: Histogram) -> None:
    assert one.count == other.count
    assert one.min == other.min
    assert one.max == other.max
    assert one.sum == pytest.approx(other.sum)
    quantiles = (0.1, 1, 10, 25, 50, 75, 90, 95, 99, 99.9, 100)
    assert one.percentiles(*quantiles) == other.percentiles(*quantiles)


@given(st.lists(durations, min_size=1, max_size=300), ranks)
def test_a_percentile_is_within_0_4_percent_of_the_exact_one(values: list[float], rank: float) -> None:
    # The rank is rounded up in both: of n values the smallest that at least rank % do not exceed.
    exact = sorted(values)[max(math.ceil(rank / 100 * len(values)), 1) - 1]
    assert histogram_of(values).percentile(rank) == pytest.approx(exact, rel=0.004)


@pytest.mark.parametrize("rank", [1, 10, 50, 90, 95, 99, 99.9])
def test_percentiles_of_a_million_values_agree_with_numpy(rank: float) -> None:
    values = np.random.default_rng(1).lognormal(-4, 1.5, 1_000_000)
    histogram = Histogram()
    histogram.add_many(values)
    exact = np.percentile(values, rank, method="inverted_cdf")
    assert histogram.percentile(rank) == pytest.approx(exact, rel=0.004)
    assert histogram.mean == pytest.approx(values.mean())


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200), ranks)
def test_values_of_both_signs_keep_honest_figures(values: list[float], rank: float) -> None:
    histogram = Histogram(VALUES)
    for value in values:
        histogram.add(value)
    exact = sorted(values)[max(math.ceil(rank / 100 * len(values)), 1) - 1]
    assert histogram.percentile(rank) == pytest.approx(exact, rel=0.004, abs=1e-9)
    assert (histogram.min, histogram.max) == (min(values), max(values))
    assert histogram.mean == pytest.approx(sum(values) / len(values), abs=1e-6)


@given(st.lists(st.lists(durations, max_size=50), max_size=6))
def test_merged_parts_are_the_whole(parts: list[list[float]]) -> None:
    merged = Histogram()
    for part in parts:
        merged.merge(histogram_of(part))
    assert_same(merged, histogram_of([value for part in parts for value in part]))


@given(st.lists(st.lists(durations, max_size=50), max_size=6))
def test_encoded_parts_merge_into_the_whole(parts: list[list[float]]) -> None:
    merged = Histogram()
    for part in parts:
        merged.add_encoded(histogram_of(part).encode())
    assert_same(merged, histogram_of([value for part in parts for value in part]))


@given(st.lists(durations, max_size=100))
def test_adding_one_by_one_is_adding_many(values: list[float]) -> None:
    single = Histogram()
    for value in values:
        single.add(value)
    assert_same(single, histogram_of(values))


@given(st.lists(durations, max_size=100))
def test_a_histogram_survives_the_wire(values: list[float]) -> None:
    assert_same(Histogram.decode(histogram_of(values).encode()), histogram_of(values))


def test_large_counts_survive_the_wire() -> None:
    histogram = Histogram()
    histogram.add_many(np.full(100_000, 0.25))
    histogram.add_many(np.full(255, 30.0))
    decoded = Histogram.decode(histogram.encode())
    assert_same(decoded, histogram)


def test_a_histogram_of_the_other_scale_is_refused() -> None:
    signed = Histogram(VALUES)
    signed.add(-1.0)
    assert Histogram.decode(signed.encode()).min == -1.0
    with pytest.raises(ValueError, match="scale"):
        Histogram().add_encoded(signed.encode())
    with pytest.raises(ValueError, match="scale"):
        Histogram().merge(signed)


def test_values_beyond_the_scale_keep_their_extremes() -> None:
    histogram = histogram_of([0.0, 1e-9, 10_000.0, 20_000.0])
    assert (histogram.min, histogram.max, histogram.count) == (0.0, 20_000.0, 4)
    assert histogram.percentile(100) == 20_000.0
    assert histogram.distribution()[-1][0] == 20_000_000.0


def test_an_empty_histogram_shows_zeros() -> None:
    latency = Histogram().latency()
    assert set(latency.values()) == {0}
    assert Histogram().distribution() == ()
    assert Histogram.decode(Histogram().encode()).count == 0


def test_equal_values_are_shown_as_they_are() -> None:
    latency = histogram_of([0.050] * 10).latency()
    assert latency["count"] == 10
    assert {round(latency[key], 9) for key in ("min_ms", "p50_ms", "p999_ms", "max_ms")} == {50.0}


def test_taking_leaves_nothing_behind() -> None:
    histogram = histogram_of([0.1, 0.2])
    taken = histogram.take()
    assert (taken.count, taken.min, taken.max) == (2, 0.1, 0.2)
    assert histogram.count == 0
    histogram.add(0.3)
    assert (histogram.count, taken.count) == (1, 2)


@given(st.lists(durations, min_size=1, max_size=300))
def test_a_distribution_has_at_most_200_classes_that_hold_every_value(values: list[float]) -> None:
    distribution = histogram_of(values).distribution()
    uppers = [upper for upper, _ in distribution]
    assert len(distribution) <= DISTRIBUTION_POINTS
    assert uppers == sorted(uppers)
    assert sum(count for _, count in distribution) == len(values)
    assert uppers[-1] >= 1e3 * max(values)
