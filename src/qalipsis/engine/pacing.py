"""One worker's part of a profile: which of its minions are due when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from qalipsis.language.profiles import CHUNK, ArrivalRate, Profile
from qalipsis.plan.ownership import Ownership


def starts(
    profile: Profile, minions: int, speed_factor: float, ownership: Ownership, worker: int
) -> Iterator[tuple[float, Iterable[int]]]:
    """(seconds after the common start, own indices), in order; lines without an own minion are left out.

    `minions` counts the whole fleet. Indices are minions, or arrivals when the profile says so.
    """
    if isinstance(profile, ArrivalRate):
        return _arrivals(profile, speed_factor, ownership, worker)
    return _lines(profile, minions, speed_factor, ownership, worker)


def _lines(
    profile: Profile, minions: int, speed_factor: float, ownership: Ownership, worker: int
) -> Iterator[tuple[float, Iterable[int]]]:
    first = 0
    for count, at in profile.starts(minions, speed_factor):
        last = first + count
        if count == 1:  # lines of one minion come by the thousand per second, so they take the short way
            if ownership.owner(first) == worker:
                yield at, (first,)
        elif ownership.count(worker, first, last) > 0:
            yield at, ownership.indices(worker, first, last)
        first = last


def _arrivals(
    profile: ArrivalRate, speed_factor: float, ownership: Ownership, worker: int
) -> Iterator[tuple[float, Iterable[int]]]:
    # Only the own arrivals are computed: a worker of a hundred pays for a hundredth of the fleet's rate.
    own = ownership.indices(worker, 0, profile.total())
    while chunk := list(islice(own, CHUNK)):
        times = profile.times(np.array(chunk, np.int64), speed_factor).tolist()
        for at, index in zip(times, chunk, strict=True):
            yield at, (index,)
