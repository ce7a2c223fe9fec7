"""Histograms on the wire: the occupied buckets of any number of them as one flat vector.

Layout, little endian: a head of five u32 (histograms, occupied buckets, long gaps, large counts, buckets of
the scale); the keys (u32) and numbers of occupied buckets (u32) of all histograms, then the sum, min and max
(f64) of each; the long gaps (u16) and the large counts (u64); then, for all histograms in a row, the gaps to
the previous occupied bucket (u8) and the counts (u8), where 255 refers to the next long gap or large count.
One vector, because merging is then a handful of numpy calls however many histograms it holds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from qalipsis.metrics.scale import Floats, Ints

_HEAD = struct.Struct("<5I")
_ESCAPE = 255


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
    long_gaps = gaps[gaps >= _ESCAPE]
    large_counts = counts[counts >= _ESCAPE]
    return b"".join(
        (
            _HEAD.pack(len(keys), len(buckets), len(long_gaps), len(large_counts), size),
            keys.astype("<u4").tobytes(),
            lengths.astype("<u4").tobytes(),
            figures.astype("<f8").tobytes(),
            long_gaps.astype("<u2").tobytes(),
            large_counts.astype("<u8").tobytes(),
            np.minimum(gaps, _ESCAPE).astype("u1").tobytes(),
            np.minimum(counts, _ESCAPE).astype("u1").tobytes(),
        )
    )


def unpack(data: bytes) -> Packed:
    """Read what `pack` wrote; anything else raises ValueError and never reaches an array."""
    if len(data) < _HEAD.size:
        raise ValueError(f"{len(data)} bytes are too few for packed histograms")
    histograms, occupied, gap_escapes, count_escapes, size = _HEAD.unpack_from(data)
    expected = _HEAD.size + 32 * histograms + 2 * gap_escapes + 8 * count_escapes + 2 * occupied
    if len(data) != expected:
        raise ValueError(f"packed histograms have {len(data)} bytes where their head announces {expected}")
    at = _HEAD.size
    keys = np.frombuffer(data, "<u4", histograms, at).astype(np.int64)
    at += 4 * histograms
    lengths = np.frombuffer(data, "<u4", histograms, at).astype(np.int64)
    at += 4 * histograms
    figures = np.frombuffer(data, "<f8", 3 * histograms, at).reshape(histograms, 3)
    at += 24 * histograms
    long_gaps = np.frombuffer(data, "<u2", gap_escapes, at)
    at += 2 * gap_escapes
    large_counts = np.frombuffer(data, "<u8", count_escapes, at)
    at += 8 * count_escapes
    short_gaps = np.frombuffer(data, "u1", occupied, at)
    small_counts = np.frombuffer(data, "u1", occupied, at + occupied)
    gaps = short_gaps.astype(np.int64)
    counts = small_counts.astype(np.int64)
    gaps_at = np.flatnonzero(short_gaps == _ESCAPE)
    counts_at = np.flatnonzero(small_counts == _ESCAPE)
    if len(gaps_at) != gap_escapes or len(counts_at) != count_escapes:
        raise ValueError("packed histograms contradict their head")
    gaps[gaps_at] = long_gaps
    counts[counts_at] = large_counts
    running = np.cumsum(gaps, out=gaps)
    ends = np.cumsum(lengths)
    starts = np.zeros(histograms, np.int64)
    if histograms:
        if ends[-1] != occupied or lengths.min() < 1:
            raise ValueError("packed histograms contradict their head")
        starts[1:] = running[ends[:-1] - 1]
        if (running[ends - 1] - starts).max() >= size:
            raise ValueError("packed histograms name buckets outside their scale")
    elif occupied:
        raise ValueError("packed histograms contradict their head")
    return Packed(size, keys, lengths, figures, running, starts, counts)
