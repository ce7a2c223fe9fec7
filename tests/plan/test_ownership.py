import pickle
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qalipsis.plan.ownership import Ownership, largest_remainder, ownership_of

weights = (
    st.lists(st.integers(0, 12) | st.sampled_from([50, 100]), min_size=1, max_size=10).filter(any).map(tuple)
)
positions = st.integers(0, 5_000)
totals = st.integers(1, 400) | st.integers(1, 1_000_000)


@st.composite
def percentages(draw: st.DrawFn) -> tuple[int, ...]:
    """Some that sum to 100, each above 0, with zones between them that are not asked for."""
    borders = draw(st.lists(st.integers(1, 99), unique=True, max_size=8))
    found = [last - first for first, last in pairwise(sorted([0, *borders, 100]))]
    for place in draw(st.lists(st.integers(0, len(found)), max_size=2)):
        found.insert(place, 0)
    return tuple(found)


@st.composite
def fleets(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Workers of each zone, and the zones' shares."""
    shares = draw(percentages())
    return tuple(draw(st.integers(1, 7)) for _ in shares), shares


@given(weights, positions, positions)
def test_every_index_belongs_to_exactly_one_worker(dealt: tuple[int, ...], first: int, last: int) -> None:
    ownership = Ownership(dealt)
    everyone = [ownership.indices(worker, first, last) for worker in range(len(dealt))]
    assert sorted(index for own in everyone for index in own) == list(range(first, last))


@given(weights, positions, st.integers(0, 500))
def test_owner_count_and_indices_agree(dealt: tuple[int, ...], first: int, length: int) -> None:
    check_agreement(Ownership(dealt), len(dealt), first, first + length)


@given(fleets(), totals, st.floats(0, 1), st.integers(0, 400))
def test_owner_count_and_indices_agree_in_zones(
    fleet: tuple[tuple[int, ...], tuple[int, ...]], total: int, part: float, length: int
) -> None:
    zones, shares = fleet
    first = int(part * total)
    check_agreement(ownership_of(zones, shares, total), sum(zones), first, min(first + length, total))


def check_agreement(ownership: Ownership, workers: int, first: int, last: int) -> None:
    owners = [ownership.owner(index) for index in range(first, last)]
    for worker in range(workers):
        own = list(ownership.indices(worker, first, last))
        assert own == [index for index, owner in enumerate(owners, first) if owner == worker]
        assert ownership.count(worker, first, last) == len(own)


@given(weights)
def test_every_prefix_is_spread_as_the_whole(dealt: tuple[int, ...]) -> None:
    ownership, total = Ownership(dealt), sum(dealt)
    has = [0] * len(dealt)
    for index in range(total):
        has[ownership.owner(index)] += 1
        for worker, weight in enumerate(dealt):
            exact = (index + 1) * weight / total
            assert -1 < has[worker] - exact < 1
    assert has == list(dealt)


@given(fleets(), totals)
def test_zones_get_their_shares_exactly_and_their_workers_alike(
    fleet: tuple[tuple[int, ...], tuple[int, ...]], total: int
) -> None:
    zones, shares = fleet
    ownership = ownership_of(zones, shares, total)
    counts = iter([ownership.count(worker, 0, total) for worker in range(sum(zones))])
    for workers, expected in zip(zones, largest_remainder(total, shares), strict=True):
        own = [next(counts) for _ in range(workers)]
        assert sum(own) == expected
        assert max(own) - min(own) <= 1


@given(fleets(), st.integers(1, 350))
@example(((1,) * 6, (33, 1, 1, 33, 1, 31)), 47)
def test_every_prefix_is_spread_over_the_zones_as_the_whole(
    fleet: tuple[tuple[int, ...], tuple[int, ...]], total: int
) -> None:
    zones, shares = fleet
    ownership = ownership_of(zones, shares, total)
    zone_of = [zone for zone, workers in enumerate(zones) for _ in range(workers)]
    has = [0] * len(zones)
    for index in range(total):
        has[zone_of[ownership.owner(index)]] += 1
        # Where the last hundred is incomplete, its rounding may ask for more.
        most = 1 if index < total // 100 * 100 else 2
        for zone, share in enumerate(shares):
            assert abs(has[zone] - (index + 1) * share / 100) < most
    assert tuple(has) == largest_remainder(total, shares)


@pytest.mark.parametrize("total", range(1, 101))
def test_a_usual_split_is_never_a_whole_minion_away_from_its_shares(total: int) -> None:
    shares = (50, 30, 20)
    ownership = ownership_of((1, 1, 1), shares, total)
    for index in range(1, total + 1):
        for zone, share in enumerate(shares):
            assert abs(ownership.count(zone, 0, index) - index * share / 100) < 1


@given(fleets(), st.integers(1, 60))
def test_the_busy_ones_are_those_with_a_minion(
    fleet: tuple[tuple[int, ...], tuple[int, ...]], minions: int
) -> None:
    zones, shares = fleet
    ownership = ownership_of(zones, shares, minions)
    busy = ownership.busy(minions)
    with_minions = {ownership.owner(index) for index in range(minions)}
    assert {busy.owner(index) for index in range(100 * sum(zones))} == with_minions
    assert busy.workers == len(with_minions)


@given(totals, percentages())
def test_the_largest_remainder_is_the_closest_to_the_shares(total: int, shares: tuple[int, ...]) -> None:
    parts = largest_remainder(total, shares)
    assert sum(parts) == total
    lost = [total * share - 100 * part for part, share in zip(parts, shares, strict=True)]
    rounded_down, rounded_up = [each for each in lost if each > 0], [each + 100 for each in lost if each < 0]
    assert max(rounded_down, default=0) <= min(rounded_up, default=100) < 101


def test_the_first_gets_what_two_lost_alike() -> None:
    assert largest_remainder(3, (50, 50)) == (2, 1)
    assert largest_remainder(10, (34, 33, 33)) == (4, 3, 3)


def test_without_shares_all_workers_of_all_zones_are_alike() -> None:
    ownership = ownership_of((1, 2), None, 7)
    assert [ownership.owner(index) for index in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_zones_that_are_not_asked_for_own_nothing() -> None:
    ownership = ownership_of((2, 1, 3), (0, 100, 0), 10)
    assert {ownership.owner(index) for index in range(10)} == {2}
    assert list(ownership.indices(0, 0, 10)) == []


def test_equal_workers_take_turns() -> None:
    ownership = Ownership((1, 1, 1))
    assert [ownership.owner(index) for index in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_a_heavier_worker_is_not_dealt_its_share_in_one_go() -> None:
    ownership = Ownership((5, 1, 1))
    assert [ownership.owner(index) for index in range(7)] == [0, 0, 0, 1, 0, 2, 0]


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


def test_a_weight_without_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="for a crew without workers"):
        ownership_of((2, 0), (50, 50), 10)


def test_weights_that_hardly_ever_repeat_are_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="round them"):
        Ownership((123_457, 1))
