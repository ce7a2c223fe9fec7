import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plan.ownership import Ownership

weights = (
    st.lists(st.integers(0, 12) | st.sampled_from([50, 100]), min_size=1, max_size=10).filter(any).map(tuple)
)
positions = st.integers(0, 5_000)


@given(weights, positions, positions)
def test_every_index_belongs_to_exactly_one_worker(dealt: tuple[int, ...], first: int, last: int) -> None:
    ownership = Ownership(dealt)
    everyone = [ownership.indices(worker, first, last) for worker in range(len(dealt))]
    assert sorted(index for own in everyone for index in own) == list(range(first, last))


@given(weights, positions, st.integers(0, 500))
def test_owner_count_and_indices_agree(dealt: tuple[int, ...], first: int, length: int) -> None:
    ownership = Ownership(dealt)
    last = first + length
    for worker in range(len(dealt)):
        own = list(ownership.indices(worker, first, last))
        assert own == [index for index in range(first, last) if ownership.owner(index) == worker]
        assert ownership.count(worker, first, last) == len(own)


@given(weights)
def test_every_prefix_is_spread_as_the_whole(dealt: tuple[int, ...]) -> None:
    ownership, total = Ownership(dealt), sum(dealt)
    has = [0] * len(dealt)
    for index in range(total):
        has[ownership.owner(index)] += 1
        for worker, weight in enumerate(dealt):
            exact = (index + 1) * weight / total
            assert -2 < has[worker] - exact < 1
    assert has == list(dealt)


def test_equal_workers_take_turns() -> None:
    ownership = Ownership((1, 1, 1))
    assert [ownership.owner(index) for index in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_a_heavier_worker_is_not_dealt_its_share_in_one_go() -> None:
    ownership = Ownership((5, 1, 1))
    assert [ownership.owner(index) for index in range(7)] == [0, 0, 1, 0, 2, 0, 0]


def test_a_worker_without_weight_owns_nothing() -> None:
    ownership = Ownership((1, 0))
    assert ownership.count(1, 0, 100) == 0
    assert list(ownership.indices(1, 0, 100)) == []


def test_weights_with_a_common_divisor_deal_like_the_reduced_ones() -> None:
    large, small = Ownership((300_000, 100_000)), Ownership((3, 1))
    assert [large.owner(index) for index in range(50)] == [small.owner(index) for index in range(50)]


def test_counting_a_range_far_away_is_exact() -> None:
    assert Ownership((2, 1)).count(0, 3 * 10**15, 3 * 10**15 + 30) == 20


def test_a_copy_in_another_process_deals_the_same() -> None:
    ownership = Ownership((3, 5, 2))
    copy = pickle.loads(pickle.dumps(ownership))  # noqa: S301 - written one call ago
    assert [copy.owner(index) for index in range(40)] == [ownership.owner(index) for index in range(40)]


@pytest.mark.parametrize("dealt", [(), (0,), (0, 0), (1, -1)])
def test_weights_nobody_can_be_dealt_by_are_refused(dealt: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="should be 0 or more, and one at least above 0"):
        Ownership(dealt)


def test_weights_that_hardly_ever_repeat_are_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="round them"):
        Ownership((123_457, 1))
