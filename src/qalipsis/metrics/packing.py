"""Histograms on the wire: the occupied blocks of any number of them, bit by bit.

The buckets of a scale are cut into blocks of 64, and only blocks with something in them travel. Their counts
lie in planes: plane 0 has the lowest bit of each of the 64 counts, plane 1 the next one, and so on. Blocks
are sorted by the bits that their largest count needs, so that each plane holds a shorter beginning of them: a
block of ones has one plane, and a count of a million lengthens its own block only.

Layout, little endian: a head of four u32 (histograms, blocks, planes, buckets of the scale); the blocks of
each plane (u32); the keys (u32) of the histograms; the sum, min and max (f64) of each; the place of each
block (u32), its histogram's place times 4096 plus its own number; the planes (u64 per block).

Flat vectors, because merging is then a handful of numpy calls however many histograms there are. Planes,
because numpy spreads bits into whole blocks, and adds these, faster than it finds and adds single buckets:
`benchmarks/merging.py` merges twice as many snapshots as with a distance and a count for each bucket. They
are shorter, too: one byte instead of two for each occupied bucket of a thousand log-normal values.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qalipsis.metrics.scale import Floats, Ints

BLOCK: Final = 64

_BLOCK_BYTES = BLOCK // 8

Counts = NDArray[np.uint8] | Ints

_HEAD = struct.Struct("<4I")
_MOST_PLANES = 40
"""So that no message of some MiB can make a sum of its numbers overflow."""

_NUMBER_BITS = 12
"""Of a place: no scale has more blocks. A message of some MiB has fewer histograms than the other 20 bits."""

_NUMBER = (1 << _NUMBER_BITS) - 1

_NONE = np.zeros((0, BLOCK), np.uint8)


@dataclass(frozen=True, slots=True)
class Packed:
    """Unpacked vectors. `counts` has a row of 64 for each block; the blocks are distinct."""

    size: int
    keys: Ints
    figures: Floats
    """Sum, min and max of each histogram."""
    histograms: Ints
    """The histogram of each block, by its place in `keys`."""
    numbers: Ints
    """Which of its histogram's blocks it is."""
    counts: Counts
    """Bytes when all of them are below 256, as they mostly are."""

    def add_to(self, table: NDArray[np.uint16] | Ints, rows: Ints) -> None:
        """Add each histogram to its one of `rows`, distinct, of a table with whole blocks in a row."""
        blocks = rows[self.histograms] * blocks_of(self.size) + self.numbers
        rows_of_blocks = table.reshape(-1, BLOCK)
        sums = rows_of_blocks.take(blocks, axis=0)
        sums += self.counts
        rows_of_blocks[blocks] = sums


def blocks_of(size: int) -> int:
    """How many blocks the buckets of a scale fill, the last one perhaps in part."""
    return -(-size // BLOCK)


def whole_blocks(size: int) -> int:
    """The buckets of a scale rounded up to whole blocks."""
    return blocks_of(size) * BLOCK


def pack(size: int, keys: Ints, figures: Floats, table: Ints, blocks: Ints) -> bytes:
    """Pack the histograms that have some of `blocks`, the occupied ones of a table of whole blocks.

    The table's row i belongs to the key and the figures i; blocks are ascending.
    """
    counts = table.reshape(-1, BLOCK)[blocks]
    rows, histograms = np.unique(blocks // blocks_of(size), return_inverse=True)
    bits = np.frexp(counts.max(axis=1, initial=0).astype(np.float64))[1]
    order = np.argsort(-bits, kind="stable")
    counts = counts[order]
    planes = _planes(counts, bits)
    places = (histograms << _NUMBER_BITS) + blocks % blocks_of(size)
    return b"".join(
        (
            _HEAD.pack(len(rows), len(blocks), len(planes), size),
            np.array([len(plane) // _BLOCK_BYTES for plane in planes], "<u4").tobytes(),
            keys[rows].astype("<u4").tobytes(),
            figures[rows].astype("<f8").tobytes(),
            places[order].astype("<u4").tobytes(),
            *planes,
        )
    )


def _planes(counts: Ints, bits: NDArray[np.int32]) -> list[bytes]:
    planes = []
    for plane in range(int(bits.max(initial=0))):
        if plane % 8 == 0:
            # Bytes are shifted eight times as fast as numbers.
            low = (counts[: np.count_nonzero(bits > plane)] >> plane).astype(np.uint8)
        held = low[: np.count_nonzero(bits > plane)]
        planes.append(np.packbits(held & (1 << plane % 8), bitorder="little").tobytes())
    return planes


def unpack(data: bytes) -> Packed:
    """Read what `pack` wrote; anything else raises ValueError and never reaches an array."""
    if len(data) < _HEAD.size:
        raise ValueError(f"{len(data)} bytes are too few for packed histograms")
    histograms, blocks, planes, size = _HEAD.unpack_from(data)
    at = _HEAD.size + 4 * planes
    if planes > _MOST_PLANES or len(data) < at:
        raise _contradiction()
    held = np.frombuffer(data, "<u4", planes, _HEAD.size).tolist()
    expected = at + 28 * histograms + 4 * blocks + 8 * sum(held)
    if len(data) != expected:
        raise ValueError(f"packed histograms have {len(data)} bytes where their head announces {expected}")
    if held != sorted(held, reverse=True) or (held[0] if held else 0) != blocks:
        raise _contradiction()
    keys = np.frombuffer(data, "<u4", histograms, at).astype(np.int64)
    at += 4 * histograms
    figures = np.frombuffer(data, "<f8", 3 * histograms, at).reshape(histograms, 3)
    at += 24 * histograms
    places = np.frombuffer(data, "<u4", blocks, at).astype(np.int64)
    counts = _counts(np.frombuffer(data, "u1", offset=at + 4 * blocks), held) if planes else _NONE
    packed = Packed(size, keys, figures, places >> _NUMBER_BITS, places & _NUMBER, counts)
    _check(packed, places, histograms)
    return packed


def _counts(planes: NDArray[np.uint8], held: list[int]) -> Counts:
    """Each block's counts from the planes that hold it."""
    low = _low_byte(planes, held[:8])
    if len(held) <= 8:
        return low
    counts = low.astype(np.int64)
    for first in range(8, len(held), 8):
        higher = _low_byte(planes[_BLOCK_BYTES * sum(held[:first]) :], held[first : first + 8])
        counts[: held[first]] += higher * np.int64(1 << first)
    return counts


def _low_byte(planes: NDArray[np.uint8], held: list[int]) -> NDArray[np.uint8]:
    """What up to eight planes make of their blocks."""
    bits = np.unpackbits(planes[: _BLOCK_BYTES * sum(held)], bitorder="little").reshape(-1, BLOCK)
    at = held[0]
    low = bits[:at]
    for plane, blocks in enumerate(held[1:], 1):
        higher = bits[at : at + blocks]
        at += blocks
        # Multiplied, because numpy shifts bytes one by one.
        higher *= np.uint8(1 << plane)
        low[:blocks] += higher
    return low


def _check(packed: Packed, places: Ints, histograms: int) -> None:
    """Each block is there once, in a histogram that is there, and nothing lies outside the scale."""
    if not len(packed.numbers):
        if histograms:
            raise _contradiction()
        return
    whole, last = blocks_of(packed.size), int(packed.numbers.max())
    if last >= whole or (last == whole - 1 and _is_beyond(packed, last)):
        raise ValueError("packed histograms name buckets outside their scale")
    ordered = np.sort(places)
    if ordered[-1] >> _NUMBER_BITS >= histograms or (ordered[1:] == ordered[:-1]).any():
        raise _contradiction()


def _is_beyond(packed: Packed, last: int) -> bool:
    """Whether anything lies in that part of the last block that does not belong to the scale."""
    first = packed.size - last * BLOCK
    return bool(packed.counts[packed.numbers == last, first:].any())


def _contradiction() -> ValueError:
    return ValueError("packed histograms contradict their head")
