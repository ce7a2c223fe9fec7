"""When a campaign is looked at."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.head.ticks import IDLE_TICK, SNAPSHOTS_ARRIVE, WATCH_SECONDS, next_tick


@given(st.floats(0, 1e6))
def test_every_second_of_a_campaign_is_complete_once_its_snapshots_have_come(start: float) -> None:
    moments, at = [], start
    for _ in range(50):
        at, is_full = next_tick(at, at, start, is_watching=False)
        assert is_full
        moments.append(at - start)
    assert moments == pytest.approx([second + SNAPSHOTS_ARRIVE for second in range(50)], abs=1e-6)


@given(st.floats(0, 1e6), st.floats(-5.0, 5.0))
def test_where_factories_are_watched_it_is_looked_more_often_and_no_second_is_left_out(
    start: float, before: float
) -> None:
    now = full_at = start + before
    full, all_of_them = [], [now]
    for _ in range(200):
        now, is_full = next_tick(now, full_at, start, is_watching=True)
        all_of_them.append(now)
        if is_full:
            full_at = now
            full.append(now - start)
    assert all(0 < after - earlier <= 2 * WATCH_SECONDS + 1e-6 for earlier, after in pairwise(all_of_them))
    assert all(after - earlier == pytest.approx(1.0, abs=1e-6) for earlier, after in pairwise(full))
    assert full[0] % 1.0 == pytest.approx(SNAPSHOTS_ARRIVE, abs=1e-6)


def test_before_the_start_it_is_looked_twice_a_second_and_what_is_late_at_once() -> None:
    assert next_tick(10.0, 10.0, None, is_watching=False) == (10.0 + IDLE_TICK, True)
    assert next_tick(13.0, 10.0, None, is_watching=True) == (13.0, True)
