"""Many histograms side by side in one block of memory: a batch or a snapshot is added with few calls."""

from __future__ import annotations

import math
from typing import Final, cast

import numpy as np

from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.packing import BLOCK, Packed, pack, unpack, whole_blocks
from qalipsis.metrics.scale import DURATIONS, Floats, Ints

_EMPTY = (0.0, math.inf, -math.inf)
_STRIDE: Final = whole_blocks(DURATIONS.size)
"""From one histogram to the next, so that each begins with a block of the wire's."""

_MOST_YOUNG: Final = 257
"""Bytes that two bytes can sum up whatever they are."""


class HistogramTable:
    """Histograms of seconds by key (a small number), each made when its key is first used.

    Its size depends on how many keys are used and not on how much is recorded.
    """

    __slots__ = (
        "_cells",
        "_counts",
        "_figure_cells",
        "_figures",
        "_keys",
        "_row_of",
        "_young",
        "_young_merges",
    )

    def __init__(self) -> None:
        self._row_of: Ints = np.full(16, -1, np.int64)
        self._keys: list[int] = []
        self._counts: Ints = np.zeros(0, np.int64)
        self._figures: Floats = np.zeros((0, 3))
        self._cells = self._counts.data
        self._figure_cells = cast("memoryview[float]", self._figures.ravel().data)
        # What is merged goes through numbers of two bytes: a fleet's histograms then stay in a core's own
        # cache, and a snapshot is merged in half the time.
        self._young = np.zeros(0, np.uint16)
        self._young_merges = 0

    def add(self, key: int, seconds: float) -> None:
        """Record one value."""
        row = int(self._row_of[key]) if key < len(self._row_of) else -1
        if row < 0:
            row = int(self._rows(np.array([key]))[0])
        self._cells[row * _STRIDE + DURATIONS.bucket(seconds)] += 1
        figures, at = self._figure_cells, 3 * row
        figures[at] += seconds
        if seconds < figures[at + 1]:
            figures[at + 1] = seconds
        if seconds > figures[at + 2]:
            figures[at + 2] = seconds

    def add_groups(self, keys: Ints, starts: Ints, seconds: Floats) -> None:
        """Record many values: those from `starts[i]` to the next start belong to `keys[i]`; distinct keys."""
        rows = self._rows(keys)
        lengths = np.diff(starts, append=len(seconds))
        cells = DURATIONS.buckets(seconds)
        cells += np.repeat(rows * _STRIDE, lengths)
        np.add.at(self._counts, cells, 1)
        figures = np.stack([ufunc.reduceat(seconds, starts) for ufunc in (np.add, np.minimum, np.maximum)], 1)
        self._figures[rows] = _joined(self._figures[rows], figures)

    def add_packed(self, packed: Packed, keys: Ints) -> None:
        """Merge packed histograms under these keys, distinct, one per packed histogram."""
        if packed.size != DURATIONS.size:
            raise ValueError("packed histograms of another scale cannot be merged")
        if not len(keys):
            return
        rows = self._rows(keys)
        if packed.counts.dtype == np.uint8:
            self._add_young(packed, rows)
        else:
            packed.add_to(self._counts, rows)
        self._figures[rows] = _joined(self._figures[rows], packed.figures)

    def merge(self, other: HistogramTable) -> None:
        """Add everything another table holds."""
        if not other._keys:
            return
        other._settle()
        rows = self._rows(np.array(other._keys, np.int64))
        held = len(other._keys)
        mine = self._counts.reshape(-1, _STRIDE)
        mine[rows] += other._counts.reshape(-1, _STRIDE)[:held]
        self._figures[rows] = _joined(self._figures[rows], other._figures[:held])

    @classmethod
    def decode(cls, data: bytes) -> HistogramTable:
        """The table that `encode` wrote; anything else raises ValueError."""
        table, packed = cls(), unpack(data)
        table.add_packed(packed, packed.keys)
        return table

    def encode(self) -> bytes:
        """Everything recorded so far, packed."""
        return self._pack()[0]

    def take(self) -> bytes:
        """Pack everything recorded so far and start again from nothing."""
        packed, blocks = self._pack()
        self._counts.reshape(-1, BLOCK)[blocks] = 0
        self._figures[:] = _EMPTY
        return packed

    def _pack(self) -> tuple[bytes, Ints]:
        """The packed histograms, and the blocks of the table that have something in them."""
        self._settle()
        # numpy looks for true in booleans much faster than for non-zero in integers.
        blocks = np.flatnonzero((self._counts != 0).view(np.uint64).reshape(-1, BLOCK // 8).any(axis=1))
        keys = np.array(self._keys, np.int64)
        return pack(DURATIONS.size, keys, self._figures, self._counts, blocks), blocks

    def histogram(self, *keys: int) -> Histogram:
        """A copy of what was recorded under these keys together."""
        self._settle()
        rows = [int(self._row_of[key]) for key in keys if self.holds(key)]
        if not rows:
            return Histogram()
        first, *others = (self._histogram(row) for row in rows)
        for other in others:
            first.merge(other)
        return first

    def holds(self, key: int) -> bool:
        """Whether anything was ever recorded under this key."""
        return key < len(self._row_of) and bool(self._row_of[key] >= 0)

    def _add_young(self, packed: Packed, rows: Ints) -> None:
        if self._young_merges == _MOST_YOUNG:
            self._settle()
        if len(self._young) < len(self._counts):
            self._young = np.concatenate(
                (self._young, np.zeros(len(self._counts) - len(self._young), np.uint16))
            )
        packed.add_to(self._young, rows)
        self._young_merges += 1

    def _settle(self) -> None:
        """Move what was merged since the last time to where it has room."""
        if self._young_merges:
            self._counts[: len(self._young)] += self._young
            self._young.fill(0)
            self._young_merges = 0

    def _histogram(self, row: int) -> Histogram:
        first = row * _STRIDE
        return Histogram.of(DURATIONS, self._counts[first : first + _STRIDE].copy(), self._figures[row])

    def _rows(self, keys: Ints) -> Ints:
        highest = int(keys.max())
        if highest >= len(self._row_of):
            self._row_of = np.concatenate((self._row_of, np.full(highest + 1, -1, np.int64)))
        rows = self._row_of[keys]
        if rows.min() < 0:
            for key in keys[rows < 0].tolist():
                self._row_of[key] = len(self._keys)
                self._keys.append(key)
            self._grow(len(self._keys))
            rows = self._row_of[keys]
        return rows

    def _grow(self, rows: int) -> None:
        held = len(self._figures)
        if rows <= held:
            return
        extra = max(rows, 2 * held) - held
        self._counts = np.concatenate((self._counts, np.zeros(extra * _STRIDE, np.int64)))
        self._figures = np.concatenate((self._figures, np.tile(np.array(_EMPTY), (extra, 1))))
        self._cells = self._counts.data
        self._figure_cells = cast("memoryview[float]", self._figures.ravel().data)


def _joined(mine: Floats, others: Floats) -> Floats:
    """`mine`, changed to hold the sums, the lesser mins and the greater maxs of both."""
    mine[:, 0] += others[:, 0]
    np.minimum(mine[:, 1], others[:, 1], out=mine[:, 1])
    np.maximum(mine[:, 2], others[:, 2], out=mine[:, 2])
    return mine
