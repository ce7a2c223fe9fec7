"""Which worker starts which minion: the same pure function everywhere."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import accumulate, pairwise
from math import gcd

LONGEST_PERIOD = 100_000
"""Dealing one period takes about 1 µs per turn, in every process, before the campaign starts."""

UNKNOWN = 1 << 62
"""More indices than there will ever be."""


class Ownership:
    """Deals indices to crews of workers by their weights, and to the workers of a crew in turns.

    Every prefix is spread as the whole: the dealing repeats after the sum of the weights, divided by what
    they have in common, and at any moment a crew is less than one index away from its exact share. The
    workers of a crew differ by one index at most. A crew of weight 0 owns nothing.

    When the `total` is known, the crews' parts of it are exact to the index by `largest_remainder`. For its
    sake, in the last, incomplete period a crew may be up to two away from its exact share, which is rare:
    33, 1, 1, 33, 1 and 31 % of 47 are 16, 0, 0, 16, 0 and 15, but one of the large ones must then run ahead.
    """

    __slots__ = (
        "_all",
        "_crews",
        "_last",
        "_period",
        "_places",
        "_shares",
        "_slots",
        "_total",
        "_turns",
        "_whole",
    )

    def __init__(
        self, weights: Sequence[int], crews: Sequence[range] | None = None, total: int | None = None
    ) -> None:
        """`crews` has the workers of each weight; without it, each weight is that of one worker."""
        if not any(weights) or min(weights) < 0:
            raise ValueError(f"the weights {weights} should be 0 or more, and one at least above 0")
        self._crews = (
            tuple(range(at, at + 1) for at in range(len(weights))) if crews is None else tuple(crews)
        )
        if any(weight and not crew for weight, crew in zip(weights, self._crews, strict=True)):
            raise ValueError(f"of the weights {weights}, one is for a crew without workers")
        divisor = gcd(*weights)
        self._shares = tuple(weight // divisor for weight in weights)
        self._period = sum(self._shares)
        if self._period > LONGEST_PERIOD:
            raise ValueError(
                f"the weights repeat only after {self._period} turns; "
                f"round them, so that they repeat after at most {LONGEST_PERIOD}"
            )
        # What `count` needs of each worker: its crew, how many of its turn come after it, and of how many.
        self._places = {
            worker: (place, crew.stop - 1 - worker, len(crew))
            for place, (share, crew) in enumerate(zip(self._shares, self._crews, strict=True))
            for worker in crew
            if share
        }
        alike = [crew for share, crew in zip(self._shares, self._crews, strict=True) if share]
        # The workers when there is one crew: its indices are all indices, which saves half of the time.
        self._all = list(alike[0]) if len(alike) == 1 else None
        self._total = UNKNOWN if total is None else total
        self._whole = self._total - self._total % self._period
        """Where the last, incomplete period begins."""
        period = _deal(self._shares, self._period)
        last = period if total is None else _deal(self._shares, total % self._period)
        self._slots, self._last = _slots(period, len(weights)), _slots(last, len(weights))
        self._turns = self._described(period), self._described(last)

    @property
    def workers(self) -> int:
        """How many workers can own something."""
        return len(self._places)

    def owner(self, index: int) -> int:
        """The worker of minion, arrival or row `index`."""
        if (workers_alike := self._all) is not None:
            return workers_alike[index % len(workers_alike)]
        period, slot = divmod(index, self._period)
        first, workers, share, rank = self._turns[index >= self._whole][slot]
        return first + (period * share + rank) % workers

    def count(self, worker: int, first: int, last: int) -> int:
        """How many of `first` to `last - 1` belong to the worker."""
        place = self._places.get(worker)
        if place is None or first >= last:
            return 0
        crew, after, workers = place
        if self._all is None:
            first, last = self._rank(crew, first), self._rank(crew, last)
        return (last + after) // workers - (first + after) // workers

    def indices(self, worker: int, first: int, last: int) -> Iterator[int]:
        """Those of `first` to `last - 1` that belong to the worker, in order."""
        place = self._places.get(worker)
        if place is None:
            return iter(())
        crew, after, workers = place
        # Within a crew, its indices are ranked: the worker's ranks are as far apart as it has workers.
        rank = (self._rank(crew, first) + after) // workers * workers + workers - 1 - after
        slots, period = self._slots[crew], self._period
        if len(slots) == 1 and last <= self._whole:  # a range is ten times as fast as a generator
            return iter(range(rank * period + slots[0], last, workers * period))
        return self._walk(crew, rank, self._rank(crew, last), workers)

    def nth(self, worker: int, ordinal: int) -> int:
        """The index that comes after so many others of the worker, which must own that many."""
        crew, after, workers = self._places[worker]
        rank = ordinal * workers + workers - 1 - after
        share = self._shares[crew]
        if (in_last := rank - self._whole // self._period * share) >= 0:
            return self._whole + self._last[crew][in_last]
        periods, slot = divmod(rank, share)
        return periods * self._period + self._slots[crew][slot]

    def of_crew(self, crew: int, last: int) -> int:
        """How many of the first `last` belong to a crew."""
        return self._rank(crew, last)

    def busy(self, minions: int) -> Ownership:
        """The same weights, but only for workers that own one of so many minions, and for any total."""
        crews = tuple(crew[: self._rank(place, minions)] for place, crew in enumerate(self._crews))
        shares = [share if crew else 0 for share, crew in zip(self._shares, crews, strict=True)]
        return Ownership(shares, crews)

    def _walk(self, crew: int, rank: int, last_rank: int, step: int) -> Iterator[int]:
        slots, share, period = self._slots[crew], self._shares[crew], self._period
        in_whole = min(last_rank, self._whole // period * share)
        for own in range(rank, in_whole, step):
            periods, slot = divmod(own, share)
            yield periods * period + slots[slot]
        for own in range(rank + max(0, -((rank - in_whole) // step)) * step, last_rank, step):
            yield self._whole + self._last[crew][own - in_whole]

    def _rank(self, crew: int, index: int) -> int:
        """How many indices before this one belong to the crew."""
        periods, rest = divmod(min(index, self._total), self._period)
        slots = self._last if index > self._whole else self._slots
        return periods * self._shares[crew] + bisect_left(slots[crew], rest)

    def _described(self, dealt: Sequence[int]) -> list[tuple[int, int, int, int]]:
        """What `owner` needs of each turn: its crew's first worker, workers and share, and its rank in it."""
        ranks = [0] * len(self._crews)
        turns = []
        for crew in dealt:
            workers = self._crews[crew]
            turns.append((workers.start, len(workers), self._shares[crew], ranks[crew]))
            ranks[crew] += 1
        return turns


def ownership_of(zones: Sequence[int], shares: Sequence[int] | None, total: int) -> Ownership:
    """How `total` minions are dealt in a fleet of so many workers in each zone, one zone after the other.

    `shares` has a percentage for each zone; without it all workers are dealt to alike.
    """
    if shares is None:
        return Ownership((1,), (range(sum(zones)),))
    borders = pairwise(accumulate(zones, initial=0))
    return Ownership(shares, tuple(range(*border) for border in borders), total)


def largest_remainder(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """`total` in whole parts by weight: rounded down, and one more where most was lost, the first first."""
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_loss = sorted(range(len(weights)), key=lambda at: -(total * weights[at] % whole))
    for at in by_loss[: total - sum(parts)]:
        parts[at] += 1
    return tuple(parts)


def _deal(shares: Sequence[int], turns: int) -> list[int]:
    """To whom each turn goes, at most one period of them.

    A crew's n-th index is dealt neither before its exact share exceeds n - 1, nor after it reaches n. Of
    those that may be dealt to, the one who must be soonest is: if all can be in time, this way they are.
    """
    period = sum(shares)
    left = list(largest_remainder(turns, shares))
    given = [0] * len(shares)

    def window(crew: int) -> tuple[int, int, int]:
        release = given[crew] * period // shares[crew]
        return release, min(turns, -(-(given[crew] + 1) * period // shares[crew])), crew

    waiting = [window(crew) for crew in range(len(shares)) if left[crew]]
    heapify(waiting)
    released: list[tuple[int, int, int]] = []
    dealt = []
    for turn in range(turns):
        while waiting and (waiting[0][0] <= turn or not released):
            release, deadline, crew = heappop(waiting)
            heappush(released, (deadline, release, crew))
        crew = heappop(released)[2]
        dealt.append(crew)
        given[crew] += 1
        if given[crew] < left[crew]:
            heappush(waiting, window(crew))
    return dealt


def _slots(dealt: Sequence[int], crews: int) -> tuple[list[int], ...]:
    """The turns of each crew."""
    slots: tuple[list[int], ...] = tuple([] for _ in range(crews))
    for turn, crew in enumerate(dealt):
        slots[crew].append(turn)
    return slots
