"""Which server of a cluster serves which key: decisions only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from redis.crc import key_slot

from qalipsis.plugins.redis.settings import Address

SLOTS = 16_384


class Topology:
    """The masters of a cluster by slot, as of the last time one of them was asked."""

    __slots__ = ("_firsts", "_masters", "_moved")

    def __init__(self, ranges: Sequence[tuple[int, int, Address]] = ()) -> None:
        ordered = sorted(ranges, key=lambda entry: entry[0])
        self._firsts = [first for first, _, _ in ordered]
        self._masters = [(last, address) for _, last, address in ordered]
        self._moved: dict[int, Address] = {}

    @property
    def masters(self) -> list[Address]:
        """Each once, in an order that does not depend on the slots."""
        return sorted({address for _, address in self._masters})

    def address(self, key: bytes) -> Address | None:
        """Who serves a key; None when nobody is known to."""
        slot = key_slot(key)
        moved = self._moved.get(slot)
        if moved is not None:
            return moved
        place = bisect_right(self._firsts, slot) - 1
        if place < 0 or self._masters[place][0] < slot:
            return None
        return self._masters[place][1]

    def moved(self, slot: int, address: Address) -> None:
        """A server said who serves this slot now."""
        self._moved[slot] = address


def parsed(answer: Any, asked: Address) -> Topology:
    """From the answer to CLUSTER SLOTS; a server without a name of its own is the one that was asked."""
    ranges = []
    for first, last, master, *_ in answer:
        host = text(master[0]) if master[0] else asked.host
        ranges.append((int(first), int(last), Address(host, int(master[1]))))
    return Topology(ranges)


def text(word: str | bytes) -> str:
    return word if isinstance(word, str) else word.decode()
