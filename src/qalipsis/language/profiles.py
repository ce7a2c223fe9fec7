"""When minions start: pure descriptions, fleet-wide, in seconds after the common start."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, floor, isclose, isfinite
from typing import Any, ClassVar, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from qalipsis.errors import CampaignRefused
from qalipsis.language.durations import Duration, seconds, text

CHUNK = 4096
"""Arrivals computed at once: numpy's call costs vanish, and a stop still finds little computed in vain."""

EMPTY_LINES = 1_000
"""So many lines without a minion, one after the other, mean that an author's function has no end."""

NEVER = 1e9
"""No period is longer (thirty years): a speed factor that slows down for ever would otherwise overflow."""


class Line(NamedTuple):
    """So many minions start, `offset` seconds after the previous line."""

    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here
    offset: float


@dataclass(frozen=True, slots=True)
class Replay:
    """Minions walk again until `until`, in seconds after the start."""

    until: float
    is_hard: bool


class Profile(ABC):
    """A ramp of minions. Values are kept as written: ask `problems()` before anything else."""

    __slots__ = ()

    is_arrivals: ClassVar[bool] = False
    """True when a start is an arrival for any free minion, and not a minion of its own."""

    @abstractmethod
    def problems(self) -> list[str]:
        """Every mistake in what the author wrote, each with what to write instead."""

    @abstractmethod
    def describe(self) -> str:
        """The profile in words, for lists and reports."""

    @abstractmethod
    def starts(self, minions: int, speed_factor: float) -> Iterator[tuple[int, float]]:
        """(count, seconds after the start), in order."""

    def lines(self, minions: int, speed_factor: float) -> Iterator[Line]:
        """(count, seconds after the previous line); added up, they are the instants of `starts`."""
        elapsed = 0.0
        for count, at in self.starts(minions, speed_factor):
            # Relative to the sum so far, not to the previous instant: rounding is corrected by the next line.
            offset = max(0.0, at - elapsed)
            elapsed += offset
            yield Line(count, offset)

    def minions(self) -> int | None:
        """The number of minions, when the profile itself says it."""
        return None

    def planned_seconds(self, minions: int, speed_factor: float) -> float | None:
        """How long the profile foresees to run; None when only the minions decide."""
        last = 0.0
        for _, at in self.starts(minions, speed_factor):
            last = at
        return last or None

    def replay(self, speed_factor: float) -> Replay | None:
        """Until when minions walk again after their first pass; None for one pass each."""
        return None


@dataclass(frozen=True, slots=True)
class Immediate(Profile):
    """Everybody at once."""

    def problems(self) -> list[str]:
        return []

    def describe(self) -> str:
        return "immediate: all minions at once"

    def starts(self, minions: int, speed_factor: float) -> Iterator[tuple[int, float]]:
        yield minions, 0.0


@dataclass(frozen=True, slots=True)
class Regular(Profile):
    """`k` minions every `period`."""

    period: Any
    k: Any

    def problems(self) -> list[str]:
        check = _Check("regular")
        check.duration("period", self.period, "100ms")
        check.whole("k", self.k)
        return check.found

    def describe(self) -> str:
        return f"regular: {self.k} every {text(seconds(self.period))}"

    def starts(self, minions: int, speed_factor: float) -> Iterator[tuple[int, float]]:
        period, k = seconds(self.period), self.k
        for line in range(-(-minions // k)):
            yield min(k, minions - line * k), line * period / speed_factor


@dataclass(frozen=True, slots=True)
class Faster(Profile):
    """`k` minions at shrinking periods."""

    start: Any
    accelerator: Any
    minimum: Any
    k: Any

    def problems(self) -> list[str]:
        check = _Check("faster")
        start = check.duration("start", self.start, "1s")
        check.above_zero("accelerator", self.accelerator, "1.2")
        minimum = check.duration("minimum", self.minimum, "100ms", zero=True)
        check.whole("k", self.k)
        if start is not None and minimum is not None and minimum > start:
            check.say(
                f"minimum={self.minimum!r} is longer than the first period start={self.start!r}; "
                "write a minimum of at most start"
            )
        return check.found

    def describe(self) -> str:
        first, last = text(seconds(self.start)), text(seconds(self.minimum))
        return f"faster: {self.k} every {first}, the period divided by {self.accelerator:g} down to {last}"

    def starts(self, minions: int, speed_factor: float) -> Iterator[tuple[int, float]]:
        period, minimum = seconds(self.start), seconds(self.minimum)
        divisor = self.accelerator * speed_factor
        begin, line = 0.0, 0
        while minions > 0:
            yield min(self.k, minions), begin + line * period
            minions -= self.k
            line += 1
            following = min(NEVER, max(minimum, period / divisor))
            if following != period:  # equal periods are multiplied: an hour of sums would be 30 ns off
                begin, line, period = begin + line * period, 0, following


@dataclass(frozen=True, slots=True)
class More(Profile):
    """Growing groups of minions every `period`."""

    period: Any
    start: Any
    multiplier: Any
    maximum: Any

    def problems(self) -> list[str]:
        check = _Check("more")
        check.duration("period", self.period, "1s")
        start = check.whole("start", self.start)
        check.above_zero("multiplier", self.multiplier, "1.5")
        maximum = check.whole("maximum", self.maximum)
        if start is not None and maximum is not None and start > maximum:
            check.say(
                f"start={self.start!r} is above maximum={self.maximum!r}; write a start of at most maximum"
            )
        return check.found

    def describe(self) -> str:
        period = text(seconds(self.period))
        return f"more: {self.start} every {period}, times {self.multiplier:g} up to {self.maximum}"

    def starts(self, minions: int, speed_factor: float) -> Iterator[tuple[int, float]]:
        period, factor = seconds(self.period), self.multiplier * speed_factor
        # Kept as a fraction between the lines: 1 times 1.5 would stay 1 for ever if it were cut each time.
        volume, line = float(self.start), 0
        while minions > 0:
            count = min(_floor(volume), minions)
            yield count, line * period
            minions -= count
            volume = max(1.0, min(volume * factor, float(self.maximum)))
            line += 1


@dataclass(frozen=True, slots=True)
class Timeframe(Profile):
    """Equal shares every `period`, everybody active after `frame`."""

    period: Any
    frame: Any

    def problems(self) -> list[str]:
        check = _Check("timeframe")
        period = check.duration("period", self.period, "1s")
        frame = check.duration("frame", self.frame, "30s")
        if period is not None and frame is not None and period > frame:
            check.say(
                f"period={self.period!r} is longer than frame={self.frame!r}; write a period of at most frame"
            )
        return check.found

    def describe(self) -> str:
        return (
            f"timeframe: equal shares every {text(seconds(self.period))} within {text(seconds(self.frame))}"
        )

    def starts(self, minions: int, speed_factor: float) -> Iterator[tuple[int, float]]:
        period = seconds(self.period)
        for count, slot in _spread(minions, _ceil(seconds(self.frame) / period)):
            yield count, slot * period / speed_factor


@dataclass(frozen=True, slots=True)
class Stage:
    """A share of the minions, spread over `ramp_up`; the next stage starts after `total`."""

    percent: Any
    minions: Any
    ramp_up: Any
    total: Any
    resolution: Any


@dataclass(frozen=True, slots=True)
class Stages(Profile):
    """Stages one after the other; all minions walk again and again until the last one ends."""

    stages: tuple[Any, ...]
    completion: Any

    def problems(self) -> list[str]:
        check = _Check("stages")
        if not self.stages:
            check.say('there is no stage; write for example stage(100, ramp_up="30s", total="2m")')
        if self.completion not in ("graceful", "hard"):
            check.say(f'completion={self.completion!r} should be "graceful" or "hard"')
        stages = [stage for stage in self.stages if isinstance(stage, Stage)]
        for stage in self.stages:
            if not isinstance(stage, Stage):
                check.say(
                    f"{stage!r} is not a stage; write stages(stage(…), stage(…)), without a list around them"
                )
        for number, stage in enumerate(stages, 1):
            check.found += _stage_problems(stage, number)
        are_percents = [stage.percent is not None and stage.minions is None for stage in stages]
        if any(are_percents) and not all(are_percents):
            check.say(
                "some stages give a percentage and others minions; write percentages that sum to 100 "
                "everywhere, or minions= everywhere"
            )
        elif all(are_percents) and all(_is_number(stage.percent) for stage in stages) and stages:
            total = sum(stage.percent for stage in stages)
            if not isclose(total, 100, abs_tol=1e-6):
                change = f"add {100 - total:g} to" if total < 100 else f"take {total - 100:g} from"
                check.say(f"the percentages sum to {total:g} % instead of 100 %; {change} one of them")
        return check.found

    def describe(self) -> str:
        parts = []
        for stage in self.stages:
            share = f"{stage.percent:g} %" if stage.minions is None else f"{stage.minions} minions"
            ramp_up, total = text(seconds(stage.ramp_up)), text(seconds(stage.total))
            parts.append(f"{share} over {ramp_up} of {total}")
        return f"stages: {', then '.join(parts)}; {self.completion} completion"

    def starts(self, minions: int, speed_factor: float) -> Iterator[tuple[int, float]]:
        begin, launched = 0.0, 0
        weights = [stage.minions or stage.percent for stage in self.stages]
        whole = sum(weights)
        for stage, sum_of_weights in zip(self.stages, accumulate(weights), strict=True):
            upto = _floor(minions * sum_of_weights / whole)
            resolution = seconds(stage.resolution)
            slots = max(1, _ceil(seconds(stage.ramp_up) / resolution))
            for count, slot in _spread(upto - launched, slots):
                yield count, (begin + slot * resolution) / speed_factor
            launched = upto
            begin += seconds(stage.total)

    def minions(self) -> int | None:
        counts = [stage.minions for stage in self.stages]
        return None if None in counts else sum(counts)

    def planned_seconds(self, minions: int, speed_factor: float) -> float | None:
        return sum(seconds(stage.total) for stage in self.stages) / speed_factor

    def replay(self, speed_factor: float) -> Replay | None:
        total = sum(seconds(stage.total) for stage in self.stages)
        return Replay(total / speed_factor, self.completion == "hard")


@dataclass(frozen=True, slots=True)
class ArrivalRate(Profile):
    """Passes start at `rate` per second for `over`, whatever the service does."""

    is_arrivals: ClassVar[bool] = True

    rate: Any
    over: Any
    ramp_from: Any

    def problems(self) -> list[str]:
        check = _Check("arrival_rate")
        rate = check.above_zero("rate", self.rate, "50")
        over = check.duration("over", self.over, "1m")
        if self.ramp_from is not None and not (_is_number(self.ramp_from) and self.ramp_from >= 0):
            check.say(f"ramp_from={self.ramp_from!r} should be a number of arrivals per second of at least 0")
        elif rate is not None and over is not None and self.total() == 0:
            check.say(
                f"rate={self.rate!r} over={self.over!r} gives no arrival at all; "
                "write a longer over or a higher rate"
            )
        return check.found

    def describe(self) -> str:
        length = text(seconds(self.over))
        if self.ramp_from is None:
            return f"arrival rate: {self.rate:g}/s over {length}"
        return f"arrival rate: from {self.ramp_from:g}/s to {self.rate:g}/s over {length}"

    def total(self) -> int:
        """The number of arrivals; the speed factor makes them denser, not more."""
        first = self.rate if self.ramp_from is None else self.ramp_from
        return _floor((first + self.rate) / 2 * seconds(self.over))

    def times(self, arrivals: NDArray[np.int64], speed_factor: float) -> NDArray[np.float64]:
        """Seconds after the start of the arrivals with these indices (below `total()`)."""
        if self.ramp_from is None or self.ramp_from == self.rate:
            return arrivals / (float(self.rate) * speed_factor)
        # Arrivals until t: first * t + slope * t² / 2, solved for t in the form stable for small slopes.
        first = float(self.ramp_from)
        slope = (self.rate - first) / seconds(self.over)
        divisor = first + np.sqrt(np.maximum(0.0, first * first + 2 * slope * arrivals))
        divisor[arrivals == 0] = 1.0
        return np.asarray(2 * arrivals / divisor / speed_factor, np.float64)

    def starts(self, minions: int, speed_factor: float) -> Iterator[tuple[int, float]]:
        total = self.total()
        for first in range(0, total, CHUNK):
            arrivals = np.arange(first, min(first + CHUNK, total), dtype=np.int64)
            for at in self.times(arrivals, speed_factor).tolist():
                yield 1, at

    def planned_seconds(self, minions: int, speed_factor: float) -> float | None:
        return seconds(self.over) / speed_factor


@dataclass(frozen=True, slots=True)
class Define(Profile):
    """The author's own lines."""

    fn: Any

    def problems(self) -> list[str]:
        check = _Check("define")
        example = "write for example define(lambda past_ms, n, speed_factor: (10, 500))"
        if not callable(self.fn):
            check.say(f"{self.fn!r} is not a function; {example}")
            return check.found
        try:
            inspect.signature(self.fn).bind(0.0, 1, 1.0)
        except TypeError:
            check.say(f"the function should take three arguments; {example}")
        except ValueError:
            pass  # a function of C that does not tell its parameters
        return check.found

    def describe(self) -> str:
        return f"define: {getattr(self.fn, '__name__', 'a function')}"

    def starts(self, minions: int, speed_factor: float) -> Iterator[tuple[int, float]]:
        past_ms, line, empty = 0.0, 0, 0
        while minions > 0:
            count, offset_ms = self._line(past_ms, minions, speed_factor)
            if line > 0:
                past_ms += offset_ms
            line += 1
            if count > 0:
                empty = 0
                yield min(count, minions), past_ms / 1000
                minions -= count
                continue
            empty += 1
            if empty == EMPTY_LINES:
                raise CampaignRefused(
                    f"define: the function started nobody {EMPTY_LINES} times in a row, "
                    f"with {minions} minions left; return a count of at least 1 until all are started"
                )

    def _line(self, past_ms: float, minions: int, speed_factor: float) -> tuple[int, float]:
        try:
            answer = self.fn(past_ms, minions, speed_factor)
        except Exception as error:
            raise CampaignRefused(
                f"define: the function failed after {past_ms:g} ms with {type(error).__name__}: {error}"
            ) from error
        match answer:
            case (int(count), int() | float() as offset_ms) if 0 <= offset_ms < float("inf"):
                return count, float(offset_ms)
        raise CampaignRefused(
            f"define: the function returned {answer!r} after {past_ms:g} ms; "
            "return (count, offset_ms): a whole number and milliseconds of at least 0, for example (10, 500)"
        )


def immediate() -> Immediate:
    """All minions at once."""
    return Immediate()


def regular(period: Duration, k: int) -> Regular:
    """`k` minions every `period`, the first ones at once."""
    return Regular(period, k)


def faster(start: Duration, accelerator: float, minimum: Duration, k: int) -> Faster:
    """`k` minions per line; the period begins at `start` and is divided by `accelerator` each time."""
    return Faster(start, accelerator, minimum, k)


def more(period: Duration, start: int, multiplier: float, maximum: int) -> More:
    """`start` minions, and every `period` `multiplier` times as many as before, at most `maximum`."""
    return More(period, start, multiplier, maximum)


def timeframe(period: Duration, frame: Duration) -> Timeframe:
    """Equal shares every `period`, so that all minions are active after `frame`."""
    return Timeframe(period, frame)


@overload
def stage(percent: float, ramp_up: Duration, total: Duration, resolution: Duration = "500ms") -> Stage: ...
@overload
def stage(*, minions: int, ramp_up: Duration, total: Duration, resolution: Duration = "500ms") -> Stage: ...
def stage(
    percent: float | None = None,
    ramp_up: Duration | None = None,
    total: Duration | None = None,
    resolution: Duration = "500ms",
    *,
    minions: int | None = None,
) -> Stage:
    """A share of the minions in percent, or `minions` of them, started evenly over `ramp_up`.

    The next stage starts `total` after this one began. `resolution` is the time between two lines.
    """
    return Stage(percent, minions, ramp_up, total, resolution)


def stages(*stages: Stage, completion: str = "graceful") -> Stages:
    """Stages in this order; minions walk again and again until the last one ends.

    With `completion="hard"`, minions that still walk at the end are interrupted and counted as aborted.
    """
    return Stages(stages, completion)


def arrival_rate(rate: float, over: Duration, ramp_from: float | None = None) -> ArrivalRate:
    """`rate` passes per second, evenly spaced, for `over`; with `ramp_from` the rate grows from there.

    The scenario's minions are the pool: an arrival that finds none free is counted as dropped.
    """
    return ArrivalRate(rate, over, ramp_from)


def define(fn: Callable[[float, int, float], tuple[int, float]]) -> Define:
    """Lines of your own: `fn(past_ms, n, speed_factor)` returns (count, ms after the previous line).

    `past_ms` is when the previous line fired, in milliseconds after the start; `n` is the number of minions
    not started yet. The first line fires at once, whatever its offset. Every worker calls `fn`, so it must
    give the same answers everywhere.
    """
    return Define(fn)


def _spread(minions: int, slots: int) -> Iterator[tuple[int, int]]:
    """Equal shares over slots, as (count, slot). No share is empty, and the first one is in slot 0."""
    lines = min(minions, slots)
    for line in range(lines):
        yield (line + 1) * minions // lines - line * minions // lines, line * slots // lines


def _floor(value: float) -> int:
    """The whole part; 28.999999999999996, which is 0.29 × 100, is 29."""
    return round(value) if isclose(value, round(value), rel_tol=1e-12) else floor(value)


def _ceil(value: float) -> int:
    return round(value) if isclose(value, round(value), rel_tol=1e-12) else ceil(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _stage_problems(stage: Stage, number: int) -> list[str]:
    check = _Check(f"stage {number}")
    if stage.percent is None and stage.minions is None:
        check.say("neither a percentage nor minions= is given; write one of them")
    elif stage.percent is not None and stage.minions is not None:
        check.say(
            f"both {stage.percent!r} percent and minions={stage.minions!r} are given; write one of them"
        )
    elif stage.minions is not None:
        check.whole("minions", stage.minions)
    elif not (_is_number(stage.percent) and 0 < stage.percent <= 100):
        check.say(f"{stage.percent!r} should be a percentage above 0 and at most 100")
    ramp_up = check.duration("ramp_up", stage.ramp_up, "30s", zero=True)
    total = check.duration("total", stage.total, "2m")
    check.duration("resolution", stage.resolution, "500ms")
    if ramp_up is not None and total is not None and ramp_up > total:
        check.say(
            f"ramp_up={stage.ramp_up!r} is longer than total={stage.total!r}; "
            "write a total of at least ramp_up"
        )
    return check.found


class _Check:
    """Gathers what is wrong with the values of one profile."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self.found: list[str] = []

    def say(self, sentence: str) -> None:
        self.found.append(f"{self._subject}: {sentence}")

    def duration(self, name: str, value: Any, example: str, zero: bool = False) -> float | None:
        if value is None:
            self.say(f'{name} is missing; write for example {name}="{example}"')
            return None
        try:
            length = seconds(value)
        except ValueError as error:
            self.say(f"{name}: {error}")
            return None
        if not isfinite(length) or length < 0 or (length == 0 and not zero):
            least = "of at least 0" if zero else "above 0"
            self.say(f'{name}={value!r} should be a duration {least}; write for example {name}="{example}"')
            return None
        return length

    def whole(self, name: str, value: Any) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.say(f"{name}={value!r} should be a whole number of at least 1; write for example {name}=10")
            return None
        return value

    def above_zero(self, name: str, value: Any, example: str) -> float | None:
        if not _is_number(value) or value <= 0:
            self.say(f"{name}={value!r} should be a number above 0; write for example {name}={example}")
            return None
        return float(value)
