"""A part of what one worker was dealt at first, as a progression: it travels instead of a list of minions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from qalipsis.plan.ownership import UNKNOWN


class Portion(Struct, frozen=True, array_like=True):
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
    portions: Sequence[Portion], count: int, dealt: Callable[[int], int] = lambda worker: UNKNOWN
) -> tuple[Portion, ...]:
    """Each without its part of the `count` that come first in all of them together.

    `dealt` says how much a worker was dealt at first. Everywhere in a zone, what was dealt earlier comes
    earlier in the ramp, so the first ones are those that began first.
    """
    ends = [dealt(portion.worker) for portion in portions]

    def before(ordinal: int) -> int:
        return sum(portion.count(min(ordinal, end)) for portion, end in zip(portions, ends, strict=True))

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
    skipped = [portion.count(min(low, end)) for portion, end in zip(portions, ends, strict=True)]
    rest = count - sum(skipped)
    for at in sorted(range(len(portions)), key=lambda at: portions[at].worker):
        if rest > 0 and portions[at].has(low) and low < ends[at]:
            skipped[at] += 1
            rest -= 1
    return tuple(portion.skip(own) for portion, own in zip(portions, skipped, strict=True))


class Takeover(Struct, frozen=True, kw_only=True):
    """What a worker takes over of one scenario.

    `arrivals` are those of an open model, `records` the rows of sources that are dealt to workers. Both were
    dealt to the workers that own minions, and go on without an end that is known here. They are dealt as the
    minions are: the n-th portions of all three belong together.
    """

    minions: tuple[Portion, ...]
    arrivals: tuple[Portion, ...] = ()
    records: tuple[Portion, ...] = ()
