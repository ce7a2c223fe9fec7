"""What heartbeats tell of the clocks of other machines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.head.clock_offsets import NOISE_SECONDS, SAMPLES, ClockOffsets


def test_a_factory_that_nothing_is_known_of_has_the_same_clock() -> None:
    offsets = ClockOffsets()
    assert offsets.offset("a") == 0.0
    offsets.add("a", 130.0, 100.0, None)  # nobody knows how long that took
    assert offsets.offset("a") == 0.0


def test_a_clock_that_is_ahead_is_known_by_its_heartbeats() -> None:
    offsets = ClockOffsets()
    offsets.add("a", 130.0, 100.01, 0.02)
    assert offsets.offset("a") == pytest.approx(30.0)
    assert offsets.offset("b") == 0.0


def test_what_could_be_the_way_of_the_message_is_no_difference() -> None:
    offsets = ClockOffsets()
    offsets.add("a", 100.0, 100.2, 0.5)
    assert offsets.offset("a") == 0.0
    offsets.add("b", 100.0 + NOISE_SECONDS / 2, 100.0, 0.0)
    assert offsets.offset("b") == 0.0


def test_a_clock_that_was_set_is_forgotten() -> None:
    offsets = ClockOffsets()
    offsets.add("a", 130.0, 100.0, 0.001)
    for number in range(SAMPLES):
        offsets.add("a", 120.0 + number, 100.0 + number, 0.001)
    assert offsets.offset("a") == pytest.approx(20.0, abs=0.001)


@given(
    st.floats(-3600, 3600),
    st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 2.0)), min_size=1, max_size=SAMPLES),
)
def test_the_offset_is_right_to_the_way_there_and_half_of_the_shortest_round_trip(
    offset: float, ways: list[tuple[float, float]]
) -> None:
    """Whatever each heartbeat and its answer took."""
    offsets, now = ClockOffsets(), 1_000.0
    for there, back in ways:
        now += 1.0
        offsets.add("a", now + offset, now + there, there + back)
    shortest = min(there + back for there, back in ways)
    fastest = min(there for there, _ in ways)
    found = offsets.offset("a")
    if found == 0.0:
        assert abs(offset) <= fastest + shortest / 2 + max(NOISE_SECONDS, shortest / 2) + 1e-6
    else:
        assert offset - fastest - 1e-6 <= found <= offset + shortest / 2 + 1e-6
