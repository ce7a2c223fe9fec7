"""Which worker starts which minion: the same pure function everywhere."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from math import gcd

import numpy as np

LONGEST_PERIOD = 100_000
"""Dealing one period takes about 5 µs per turn, in every process, before the campaign starts."""


class Ownership:
    """Deals indices to workers by a smooth weighted round robin, so that every prefix is spread as the whole.

    A worker of weight 0 owns nothing. The dealing repeats after the sum of the weights, divided by what they
    have in common; at any moment a worker has less than one index more than its exact share.
    """

    __slots__ = ("_owners", "_slots", "weights")

    def __init__(self, weights: Sequence[int]) -> None:
        self.weights = tuple(weights)
        if not any(self.weights) or min(self.weights) < 0:
            raise ValueError(f"the weights {self.weights} should be 0 or more, and one at least above 0")
        period = sum(self.weights) // gcd(*self.weights)
        if period > LONGEST_PERIOD:
            raise ValueError(
                f"the weights repeat only after {period} turns; "
                f"round them, so that they repeat after at most {LONGEST_PERIOD}"
            )
        self._owners = _deal(self.weights)
        self._slots: tuple[list[int], ...] = tuple([] for _ in self.weights)
        for slot, owner in enumerate(self._owners):
            self._slots[owner].append(slot)

    def owner(self, index: int) -> int:
        """The worker of minion, arrival or row `index`."""
        return self._owners[index % len(self._owners)]

    def count(self, worker: int, first: int, last: int) -> int:
        """How many of `first` to `last - 1` belong to the worker."""
        return max(0, self._before(worker, last) - self._before(worker, first))

    def indices(self, worker: int, first: int, last: int) -> Iterator[int]:
        """Those of `first` to `last - 1` that belong to the worker, in order."""
        slots, period = self._slots[worker], len(self._owners)
        if len(slots) == 1:  # equal weights: a range is ten times as fast as a generator
            return iter(range(first + (slots[0] - first) % period, last, period))
        return self._walk(slots, period, first, last)

    def _walk(self, slots: list[int], period: int, first: int, last: int) -> Iterator[int]:
        begin, rest = divmod(first, period)
        place = bisect_left(slots, rest)
        for base in range(begin * period, last, period):
            for slot in slots[place:]:
                index = base + slot
                if index >= last:
                    return
                yield index
            place = 0

    def _before(self, worker: int, index: int) -> int:
        slots = self._slots[worker]
        periods, rest = divmod(index, len(self._owners))
        return periods * len(slots) + bisect_left(slots, rest)


def _deal(weights: tuple[int, ...]) -> list[int]:
    """One period: each turn everyone earns their weight, and the richest is dealt to and pays for all."""
    shares = np.array(weights, np.int64) // gcd(*weights)
    total = int(shares.sum())
    wealth = np.zeros(len(shares), np.int64)
    owners = []
    for _ in range(total):
        wealth += shares
        richest = int(wealth.argmax())
        wealth[richest] -= total
        owners.append(richest)
    return owners
