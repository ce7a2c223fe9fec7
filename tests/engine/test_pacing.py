from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis import profile
from qalipsis.engine.pacing import SEARCH, indices_of, starts, taken_starts
from qalipsis.language.profiles import Profile
from qalipsis.plan.ownership import Ownership
from qalipsis.plan.portion import Portion, Takeover

weights = st.lists(st.integers(0, 7), min_size=1, max_size=6).filter(any).map(tuple)
ramps = st.one_of(
    st.just(profile.immediate()),
    st.builds(profile.regular, st.floats(0.001, 10), st.integers(1, 50)),
    st.builds(profile.faster, st.just("10s"), st.floats(1, 3), st.just("10ms"), st.integers(1, 50)),
    st.builds(profile.more, st.just("1s"), st.integers(1, 9), st.floats(1, 3), st.integers(9, 99)),
    st.builds(profile.timeframe, st.floats(0.1, 1), st.floats(1, 10)),
    st.builds(
        lambda percent: profile.stages(
            profile.stage(percent, ramp_up="7s", total="9s"),
            profile.stage(100 - percent, ramp_up=0, total="2s"),
        ),
        st.integers(1, 99),
    ),
    st.builds(profile.arrival_rate, st.floats(1, 200), st.floats(1, 20)),
    st.builds(profile.arrival_rate, st.floats(1, 200), st.floats(1, 20), st.floats(1, 200)),
    st.just(profile.define(lambda past_ms, n, speed: (1 + n % 7, past_ms % 11))),
)


def due_times(ramp: Profile, minions: int, speed: float) -> dict[int, float]:
    """What the profile itself says of every index."""
    due: dict[int, float] = {}
    for count, at in ramp.starts(minions, speed):
        due.update(dict.fromkeys(range(len(due), len(due) + count), at))
    return due


@given(ramps, st.integers(1, 800), st.sampled_from([0.5, 1.0, 3.0]), weights)
def test_the_workers_together_start_everyone_once_at_the_profiles_instants(
    ramp: Profile, minions: int, speed: float, dealt: tuple[int, ...]
) -> None:
    ownership = Ownership(dealt)
    started: dict[int, float] = {}
    for worker in range(len(dealt)):
        for at, indices in starts(ramp, minions, speed, ownership, worker):
            for index in indices:
                assert index not in started
                assert ownership.owner(index) == worker
                started[index] = at
    assert started == due_times(ramp, minions, speed)


@given(ramps, st.integers(1, 800), weights)
def test_a_workers_starts_are_in_order_and_never_empty(
    ramp: Profile, minions: int, dealt: tuple[int, ...]
) -> None:
    ownership = Ownership(dealt)
    for worker in range(len(dealt)):
        before = 0.0
        for at, indices in starts(ramp, minions, 1.0, ownership, worker):
            assert at >= before
            assert list(indices)
            before = at


@given(ramps, st.integers(1, 800), weights, st.data())
def test_what_is_taken_over_starts_at_the_profiles_instants(
    ramp: Profile, minions: int, dealt: tuple[int, ...], data: st.DataObject
) -> None:
    ownership = Ownership(dealt)
    owners = [worker for worker, weight in enumerate(dealt) if weight]
    lost = data.draw(st.lists(st.sampled_from(owners), unique=True, max_size=3))
    skipped = {worker: data.draw(st.integers(0, 30)) for worker in lost}
    takers = data.draw(st.integers(1, 3))
    due = due_times(ramp, minions, 1.0)
    expected = {}
    for worker in lost:
        own = list(ownership.indices(worker, 0, len(due)))[skipped[worker] :]
        expected.update({index: due[index] for index in own})
    started: dict[int, float] = {}
    for taker in range(takers):
        parts = tuple(Portion(worker).skip(skipped[worker]).deal(taker, takers) for worker in lost)
        taken = taken_starts(ramp, minions, 1.0, ownership, Takeover(minions=parts, arrivals=parts))
        before, own = 0.0, []
        for at, indices in taken:
            assert at >= before
            before = at
            for index in indices:
                own.append(index)
                assert index not in started
                started[index] = at
        assert sorted(own) == sorted(indices_of(ownership, parts, len(due)))
    assert started == expected


def test_a_long_search_lets_others_have_their_turn() -> None:
    taken = taken_starts(
        profile.regular("1ms", 1), 100_000, 1.0, Ownership((1, 1)), Takeover(minions=(Portion(1, 20_000),))
    )
    empty = [at for at, indices in islice(taken, 40_001 // SEARCH) if not indices]
    assert len(empty) == 40_001 // SEARCH
    assert [(at, list(indices)) for at, indices in islice(taken, 1)] == [(40.001, [40_001])]


def test_lines_without_an_own_minion_are_left_out() -> None:
    of_second = starts(profile.regular("1s", 1), 6, 1.0, Ownership((2, 1)), 1)
    assert [(at, list(indices)) for at, indices in of_second] == [(1.0, [1]), (4.0, [4])]


def test_a_worker_without_weight_starts_nobody() -> None:
    for ramp in (profile.immediate(), profile.regular("1s", 1), profile.arrival_rate(10, over="1s")):
        assert list(starts(ramp, 100, 1.0, Ownership((1, 0)), 1)) == []


@pytest.mark.parametrize("worker", [0, 1, 2])
def test_each_arrival_keeps_its_own_exact_instant(worker: int) -> None:
    # More arrivals than are computed at once, dense enough that several share a millisecond.
    ramp = profile.arrival_rate(80_000, over="1s")
    for at, (index,) in starts(ramp, 10, 1.0, Ownership((1, 3, 1)), worker):
        assert at == index / 80_000


def test_a_year_of_arrivals_is_computed_as_it_comes() -> None:
    year = starts(profile.arrival_rate(80_000, over="365d"), 10, 1.0, Ownership((1, 1)), 1)
    assert [index for _, (index,) in islice(year, 3)] == [1, 3, 5]
