import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.packing import BLOCK, pack, unpack, whole_blocks
from qalipsis.metrics.scale import DURATIONS


def packed() -> bytes:
    histogram = Histogram()
    histogram.add_many(np.random.default_rng(2).lognormal(-4, 1, 500))
    histogram.add_many(np.full(1000, 7.0))
    return histogram.encode()


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    try:
        unpacked = unpack(data)
    except ValueError:
        return
    assert len(unpacked.counts) == len(unpacked.numbers) == len(unpacked.histograms)


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_changed_byte_never_leads_outside_the_scale(place: int, byte: int) -> None:
    data = bytearray(packed())
    data[place % len(data)] = byte
    try:
        unpacked = unpack(bytes(data))
    except ValueError:
        return
    if unpacked.size != DURATIONS.size:
        return  # whoever adds it up refuses it
    table = np.zeros(whole_blocks(unpacked.size), np.int64)
    unpacked.add_to(table, np.zeros(1, np.int64))
    assert not table[unpacked.size :].any()
    assert table.min() >= 0


@pytest.mark.parametrize("length", [0, 3, 15, 16, 100])
def test_a_cut_message_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="packed histograms"):
        unpack(packed()[:length])


def test_several_histograms_keep_their_keys_figures_and_buckets() -> None:
    none = np.zeros(0, np.int64)
    assert unpack(pack(10, none, np.zeros((0, 3)), none, none)).keys.tolist() == []
    size = 5000
    table = np.zeros((3, whole_blocks(size)), np.int64)
    table[0, [10, 4999]] = 1, 254
    table[2, [0, 255, 256]] = 255, 256, 10**12
    figures = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [4.0, 5.0, 6.0]])
    occupied = np.flatnonzero(table.reshape(-1, BLOCK).any(axis=1))
    unpacked = unpack(pack(size, np.array([7, 8, 9]), figures, table, occupied))
    again = np.zeros_like(table)
    unpacked.add_to(again, np.array([0, 2]))
    assert unpacked.keys.tolist() == [7, 9]
    assert unpacked.figures.tolist() == figures[[0, 2]].tolist()
    assert np.array_equal(again, table)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, DURATIONS.size - 1), st.integers(1, 1 << 39)), max_size=40
    )
)
def test_whatever_is_packed_is_unpacked(occupied: list[tuple[int, int, int]]) -> None:
    table = np.zeros((4, whole_blocks(DURATIONS.size)), np.int64)
    for row, bucket, count in occupied:
        table[row, bucket] = count
    blocks = np.flatnonzero(table.reshape(-1, BLOCK).any(axis=1))
    unpacked = unpack(pack(DURATIONS.size, np.arange(4), np.zeros((4, 3)), table, blocks))
    again = np.zeros_like(table)
    unpacked.add_to(again, unpacked.keys)
    assert np.array_equal(again, table)


def test_a_lone_value_is_small_and_a_dense_one_smaller() -> None:
    assert len(packed_of([0.02])) - EMPTY == 4 + 28 + 4 + 8
    dense = Histogram()
    dense.add_many(np.random.default_rng(2).lognormal(-4, 0.5, 1000))
    assert len(dense.encode()) - EMPTY < 500


def test_what_contradicts_itself_is_refused() -> None:
    data = bytearray(packed_of([0.02, 3.0]))
    first, second = 16 + 4 + 28, 16 + 4 + 28 + 4
    with pytest.raises(ValueError, match="contradict"):
        unpack(bytes(data[:first] + 2 * data[first:second] + data[second + 4 :]))
    beyond = struct.pack("<I", 64)
    with pytest.raises(ValueError, match="outside their scale"):
        unpack(bytes(data[:first] + beyond + data[second:]))
    other = struct.pack("<I", 5 << 12)
    with pytest.raises(ValueError, match="contradict"):
        unpack(bytes(data[:first] + other + data[second:]))


def packed_of(values: list[float]) -> bytes:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram.encode()


EMPTY = 16
"""Bytes without any histogram."""
