"""A distribution in fixed memory: any percentile within 0.4 %, exact count, min, max, and an exact merge."""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np

from qalipsis.metrics.packing import BLOCK, Packed, pack, unpack, whole_blocks
from qalipsis.metrics.scale import DURATIONS, Floats, Ints, Scale, scale_of

DISTRIBUTION_POINTS = 200


class LatencyFigures(TypedDict):
    """The figures of a latency report, in milliseconds; `reports.model.Latency(**figures)` takes them."""

    count: int
    mean_ms: float
    min_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class Histogram:
    """Counts of values per bucket of a scale, by default of seconds between 1 µs and 1 h.

    Values outside the scale count in its outermost bucket; `min`, `max`, `sum` and `mean` stay true even so.
    All figures of an empty histogram are 0.
    """

    __slots__ = ("_cells", "_counts", "_max", "_min", "_scale", "_sum")

    def __init__(self, scale: Scale = DURATIONS) -> None:
        self._scale = scale
        self._reset()

    def _reset(self) -> None:
        self._counts: Ints = np.zeros(whole_blocks(self._scale.size), np.int64)
        # A memoryview takes one increment in half the time a numpy array does.
        self._cells = self._counts.data
        self._sum = 0.0
        self._min = math.inf
        self._max = -math.inf

    @classmethod
    def of(cls, scale: Scale, counts: Ints, figures: Floats) -> Histogram:
        """A histogram that owns `counts`; figures are sum, min and max."""
        histogram = cls.__new__(cls)
        histogram._scale = scale
        histogram._counts = counts
        histogram._cells = counts.data
        histogram._sum, histogram._min, histogram._max = (float(figure) for figure in figures)
        return histogram

    @property
    def count(self) -> int:
        return int(self._counts.sum())

    @property
    def sum(self) -> float:
        return self._sum

    @property
    def min(self) -> float:
        return self._min if self._min <= self._max else 0.0

    @property
    def max(self) -> float:
        return self._max if self._min <= self._max else 0.0

    @property
    def mean(self) -> float:
        count = self.count
        return self._sum / count if count else 0.0

    def add(self, value: float) -> None:
        self._cells[self._scale.bucket(value)] += 1
        self._sum += value
        if value < self._min:
            self._min = value
        if value > self._max:
            self._max = value

    def add_many(self, values: Floats) -> None:
        if not len(values):
            return
        values = np.ascontiguousarray(values, np.float64)
        self._counts += np.bincount(self._scale.buckets(values), minlength=len(self._counts))
        self._widen(float(values.sum()), float(values.min()), float(values.max()))

    def merge(self, other: Histogram) -> None:
        """Add another histogram's values: as if all had been recorded here."""
        if other._scale is not self._scale:
            raise ValueError("histograms of different scales cannot be merged")
        self._counts += other._counts
        self._widen(other._sum, other._min, other._max)

    def percentile(self, rank: float) -> float:
        """The smallest value that at least `rank` per cent of the values do not exceed."""
        return self.percentiles(rank)[0]

    def percentiles(self, *ranks: float) -> tuple[float, ...]:
        """Several percentiles at the price of one."""
        running = np.cumsum(self._counts)
        count = int(running[-1])
        return tuple(self._at(running, count, rank) for rank in ranks)

    def latency(self) -> LatencyFigures:
        """The figures a report shows, for a histogram of seconds."""
        p50, p90, p95, p99, p999 = (1e3 * value for value in self.percentiles(50, 90, 95, 99, 99.9))
        return LatencyFigures(
            count=self.count,
            mean_ms=1e3 * self.mean,
            min_ms=1e3 * self.min,
            p50_ms=p50,
            p90_ms=p90,
            p95_ms=p95,
            p99_ms=p99,
            p999_ms=p999,
            max_ms=1e3 * self.max,
        )

    def distribution(self) -> tuple[tuple[float, int], ...]:
        """(upper bound in ms, count) of at most 200 neighbouring classes, smallest to largest value."""
        occupied = np.flatnonzero(self._counts)
        if not len(occupied):
            return ()
        first, last = int(occupied[0]), int(occupied[-1])
        width = -(-(last - first + 1) // DISTRIBUTION_POINTS)
        starts = np.arange(first, last + 1, width)
        counts = np.add.reduceat(self._counts[: last + 1], starts)
        uppers = 1e3 * self._scale.upper_of[np.minimum(starts + width - 1, self._scale.size - 1)]
        # Values beyond the scale must not lie beyond the last bound.
        uppers[-1] = max(float(uppers[-1]), 1e3 * self._max)
        return tuple(zip(uppers.tolist(), counts.tolist(), strict=True))

    def encode(self) -> bytes:
        """The wire form: some bytes per occupied bucket."""
        return pack(
            self._scale.size,
            np.zeros(1, np.int64),
            np.array([[self._sum, self._min, self._max]]),
            self._counts,
            np.flatnonzero(self._counts.reshape(-1, BLOCK).any(axis=1)),
        )

    @classmethod
    def decode(cls, data: bytes) -> Histogram:
        """Read what `encode` wrote; anything else raises ValueError."""
        packed = unpack(data)
        histogram = cls(scale_of(packed.size))
        histogram.add_packed(packed)
        return histogram

    def add_encoded(self, data: bytes) -> None:
        """Merge an encoded histogram of the same scale."""
        self.add_packed(unpack(data))

    def add_packed(self, packed: Packed) -> None:
        """Merge an unpacked histogram of the same scale; another raises ValueError and changes nothing."""
        if packed.size != self._scale.size or len(packed.keys) > 1:
            raise ValueError("this is not one histogram of the same scale")
        if len(packed.keys):
            packed.add_to(self._counts, np.zeros(1, np.int64))
            self._widen(*(float(figure) for figure in packed.figures[0]))

    def take(self) -> Histogram:
        """Hand over what was recorded so far and start again from nothing."""
        taken = Histogram.of(self._scale, self._counts, np.array([self._sum, self._min, self._max]))
        self._reset()
        return taken

    def _widen(self, total: float, low: float, high: float) -> None:
        self._sum += total
        self._min = min(self._min, low)
        self._max = max(self._max, high)

    def _at(self, running: Ints, count: int, rank: float) -> float:
        if not count:
            return 0.0
        position = min(max(math.ceil(rank / 100 * count), 1), count)
        # The extremes are known exactly.
        if position == 1:
            return self._min
        if position == count:
            return self._max
        middle = float(self._scale.middle_of[int(np.searchsorted(running, position))])
        return min(max(middle, self._min), self._max)
