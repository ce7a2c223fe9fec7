import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.packing import pack, unpack


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
    assert unpacked.lengths.sum() == len(unpacked.counts)


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_changed_byte_never_leads_outside_the_scale(place: int, byte: int) -> None:
    data = bytearray(packed())
    data[place % len(data)] = byte
    try:
        unpacked = unpack(bytes(data))
    except ValueError:
        return
    buckets = unpacked.buckets - np.repeat(unpacked.starts, unpacked.lengths)
    assert buckets.min() >= 0
    assert buckets.max() < unpacked.size
    assert unpacked.counts.min() >= 0


@pytest.mark.parametrize("length", [0, 3, 15, 16, 100])
def test_a_cut_message_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="packed histograms"):
        unpack(packed()[:length])


def test_several_histograms_keep_their_keys_figures_and_buckets() -> None:
    none = np.zeros(0, np.int64)
    assert unpack(pack(10, none, none, np.zeros((0, 3)), none, none)).keys.tolist() == []
    figures = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    data = pack(
        5000,
        np.array([7, 9]),
        np.array([2, 3]),
        figures,
        np.array([10, 4999, 0, 255, 256]),
        np.array([1, 254, 255, 256, 10**12]),
    )
    unpacked = unpack(data)
    buckets = unpacked.buckets - np.repeat(unpacked.starts, unpacked.lengths)
    assert unpacked.keys.tolist() == [7, 9]
    assert unpacked.figures.tolist() == figures.tolist()
    assert buckets.tolist() == [10, 4999, 0, 255, 256]
    assert unpacked.counts.tolist() == [1, 254, 255, 256, 10**12]
