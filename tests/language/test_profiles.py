import re
from collections.abc import Callable
from itertools import accumulate, islice, pairwise
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis import profile
from qalipsis.errors import CampaignRefused
from qalipsis.language.durations import Duration
from qalipsis.language.profiles import Profile, Replay

counts = st.integers(1, 2_000)
speeds = st.sampled_from([0.1, 0.5, 0.9, 1.0, 1.5, 2.0, 10.0, 999.0])
lengths = st.integers(1, 100_000).map(lambda milliseconds: f"{milliseconds}ms")
factors = st.floats(0.2, 5)


def ordered(length: str, other: str) -> tuple[str, str]:
    return (length, other) if int(length[:-2]) <= int(other[:-2]) else (other, length)


@st.composite
def some_stages(draw: st.DrawFn) -> Profile:
    shares = draw(st.lists(st.integers(1, 60), min_size=1, max_size=5))
    are_percents = draw(st.booleans())
    made = []
    for share in shares:
        ramp_up, total = ordered(draw(lengths), draw(lengths))
        resolution: Duration = draw(st.sampled_from(["1ms", "500ms", "7s", "300ms"]))
        if are_percents:
            percent = 100 * share / sum(shares)
            made.append(profile.stage(percent, ramp_up=ramp_up, total=total, resolution=resolution))
        else:
            made.append(profile.stage(minions=share, ramp_up=ramp_up, total=total, resolution=resolution))
    return profile.stages(*made, completion=draw(st.sampled_from(["graceful", "hard"])))


def faster(periods: tuple[str, str], accelerator: float, k: int) -> Profile:
    minimum, start = ordered(*periods)
    return profile.faster(start, accelerator, minimum, k)


def more(period: str, groups: tuple[int, int], multiplier: float) -> Profile:
    return profile.more(period, min(groups), multiplier, max(groups))


def author_lines(pattern: list[tuple[int, int]]) -> Profile:
    return profile.define(lambda past_ms, n, speed: pattern[(int(past_ms) + n) % len(pattern)])


ramps = st.one_of(
    st.just(profile.immediate()),
    st.builds(profile.regular, lengths, counts),
    st.builds(faster, st.tuples(lengths, lengths), factors, counts),
    st.builds(more, lengths, st.tuples(counts, counts), factors),
    st.builds(lambda period, frame: profile.timeframe(*ordered(period, frame)), lengths, lengths),
    some_stages(),
    st.builds(
        author_lines, st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5_000)), min_size=1, max_size=9)
    ),
)


@given(ramps, counts, speeds)
def test_every_minion_starts_once_and_no_line_waits_a_negative_time(
    ramp: Profile, minions: int, speed: float
) -> None:
    assert ramp.problems() == []
    lines = list(ramp.lines(minions, speed))
    assert sum(line.count for line in lines) == minions
    assert all(line.count > 0 for line in lines)
    assert all(line.offset >= 0 for line in lines)


@given(ramps, counts, speeds)
def test_offsets_added_up_meet_the_absolute_instants(ramp: Profile, minions: int, speed: float) -> None:
    instants = [at for _, at in ramp.starts(minions, speed)]
    assert instants == sorted(instants)
    added_up = accumulate(line.offset for line in ramp.lines(minions, speed))
    for reached, at in zip(added_up, instants, strict=True):
        assert isclose(reached, at, rel_tol=1e-15, abs_tol=1e-15)


def test_immediate_starts_all_at_once() -> None:
    assert list(profile.immediate().lines(7, 2.0)) == [(7, 0.0)]


def test_regular_starts_the_first_group_at_once_and_the_rest_in_the_last_line() -> None:
    assert list(profile.regular("1s", 4).lines(10, 1.0)) == [(4, 0.0), (4, 1.0), (2, 1.0)]


def test_the_speed_factor_divides_a_regular_period() -> None:
    assert list(profile.regular("1s", 5).lines(10, 4.0)) == [(5, 0.0), (5, 0.25)]


@pytest.mark.parametrize(
    ("period", "lines"), [("10ms", 360_001), ("100ms", 36_001), (0.3, 12_001), ("7ms", 1)]
)
def test_an_hour_of_short_periods_ends_at_the_exact_instant(period: Any, lines: int) -> None:
    ramp = profile.regular(period, 1)
    *_, (_, last) = ramp.starts(lines, 1.0)
    assert last == (3600.0 if lines > 1 else 0.0)


def test_an_hour_of_offsets_drifts_by_less_than_a_picosecond() -> None:
    elapsed = 0.0
    for line in profile.regular("10ms", 1).lines(360_001, 1.0):
        elapsed += line.offset
    assert elapsed == pytest.approx(3600.0, abs=1e-12)


def test_faster_divides_the_period_down_to_its_minimum() -> None:
    lines = list(profile.faster("8s", 2, "1s", 1).lines(7, 1.0))
    assert [line.offset for line in lines] == [0, 8, 4, 2, 1, 1, 1]


def test_the_speed_factor_multiplies_the_accelerator() -> None:
    lines = list(profile.faster("8s", 2, "1s", 1).lines(4, 2.0))
    assert [line.offset for line in lines] == [0, 8, 2, 1]


def test_an_hour_at_the_minimum_ends_at_the_exact_instant() -> None:
    *_, (_, last) = profile.faster("10ms", 2, "10ms", 1).starts(360_001, 1.0)
    assert last == 3600.0


def test_a_speed_factor_that_slows_down_for_ever_stays_a_number() -> None:
    instants = [at for _, at in profile.faster("1s", 1, "1s", 1).starts(2_000, 0.001)]
    assert np.isfinite(instants).all()


def test_more_multiplies_the_group_up_to_its_maximum_and_ends_with_the_rest() -> None:
    lines = list(profile.more("1s", 10, 2, 50).lines(170, 1.0))
    assert [line.count for line in lines] == [10, 20, 40, 50, 50]
    assert [line.offset for line in lines] == [0, 1, 1, 1, 1]
    assert [line.count for line in profile.more("1s", 10, 2, 50).lines(75, 1.0)] == [10, 20, 40, 5]


def test_more_grows_from_one_by_fractions_and_never_falls_below_one() -> None:
    assert [line.count for line in profile.more("1s", 1, 1.5, 9).lines(12, 1.0)] == [1, 1, 2, 3, 5]
    assert [line.count for line in profile.more("1s", 4, 1, 9).lines(9, 0.5)] == [4, 2, 1, 1, 1]


def test_a_product_just_below_a_whole_number_counts_as_whole() -> None:
    assert [line.count for line in profile.more("1s", 100, 1.15, 1_000).lines(1_000, 1.0)][1] == 115


def test_a_timeframe_has_everybody_active_at_its_end() -> None:
    lines = list(profile.timeframe("1s", "4s").lines(10, 1.0))
    assert lines == [(2, 0.0), (3, 1.0), (2, 1.0), (3, 1.0)]
    assert list(profile.timeframe("1s", "4s").lines(10, 2.0))[1] == (3, 0.5)


def test_fewer_minions_than_lines_are_spaced_over_the_timeframe() -> None:
    assert list(profile.timeframe("1s", "9s").lines(3, 1.0)) == [(1, 0.0), (1, 3.0), (1, 3.0)]


def test_a_frame_of_tenths_has_no_line_too_many() -> None:
    assert len(list(profile.timeframe("100ms", "1100ms").lines(1_000, 1.0))) == 11


def test_stages_spread_their_share_over_the_ramp_and_start_after_the_total_of_the_one_before() -> None:
    ramp = profile.stages(
        profile.stage(60, ramp_up="2s", total="10s"),
        profile.stage(40, ramp_up="1s", total="5s"),
    )
    assert list(ramp.starts(100, 1.0)) == [(15, 0.0), (15, 0.5), (15, 1.0), (15, 1.5), (20, 10.0), (20, 10.5)]
    assert list(ramp.starts(100, 2.0))[-2] == (20, 5.0)
    assert ramp.replay(2.0) == Replay(7.5, is_hard=False)
    assert ramp.planned_seconds(100, 2.0) == 7.5
    assert ramp.minions() is None


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=8), speeds)
def test_each_stage_begins_exactly_at_the_sum_of_the_totals_before(totals: list[int], speed: float) -> None:
    made = [profile.stage(minions=50, ramp_up=total / 3, total=total, resolution=0.1) for total in totals]
    ramp = profile.stages(*made)
    at_begin: dict[int, float] = {}
    launched = 0
    for count, at in ramp.starts(50 * len(totals), speed):
        at_begin[launched] = at
        launched += count
    for number, sum_before in enumerate([0, *accumulate(totals[:-1])]):
        assert at_begin[50 * number] == sum_before / speed


def test_a_ramp_of_zero_starts_the_stage_at_once() -> None:
    assert list(profile.stages(profile.stage(100, ramp_up=0, total="1m")).starts(9, 1.0)) == [(9, 0.0)]


def test_shares_are_rounded_by_their_cumulative_floor() -> None:
    ramp = profile.stages(*(profile.stage(percent, ramp_up=0, total=1) for percent in (33.3, 33.3, 33.4)))
    assert [count for count, _ in ramp.starts(1_000, 1.0)] == [333, 333, 334]
    assert [count for count, _ in ramp.starts(10, 1.0)] == [3, 3, 4]


def test_absolute_stages_know_their_minions_and_share_out_any_other_number() -> None:
    ramp = profile.stages(
        profile.stage(minions=80, ramp_up=0, total="1m"),
        profile.stage(minions=20, ramp_up=0, total="1m"),
        completion="hard",
    )
    assert ramp.minions() == 100
    assert [count for count, _ in ramp.starts(100, 1.0)] == [80, 20]
    assert [count for count, _ in ramp.starts(10, 1.0)] == [8, 2]
    assert ramp.replay(1.0) == Replay(120.0, is_hard=True)


def test_arrivals_are_evenly_spaced_whatever_the_minions() -> None:
    ramp = profile.arrival_rate(4, over="2s")
    assert ramp.is_arrivals
    assert [at for _, at in ramp.starts(1, 1.0)] == [0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
    assert list(ramp.lines(1, 1.0)) == list(ramp.lines(1_000, 1.0))


def test_the_speed_factor_makes_arrivals_denser_and_not_more() -> None:
    ramp = profile.arrival_rate(4, over="2s")
    assert [at for _, at in ramp.starts(1, 2.0)] == [at / 2 for _, at in ramp.starts(1, 1.0)]
    assert ramp.planned_seconds(1, 2.0) == 1.0


def test_a_rate_of_tenths_loses_no_arrival() -> None:
    assert profile.arrival_rate(0.29, over=100).total() == 29


def test_a_long_constant_rate_does_not_drift() -> None:
    ramp = profile.arrival_rate(100, over="2h")
    assert ramp.times(np.array([360_000]), 1.0).tolist() == [3600.0]


@given(st.floats(0.5, 500), st.floats(0, 500), st.floats(1, 60), st.sampled_from([0.5, 1.0, 3.0]))
def test_a_ramp_of_arrivals_is_the_inverse_of_the_integral_of_its_rate(
    rate: float, first: float, over: float, speed: float
) -> None:
    ramp = profile.arrival_rate(rate, over=over, ramp_from=first)
    total = ramp.total()
    assert abs(total - (rate + first) / 2 * over) <= 1
    instants = np.array([at for _, at in ramp.starts(1, speed)]) * speed
    assert len(instants) == total
    if total == 0:
        return
    assert instants[0] == 0
    assert (np.diff(instants) > 0).all()
    assert instants[-1] <= over * (1 + 1e-9)
    arrived = first * instants + (rate - first) / over * instants**2 / 2
    assert arrived == pytest.approx(np.arange(total), abs=1e-3)


def test_an_arrival_rate_computes_its_lines_as_they_are_asked_for() -> None:
    year = profile.arrival_rate(1_000_000, over="365d")
    assert [count for count, _ in islice(year.starts(1, 1.0), 10)] == [1] * 10


def test_the_authors_lines_see_the_time_and_who_is_left() -> None:
    seen: list[tuple[float, int, float]] = []

    def lines(past_ms: float, n: int, speed: float) -> tuple[int, float]:
        seen.append((past_ms, n, speed))
        return 4, 500

    assert list(profile.define(lines).lines(10, 2.0)) == [(4, 0.0), (4, 0.5), (2, 0.5)]
    assert seen == [(0, 10, 2.0), (0, 6, 2.0), (500, 2, 2.0)]


def test_an_authors_line_without_minions_is_a_pause() -> None:
    answers = iter([(1, 0), (0, 300), (0, 300), (1, 400)])
    assert list(profile.define(lambda *_: next(answers)).lines(2, 1.0)) == [(1, 0.0), (1, 1.0)]


def test_an_authors_function_that_starts_nobody_for_ever_is_refused() -> None:
    with pytest.raises(CampaignRefused, match=r"started nobody 1000 times in a row, with 3 minions left"):
        list(profile.define(lambda past_ms, n, speed: (0, 100)).lines(3, 1.0))


@pytest.mark.parametrize(
    "answer", [None, 5, (1,), (1.5, 10), ("1", 10), (1, -5), (1, float("nan")), (1, float("inf"))]
)
def test_an_authors_answer_that_is_no_line_is_refused_by_value(answer: Any) -> None:
    with pytest.raises(CampaignRefused, match=r"returned .* return \(count, offset_ms\)"):
        list(profile.define(lambda past_ms, n, speed: answer).lines(3, 1.0))


def test_an_authors_function_that_fails_is_refused_with_its_error() -> None:
    def lines(past_ms: float, n: int, speed: float) -> tuple[int, float]:
        raise KeyError("pace")

    with pytest.raises(CampaignRefused, match="failed after 0 ms with KeyError: 'pace'"):
        list(profile.define(lines).lines(3, 1.0))


def stage_of(**changes: Any) -> Profile:
    values: dict[str, Any] = {"percent": 100, "ramp_up": "1s", "total": "2s", **changes}
    make: Callable[..., Any] = profile.stage
    return profile.stages(make(**values))


MISTAKES: list[tuple[Profile, str]] = [
    (profile.regular("-1s", 1), "regular: period='-1s' should be a duration above 0"),
    (profile.regular("soon", 1), "regular: period: 'soon' is not a duration; write a duration such as"),
    (profile.regular(float("inf"), 1), "regular: period=inf should be a duration above 0"),
    (profile.regular("1s", 0), "regular: k=0 should be a whole number of at least 1"),
    (profile.regular("1s", 1.5), "regular: k=1.5 should be a whole number"),  # type: ignore[arg-type]
    (profile.faster("1s", 0, "1s", 1), "faster: accelerator=0 should be a number above 0"),
    (profile.faster("1s", 2, "2s", 1), "faster: minimum='2s' is longer than the first period start='1s'"),
    (profile.more("1s", 5, 2, 4), "more: start=5 is above maximum=4"),
    (profile.more("1s", 1, -2, 4), "more: multiplier=-2 should be a number above 0"),
    (profile.timeframe("10s", "1s"), "timeframe: period='10s' is longer than frame='1s'"),
    (profile.stages(), "stages: there is no stage; write for example stage(100"),
    (profile.stages([profile.stage(100, 1, 2)]), "without a list around them"),  # type: ignore[arg-type]
    (stage_of(percent=99), "stages: the percentages sum to 99 % instead of 100 %; add 1 to one of them"),
    (stage_of(percent=None), "stage 1: neither a percentage nor minions= is given"),
    (stage_of(minions=5), "stage 1: both 100 percent and minions=5 are given"),
    (stage_of(percent=None, minions=0), "stage 1: minions=0 should be a whole number of at least 1"),
    (stage_of(percent="all"), "stage 1: 'all' should be a percentage above 0 and at most 100"),
    (stage_of(total=None), 'stage 1: total is missing; write for example total="2m"'),
    (stage_of(ramp_up="3s"), "stage 1: ramp_up='3s' is longer than total='2s'"),
    (stage_of(resolution=0), "stage 1: resolution=0 should be a duration above 0"),
    (profile.stages(profile.stage(100, 1, 2), completion="soft"), 'should be "graceful" or "hard"'),
    (profile.arrival_rate(0, "1m"), "arrival_rate: rate=0 should be a number above 0"),
    (profile.arrival_rate(1, "1m", ramp_from=-1), "arrival_rate: ramp_from=-1 should be a number"),
    (profile.arrival_rate(0.1, "1s"), "gives no arrival at all"),
    (profile.define(7), "define: 7 is not a function"),  # type: ignore[arg-type]
    (profile.define(lambda n: (1, 1)), "define: the function should take three arguments"),  # type: ignore[arg-type, misc]
]  # fmt: skip


@pytest.mark.parametrize(("mistaken", "message"), MISTAKES)
def test_a_mistake_is_named_with_what_to_write_instead(mistaken: Profile, message: str) -> None:
    (problem,) = mistaken.problems()
    assert message in problem


def test_all_mistakes_are_named_together() -> None:
    found = profile.stages(
        profile.stage(60, ramp_up="-8s", total="12s"),
        profile.stage(minions=5, ramp_up="1s", total="never"),
    ).problems()
    assert len(found) == 3
    assert "some stages give a percentage and others minions" in found[2]


@given(ramps)
def test_every_profile_describes_itself(ramp: Profile) -> None:
    assert ramp.describe()


def test_descriptions_are_words() -> None:
    assert profile.regular("100ms", 10).describe() == "regular: 10 every 100 ms"
    assert (
        profile.arrival_rate(50, over="1m", ramp_from=5).describe()
        == "arrival rate: from 5/s to 50/s over 60 s"
    )
    assert (
        profile.stages(profile.stage(100, ramp_up="30s", total="2m")).describe()
        == "stages: 100 % over 30 s of 2 min; graceful completion"
    )


def test_the_length_is_foreseen_where_the_profile_decides_it() -> None:
    assert profile.immediate().planned_seconds(10, 1.0) is None
    assert profile.regular("1s", 5).planned_seconds(20, 1.0) == 3.0


def test_only_stages_are_replayed() -> None:
    assert profile.regular("1s", 5).replay(1.0) is None
    assert profile.arrival_rate(5, over="1s").replay(1.0) is None


def test_distances_between_lines_stay_regular_over_an_hour() -> None:
    instants = [at for _, at in profile.regular("10ms", 1).starts(360_000, 1.0)]
    assert max(abs(b - a - 0.01) for a, b in pairwise(instants)) < 1e-12


PAGE = Path(__file__).parents[2] / "docs" / "profiles.md"


@pytest.mark.parametrize(
    "example", re.findall(r"(?:\| `|^)(profile\..+\))(?:` \|)?$", PAGE.read_text(), re.MULTILINE)
)
def test_every_example_of_the_documentation_starts_a_hundred_minions(example: str) -> None:
    ramp: Profile = eval(example, {"profile": profile})
    assert ramp.problems() == []
    assert sum(count for count, _ in ramp.starts(ramp.minions() or 100, 1.0)) >= 100
