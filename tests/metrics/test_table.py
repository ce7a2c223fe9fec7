import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.packing import unpack
from qalipsis.metrics.table import HistogramTable

values = st.lists(st.tuples(st.integers(0, 60), st.floats(1e-6, 3600.0)), max_size=80)


def table_of(recorded: list[tuple[int, float]]) -> HistogramTable:
    table = HistogramTable()
    for key, seconds in recorded:
        table.add(key, seconds)
    return table


def figures(histogram: Histogram) -> tuple[float, ...]:
    return (histogram.count, histogram.min, histogram.max, *histogram.percentiles(10, 50, 90, 99))


def assert_same(one: HistogramTable, other: HistogramTable) -> None:
    for key in range(61):
        assert figures(one.histogram(key)) == figures(other.histogram(key))


@given(values)
def test_a_key_holds_what_was_recorded_under_it(recorded: list[tuple[int, float]]) -> None:
    table = table_of(recorded)
    for key in range(61):
        alone = Histogram()
        alone.add_many(np.array([seconds for at, seconds in recorded if at == key]))
        assert figures(table.histogram(key)) == figures(alone)


@given(values)
def test_groups_are_the_same_as_single_values(recorded: list[tuple[int, float]]) -> None:
    grouped = HistogramTable()
    if recorded:
        ordered = sorted(recorded, key=lambda it: it[0])
        keys = np.array([key for key, _ in ordered])
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        grouped.add_groups(keys[starts], starts, np.array([seconds for _, seconds in ordered]))
    assert_same(grouped, table_of(recorded))


@given(st.lists(values, max_size=4))
def test_packed_tables_merge_into_the_whole(parts: list[list[tuple[int, float]]]) -> None:
    merged = HistogramTable()
    for part in parts:
        packed = unpack(table_of(part).take())
        merged.add_packed(packed, packed.keys)
    assert_same(merged, table_of([it for part in parts for it in part]))


@given(st.lists(values, max_size=4))
def test_tables_merge_into_the_whole(parts: list[list[tuple[int, float]]]) -> None:
    merged = HistogramTable()
    for part in parts:
        merged.merge(table_of(part))
    assert_same(merged, table_of([it for part in parts for it in part]))


def test_taking_leaves_the_table_empty_and_usable() -> None:
    table = table_of([(3, 0.1), (50, 0.2)])
    assert unpack(table.take()).keys.tolist() == [3, 50]
    assert unpack(table.take()).keys.tolist() == []
    table.add(3, 0.5)
    assert (table.histogram(3).min, table.histogram(3).max) == (0.5, 0.5)


def test_several_keys_are_read_as_one_histogram() -> None:
    table = table_of([(0, 0.1), (1, 0.2), (2, 0.3)])
    assert table.histogram(0, 2, 40).count == 2


def test_a_thousand_merges_of_full_bytes_lose_nothing() -> None:
    part, late = HistogramTable(), HistogramTable()
    for _ in range(255):
        part.add(1, 0.02)
    late.add_groups(np.array([1]), np.array([0]), np.full(70_000, 0.02))
    few, many = unpack(part.take()), unpack(late.take())
    merged = HistogramTable()
    for _ in range(1000):
        merged.add_packed(few, few.keys)
    merged.add_packed(many, many.keys)
    merged.add(1, 0.02)
    assert merged.histogram(1).count == 255 * 1000 + 70_000 + 1


def test_a_table_that_grows_while_it_merges_keeps_what_it_has() -> None:
    merged = HistogramTable()
    for key in range(40):
        packed = unpack(table_of([(key, 0.1), (key, 0.2)]).take())
        for _ in range(3):
            merged.add_packed(packed, packed.keys)
    assert [merged.histogram(key).count for key in range(40)] == [6] * 40
