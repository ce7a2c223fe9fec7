from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plan.ownership import Ownership, ownership_of
from qalipsis.plan.portion import Portion, skip_first

portions = st.builds(Portion, st.integers(0, 3), st.integers(0, 20), st.integers(1, 9))


@given(portions, st.integers(0, 60), st.integers(0, 60))
def test_a_portion_has_its_ordinals_between_any_two(portion: Portion, begin: int, length: int) -> None:
    end = begin + length
    assert list(portion.ordinals(begin, end)) == [n for n in range(begin, end) if portion.has(n)]


@given(portions, st.integers(0, 200), st.integers(0, 9), st.integers(1, 5))
def test_what_is_skipped_and_dealt_is_a_portion_again(
    portion: Portion, dealt: int, skipped: int, places: int
) -> None:
    left = list(portion.ordinals(0, dealt))[skipped:]
    parts = [portion.skip(skipped).deal(place, places) for place in range(places)]
    for place, part in enumerate(parts):
        assert list(part.ordinals(0, dealt)) == left[place::places]
        assert part.count(dealt) == len(left[place::places])


@given(
    st.lists(portions, max_size=5), st.integers(0, 80), st.lists(st.integers(0, 40), min_size=4, max_size=4)
)
def test_skipping_takes_what_comes_first_in_all_portions_together(
    held: list[Portion], count: int, dealt: list[int]
) -> None:
    def members(parts: list[Portion]) -> list[tuple[int, int]]:
        return sorted((n, part.worker) for part in parts for n in part.ordinals(0, dealt[part.worker]))

    left = skip_first(held, count, dealt.__getitem__)
    assert members(list(left)) == members(held)[count:]
    assert [(part.worker, part.stride) for part in left] == [(part.worker, part.stride) for part in held]


def test_what_has_no_end_is_skipped_as_well() -> None:
    assert skip_first([Portion(0), Portion(1)], 1_000_000_001) == (
        Portion(0, 500_000_001),
        Portion(1, 500_000_000),
    )


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(1, 300),
    st.data(),
)
def test_the_nth_index_of_a_worker_is_the_nth_that_it_owns(
    zones: list[int], total: int, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, 100), min_size=len(zones) - 1, max_size=len(zones) - 1)))
    shares = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    of_shares = ownership_of(zones, data.draw(st.sampled_from([None, shares])), total)
    for ownership in (of_shares, of_shares.busy(total), Ownership([1] * sum(zones))):
        for worker in range(sum(zones)):
            own = list(ownership.indices(worker, 0, total))
            assert [ownership.nth(worker, ordinal) for ordinal in range(len(own))] == own


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 200), st.data())
def test_in_a_zone_ordinals_are_in_the_order_of_the_ramp(
    zones: list[int], total: int, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, 100), min_size=len(zones) - 1, max_size=len(zones) - 1)))
    shares = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    ownership, first = ownership_of(zones, shares, total), 0
    for workers in zones:
        dealt = {worker: ownership.count(worker, 0, total) for worker in range(first, first + workers)}
        first += workers
        everyone = sorted((ordinal, worker) for worker, count in dealt.items() for ordinal in range(count))
        indices = [ownership.nth(worker, ordinal) for ordinal, worker in everyone]
        assert indices == sorted(indices)
