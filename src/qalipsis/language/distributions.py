"""Random durations, drawn from the minion's own generator so that a seed repeats them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from qalipsis.language.durations import Duration, seconds


@dataclass(frozen=True, slots=True)
class Uniform:
    """Evenly between `low` and `high`."""

    low: Any
    high: Any

    def problems(self) -> list[str]:
        try:
            low, high = seconds(self.low), seconds(self.high)
        except ValueError as error:
            return [str(error)]
        if low < 0 or high < low:
            return [f"uniform({self.low!r}, {self.high!r}) needs 0 <= low <= high"]
        return []


@dataclass(frozen=True, slots=True)
class Normal:
    """Around `mean` with standard deviation `sd`; negative draws count as zero."""

    mean: Any
    sd: Any

    def problems(self) -> list[str]:
        try:
            mean, sd = seconds(self.mean), seconds(self.sd)
        except ValueError as error:
            return [str(error)]
        if mean < 0 or sd < 0:
            return [f"normal({self.mean!r}, {self.sd!r}) needs a mean and a deviation of at least 0"]
        return []


def uniform(low: Duration, high: Duration) -> Uniform:
    return Uniform(low, high)


def normal(mean: Duration, sd: Duration) -> Normal:
    return Normal(mean, sd)


def draw(pause: Any, random: Random) -> float:
    """Seconds: a fixed duration as it is, a distribution as drawn now."""
    if isinstance(pause, Uniform):
        return random.uniform(seconds(pause.low), seconds(pause.high))
    if isinstance(pause, Normal):
        return max(0.0, random.gauss(seconds(pause.mean), seconds(pause.sd)))
    return seconds(pause)
