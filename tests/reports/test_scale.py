from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qalipsis.reports import scale


@given(st.floats(1e-9, 1e18))
def test_an_axis_begins_at_zero_and_covers_its_values(largest: float) -> None:
    marks = scale.ticks(largest)
    assert marks[0] == 0
    assert marks[-1] >= largest * (1 - 1e-9)
    assert 2 <= len(marks) <= 7


def test_nothing_still_has_an_axis() -> None:
    assert scale.ticks(0) == (0, 1)


def test_ticks_are_round() -> None:
    assert scale.ticks(672) == (0, 200, 400, 600, 800)


@given(st.integers(0, 10**6), st.integers(1, 10**7))
def test_moments_lie_within_the_axis(start: int, length: int) -> None:
    moments = scale.time_ticks(start, start + length)
    assert len(moments) <= 10
    assert all(start <= moment <= start + length for moment in moments)


def test_decades_are_marked() -> None:
    assert scale.log_ticks(4, 30) == ((5, False), (10, True), (20, False))
