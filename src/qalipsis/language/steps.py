"""The built-in verbs as values; `engine` knows how each one runs. Durations are kept as written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

from qalipsis.language.distributions import Normal, Uniform
from qalipsis.language.durations import seconds
from qalipsis.language.spec import Spec

Fn = Callable[..., Any]


class Builtin(Spec[Any, Any]):
    """A verb of the language itself."""

    def default_name(self) -> str:
        return self.kind


@dataclass(frozen=True, slots=True)
class Returns(Builtin):
    kind: ClassVar[str] = "returns"
    value: Any


@dataclass(frozen=True, slots=True)
class Execute(Builtin):
    kind: ClassVar[str] = "execute"
    fn: Fn


@dataclass(frozen=True, slots=True)
class Pipe(Builtin):
    kind: ClassVar[str] = "pipe"


@dataclass(frozen=True, slots=True)
class Map(Builtin):
    kind: ClassVar[str] = "map"
    fn: Fn


@dataclass(frozen=True, slots=True)
class MapWithContext(Builtin):
    kind: ClassVar[str] = "map-with-context"
    fn: Fn


@dataclass(frozen=True, slots=True)
class FlatMap(Builtin):
    kind: ClassVar[str] = "flat-map"
    fn: Fn


@dataclass(frozen=True, slots=True)
class Flatten(Builtin):
    kind: ClassVar[str] = "flatten"


@dataclass(frozen=True, slots=True)
class OnEach(Builtin):
    kind: ClassVar[str] = "on-each"
    fn: Fn


@dataclass(frozen=True, slots=True)
class Filter(Builtin):
    kind: ClassVar[str] = "filter"
    fn: Fn


@dataclass(frozen=True, slots=True)
class FilterNotNone(Builtin):
    kind: ClassVar[str] = "filter-not-none"


@dataclass(frozen=True, slots=True)
class Validate(Builtin):
    kind: ClassVar[str] = "validate"
    fn: Fn


@dataclass(frozen=True, slots=True)
class Verify(Builtin):
    kind: ClassVar[str] = "verify"
    fn: Fn


@dataclass(frozen=True, slots=True)
class VerifyAndMap(Builtin):
    kind: ClassVar[str] = "verify-and-map"
    fn: Fn


@dataclass(frozen=True, slots=True)
class Delay(Builtin):
    kind: ClassVar[str] = "delay"
    duration: Any

    def problems(self) -> list[str]:
        if isinstance(self.duration, Uniform | Normal):
            return self.duration.problems()
        return duration_problems("delay", self.duration)


@dataclass(frozen=True, slots=True)
class Pace(Builtin):
    kind: ClassVar[str] = "pace"
    fn: Fn


@dataclass(frozen=True, slots=True)
class ConstantPace(Builtin):
    kind: ClassVar[str] = "constant-pace"
    period: Any

    def problems(self) -> list[str]:
        return duration_problems("constant_pace", self.period)


@dataclass(frozen=True, slots=True)
class AcceleratingPace(Builtin):
    kind: ClassVar[str] = "accelerating-pace"
    start: Any
    accelerator: Any
    minimum: Any

    def problems(self) -> list[str]:
        found = duration_problems("accelerating_pace start", self.start)
        found += duration_problems("accelerating_pace minimum", self.minimum)
        if not isinstance(self.accelerator, int | float) or self.accelerator <= 0:
            found.append(f"accelerating_pace needs an accelerator above 0, not {self.accelerator!r}")
        return found


@dataclass(frozen=True, slots=True)
class Shelve(Builtin):
    kind: ClassVar[str] = "shelve"
    name: str
    fn: Fn


@dataclass(frozen=True, slots=True)
class Unshelve(Builtin):
    kind: ClassVar[str] = "unshelve"
    names: tuple[str, ...]
    delete: bool

    def problems(self) -> list[str]:
        return [] if self.names else ['unshelve needs at least one name, for example unshelve("token")']


@dataclass(frozen=True, slots=True)
class Stage(Builtin):
    kind: ClassVar[str] = "stage"


@dataclass(frozen=True, slots=True)
class Split(Builtin):
    kind: ClassVar[str] = "split"


@dataclass(frozen=True, slots=True)
class Gather(Builtin):
    kind: ClassVar[str] = "gather"


@dataclass(frozen=True, slots=True)
class Choose(Builtin):
    kind: ClassVar[str] = "choose"
    weights: tuple[Any, ...]

    def problems(self) -> list[str]:
        bad = [weight for weight in self.weights if not isinstance(weight, int | float) or weight <= 0]
        return [f"choose needs weights above 0, not {weight!r}" for weight in bad]


@dataclass(frozen=True, slots=True)
class CatchErrors(Builtin):
    kind: ClassVar[str] = "catch-errors"
    fn: Fn


@dataclass(frozen=True, slots=True)
class LogErrors(Builtin):
    kind: ClassVar[str] = "log-errors"


@dataclass(frozen=True, slots=True)
class Recover(Builtin):
    kind: ClassVar[str] = "recover"
    fn: Fn


@dataclass(frozen=True, slots=True)
class BlackHole(Builtin):
    kind: ClassVar[str] = "black-hole"


@dataclass(frozen=True, slots=True)
class Meter(Builtin):
    """counter, gauge, rate, throughput, timer or summary; the meter has the step's name."""

    kind: ClassVar[str] = "meter"
    type: str
    name: str
    fn: Fn

    def default_name(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Walk(Builtin):
    """A journey's function: one call is one pass."""

    kind: ClassVar[str] = "journey"
    name: str
    fn: Fn

    def default_name(self) -> str:
        return self.name


def duration_problems(what: str, value: Any) -> list[str]:
    """Why `value` is no duration of at least zero."""
    try:
        length = seconds(value)
    except ValueError as error:
        return [f"{what}: {error}"]
    if length < 0:
        return [f"{what} cannot be negative: {value!r}"]
    if not isfinite(length):
        return [f"{what} should be a finite duration, not {value!r}"]
    return []
