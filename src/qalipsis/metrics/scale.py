"""Which bucket a value falls into: log-linear, 128 buckets per power of two.

A bucket is the top of the value's own float64 bits: sign aside, 11 bits of exponent and 7 of fraction. It is
therefore at most 1/128 of its values wide, and its middle at most 1/256 (0.39 %) away from any of them.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SHIFT: Final = 45
"""Of the 52 bits of fraction 7 stay."""

_MAGNITUDE: Final = (1 << 63) - 1
"""Everything but the sign."""

_PACK = struct.Struct("<d").pack
_UNPACK = struct.Struct("<q").unpack


def _top_bits(value: float) -> int:
    bits: int = _UNPACK(_PACK(value))[0]
    return bits >> SHIFT


class Scale:
    """The buckets between two magnitudes; whatever lies outside falls into the nearest one.

    A signed scale mirrors the buckets for negative values around one bucket for zero, which also takes
    everything nearer to zero than `lowest`.
    """

    __slots__ = ("_first", "_half", "middle_of", "signed", "size", "upper_of")

    def __init__(self, lowest: float, highest: float, *, signed: bool) -> None:
        self._first = _top_bits(lowest)
        magnitudes = _top_bits(highest) - self._first + 1
        tops: Ints = np.arange(self._first, self._first + magnitudes + 1, dtype=np.int64)
        edges: Floats = np.left_shift(tops, SHIFT).view(np.float64)
        lower, upper = edges[:-1], edges[1:]
        self.signed = signed
        self._half = magnitudes if signed else 0
        if signed:
            lower, upper = (
                np.concatenate((-upper[::-1], [-edges[0]], lower)),
                np.concatenate((-lower[::-1], [edges[0]], upper)),
            )
        self.size = len(lower)
        self.upper_of = upper
        self.middle_of: Floats = (lower + upper) / 2

    def bucket(self, value: float) -> int:
        """The bucket of one value."""
        bits: int = _UNPACK(_PACK(value))[0]
        if not self.signed:
            bucket = (bits >> SHIFT) - self._first
            return 0 if bucket < 0 else bucket if bucket < self.size else self.size - 1
        magnitude = ((bits & _MAGNITUDE) >> SHIFT) - self._first + 1
        if magnitude <= 0:
            return self._half
        if magnitude > self._half:
            magnitude = self._half
        return self._half + magnitude if value > 0 else self._half - magnitude

    def buckets(self, values: Floats) -> Ints:
        """The buckets of many values."""
        if not self.signed:
            buckets: Ints = np.right_shift(values.view(np.int64), SHIFT)
            buckets -= self._first
            return buckets.clip(0, self.size - 1, out=buckets)
        magnitudes: Ints = np.right_shift(np.abs(values).view(np.int64), SHIFT)
        magnitudes -= self._first - 1
        magnitudes.clip(0, self._half, out=magnitudes)
        np.negative(magnitudes, where=values <= 0, out=magnitudes)
        magnitudes += self._half
        return magnitudes


DURATIONS: Final = Scale(1e-6, 3600.0, signed=False)
"""Seconds, 1 µs to 1 h: about 4,100 buckets, 32 kB."""

VALUES: Final = Scale(1e-9, 1e12, signed=True)
"""What authors record in timers and summaries, of either sign: about 18,000 buckets, 140 kB."""


def scale_of(size: int) -> Scale:
    """The scale with so many buckets; a size that no scale has is refused."""
    for scale in (DURATIONS, VALUES):
        if scale.size == size:
            return scale
    raise ValueError(f"no scale has {size} buckets; the sender runs another version")
