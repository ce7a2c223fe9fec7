import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.metrics.scale import DURATIONS, VALUES, Scale, scale_of

SCALES = pytest.mark.parametrize("scale", [DURATIONS, VALUES])


@given(st.floats(1e-6, 3600.0))
def test_the_middle_of_a_bucket_is_within_0_4_percent_of_every_value_in_it(value: float) -> None:
    middle = DURATIONS.middle_of[DURATIONS.bucket(value)]
    assert abs(middle - value) <= 0.004 * value


@given(st.floats(1e-9, 1e12), st.sampled_from([1, -1]))
def test_a_signed_scale_is_as_exact_on_both_sides_of_zero(magnitude: float, sign: int) -> None:
    value = sign * magnitude
    middle = VALUES.middle_of[VALUES.bucket(value)]
    assert abs(middle - value) <= 0.004 * magnitude


@SCALES
@given(values=st.lists(st.floats(allow_nan=False), min_size=1))
def test_one_value_and_many_find_the_same_bucket(scale: Scale, values: list[float]) -> None:
    buckets = scale.buckets(np.array(values))
    assert buckets.tolist() == [scale.bucket(value) for value in values]
    assert buckets.min() >= 0
    assert buckets.max() < scale.size


@SCALES
@given(pair=st.tuples(st.floats(-1e13, 1e13), st.floats(-1e13, 1e13)))
def test_a_greater_value_is_never_in_a_lower_bucket(scale: Scale, pair: tuple[float, float]) -> None:
    low, high = sorted(pair)
    assert scale.bucket(low) <= scale.bucket(high)


@SCALES
def test_buckets_touch_each_other_and_hold_their_upper_bound(scale: Scale) -> None:
    assert np.all(np.diff(scale.upper_of) > 0)
    assert np.all(np.diff(scale.middle_of) > 0)
    assert np.all(scale.middle_of <= scale.upper_of)


def test_zero_has_a_bucket_of_its_own_on_a_signed_scale() -> None:
    assert VALUES.middle_of[VALUES.bucket(0.0)] == 0.0
    assert VALUES.bucket(-0.0) == VALUES.bucket(0.0) == VALUES.bucket(1e-12)


def test_a_scale_is_found_by_its_size_and_an_unknown_size_is_refused() -> None:
    assert scale_of(DURATIONS.size) is DURATIONS
    assert scale_of(VALUES.size) is VALUES
    with pytest.raises(ValueError, match="no scale has 7 buckets"):
        scale_of(7)
