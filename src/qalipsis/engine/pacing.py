"""One worker's part of a profile: which of its minions are due when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice, repeat
from operator import itemgetter

import numpy as np

from qalipsis.language.profiles import CHUNK, ArrivalRate, Profile
from qalipsis.plan.ownership import Ownership
from qalipsis.plan.portion import Portion, Takeover

SEARCH = 512
"""Lines looked at before I/O gets its turn: less than a millisecond."""

TAKEN_CHUNK = 128
"""Arrivals computed at once of each portion: there may be many, and all come before the first departure."""


def starts(
    profile: Profile, minions: int, speed_factor: float, ownership: Ownership, worker: int
) -> Iterator[tuple[float, Iterable[int]]]:
    """(seconds after the common start, own indices), in order; lines without an own minion are left out.

    `minions` counts the whole fleet. Indices are minions, or arrivals when the profile says so.
    """
    if isinstance(profile, ArrivalRate):
        return _arrivals(profile, speed_factor, ownership, worker)
    return _lines(profile, minions, speed_factor, ownership, worker)


def taken_starts(
    profile: Profile, minions: int, speed_factor: float, ownership: Ownership, what: Takeover
) -> Iterator[tuple[float, Iterable[int]]]:
    """As `starts`, of what is taken over from other workers. An empty line lets I/O have its turn."""
    if isinstance(profile, ArrivalRate):
        parts = [_arrivals_of(profile, speed_factor, ownership, portion) for portion in what.arrivals]
        return merge(*parts, key=itemgetter(0))
    return _lines_of(profile, minions, speed_factor, ownership, what.minions)


def indices_of(ownership: Ownership, portions: Iterable[Portion], total: int) -> Iterator[int]:
    """The indices of portions below `total`, one portion after the other."""
    for portion in portions:
        for ordinal in portion.ordinals(0, ownership.count(portion.worker, 0, total)):
            yield ownership.nth(portion.worker, ordinal)


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
    return _at_their_times(profile, speed_factor, ownership.indices(worker, 0, profile.total()))


def _arrivals_of(
    profile: ArrivalRate, speed_factor: float, ownership: Ownership, portion: Portion
) -> Iterator[tuple[float, Iterable[int]]]:
    return _at_their_times(
        profile, speed_factor, indices_of(ownership, (portion,), profile.total()), TAKEN_CHUNK
    )


def _at_their_times(
    profile: ArrivalRate, speed_factor: float, own: Iterator[int], at_once: int = CHUNK
) -> Iterator[tuple[float, Iterable[int]]]:
    while chunk := list(islice(own, at_once)):
        times = profile.times(np.array(chunk, np.int64), speed_factor).tolist()
        for at, index in zip(times, chunk, strict=True):
            yield at, (index,)


def _lines_of(
    profile: Profile, minions: int, speed_factor: float, ownership: Ownership, portions: Sequence[Portion]
) -> Iterator[tuple[float, Iterable[int]]]:
    # One walk through the profile for all portions: it may be long, and most of it in the past.
    parts: dict[int, list[Portion]] = {}
    for portion in portions:
        parts.setdefault(portion.worker, []).append(portion)
    begun = dict.fromkeys(parts, 0)
    ends = {worker: ownership.count(worker, 0, minions) for worker in parts}
    first = looked_at = 0
    for count, at in profile.starts(minions, speed_factor):
        last = first + count
        if count == 1:
            worker = ownership.owner(first)
            if worker in parts:
                ordinal = begun[worker]
                begun[worker] = ordinal + 1
                if any(portion.has(ordinal) for portion in parts[worker]):
                    looked_at = 0
                    yield at, (first,)
        else:
            for worker, own in parts.items():
                begin = begun[worker]
                begun[worker] = end = begin + ownership.count(worker, first, last)
                for portion in own:
                    if ordinals := portion.ordinals(begin, end):
                        looked_at = 0
                        yield at, map(ownership.nth, repeat(worker), ordinals)
        first = last
        looked_at += 1
        if looked_at == SEARCH:
            looked_at = 0
            if begun == ends:
                return
            yield at, ()
