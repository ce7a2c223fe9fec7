"""A part of what one worker was dealt at first, as a progression: it travels instead of a list of minions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from qalipsis.plan.ownership import UNKNOWN


class Portion(Struct, frozen=True, order=True, array_like=True):
    """Of what `worker` was dealt at first, counted from 0 in order: `first`, `first + stride`, and so on.

    `worker` is its number in the whole fleet. A portion of a portion is a portion again, so however many
    workers are lost one after the other, three numbers say what each one leaves behind.
    """

    worker: int
    first: int = 0
    stride: int = 1

    def skip(self, count: int) -> Portion:
        """Without the first `count` of it."""
        return Portion(self.worker, self.first + self.stride * count, self.stride)

    def deal(self, place: int, places: int) -> Portion:
        """What whoever sits at `place` gets when it is dealt in turns."""
        return Portion(self.worker, self.first + self.stride * place, self.stride * places)

    def has(self, ordinal: int) -> bool:
        return ordinal >= self.first and (ordinal - self.first) % self.stride == 0

    def ordinals(self, begin: int, end: int) -> range:
        """What it has of `begin` to `end - 1`."""
        passed = max(0, -((self.first - begin) // self.stride))
        return range(self.first + self.stride * passed, max(begin, end), self.stride)

    def count(self, dealt: int) -> int:
        """How much it is, when the worker was dealt so much at first."""
        return len(self.ordinals(0, dealt))


def skip_first(
    portions: Iterable[Portion], count: int, dealt: Callable[[int], int] = lambda worker: UNKNOWN
) -> tuple[Portion, ...]:
    """Without the `count` that come first in all of them together, and without portions that are empty then.

    `dealt` says how much a worker was dealt at first. Everywhere in a zone, what was dealt earlier comes
    earlier in the ramp, so the first ones are those that began first.
    """
    portions = tuple(portions)

    def before(ordinal: int) -> int:
        return sum(portion.count(min(ordinal, dealt(portion.worker))) for portion in portions)

    # The greatest ordinal before which there are no more than that many.
    low, high = 0, 1
    while before(high) <= count and high < UNKNOWN:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if before(middle) <= count:
            low = middle
        else:
            high = middle
    rest = count - before(low)
    left = []
    for portion in sorted(portions):
        whole = dealt(portion.worker)
        skipped = portion.count(min(low, whole))
        if rest > 0 and portion.ordinals(low, min(low + 1, whole)):
            skipped, rest = skipped + 1, rest - 1
        if portion.skip(skipped).count(whole):
            left.append(portion.skip(skipped))
    return tuple(left)


class Takeover(Struct, frozen=True, kw_only=True):
    """What a worker takes over of one scenario.

    `arrivals` are those of an open model, `records` the rows of sources that are dealt to workers. Both were
    dealt to the workers that own minions, and go on without an end that is known here.
    """

    minions: tuple[Portion, ...]
    arrivals: tuple[Portion, ...] = ()
    records: tuple[Portion, ...] = ()
