"""Histograms on the wire: the occupied buckets of any number of them as one flat vector.

Layout, little endian: a head of four u32 (histograms, occupied buckets, large numbers, buckets of the
scale); the keys (u32) and numbers of occupied buckets (u32) of all histograms; the sum, min and max (f64) of
each; the large numbers (u64); then, for all histograms in a row, the gaps to the previous occupied bucket
(u8) and the counts (u8), where 255 stands for the next large number. One vector, because merging is then a
handful of numpy calls however many histograms it holds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from qalipsis.metrics.scale import Floats, Ints

_HEAD = struct.Struct("<4I")
_LARGE = 255
_LARGEST = 1 << 40
"""So that no message of some MiB can make a sum of its numbers overflow."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Unpacked vectors; `buckets` and `counts` hold all histograms one after the other, of `lengths`."""

    size: int
    keys: Ints
    lengths: Ints
    figures: Floats
    """Sum, min and max of each histogram."""
    buckets: Ints
    """Still running over all histograms: `starts` is to be taken off those of each histogram."""
    starts: Ints
    counts: Ints


def pack(size: int, keys: Ints, lengths: Ints, figures: Floats, buckets: Ints, counts: Ints) -> bytes:
    """Pack histograms, each of `lengths` occupied buckets, ascending within a histogram."""
    gaps = np.diff(buckets, prepend=0)
    firsts = np.cumsum(lengths) - lengths
    gaps[firsts] = buckets[firsts]
    numbers = np.concatenate((gaps, counts))
    large = numbers[numbers >= _LARGE]
    return b"".join(
        (
            _HEAD.pack(len(keys), len(buckets), len(large), size),
            np.concatenate((keys, lengths)).astype("<u4").tobytes(),
            figures.astype("<f8").tobytes(),
            large.astype("<u8").tobytes(),
            np.minimum(numbers, _LARGE).astype("u1").tobytes(),
        )
    )


def unpack(data: bytes) -> Packed:
    """Read what `pack` wrote; anything else raises ValueError and never reaches an array."""
    if len(data) < _HEAD.size:
        raise ValueError(f"{len(data)} bytes are too few for packed histograms")
    histograms, occupied, larges, size = _HEAD.unpack_from(data)
    expected = _HEAD.size + 32 * histograms + 8 * larges + 2 * occupied
    if len(data) != expected:
        raise ValueError(f"packed histograms have {len(data)} bytes where their head announces {expected}")
    index = np.frombuffer(data, "<u4", 2 * histograms, _HEAD.size).astype(np.int64)
    at = _HEAD.size + 8 * histograms
    figures = np.frombuffer(data, "<f8", 3 * histograms, at).reshape(histograms, 3)
    at += 24 * histograms
    small = np.frombuffer(data, "u1", 2 * occupied, at + 8 * larges)
    numbers = small.astype(np.int64)
    if larges:
        places = (small == _LARGE).nonzero()[0]
        large = np.frombuffer(data, "<u8", larges, at)
        if len(places) != larges or large.max() > _LARGEST:
            raise _contradiction()
        numbers[places] = large
    keys, lengths = index[:histograms], index[histograms:]
    gaps, counts = numbers[:occupied], numbers[occupied:]
    running = gaps.cumsum(out=gaps)
    starts = np.zeros(histograms, np.int64)
    if histograms:
        ends = lengths.cumsum()
        if ends[-1] != occupied or lengths.min() < 1:
            raise _contradiction()
        ends -= 1
        highest = running[ends]
        starts[1:] = highest[:-1]
        if (highest - starts).max() >= size:
            raise ValueError("packed histograms name buckets outside their scale")
    elif occupied:
        raise _contradiction()
    return Packed(size, keys, lengths, figures, running, starts, counts)


def _contradiction() -> ValueError:
    return ValueError("packed histograms contradict their head")
