"""The built-in verbs as values; `engine` knows how each one runs. Durations are kept as written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from qalipsis.language.callables import function_problems
from qalipsis.language.distributions import Normal, Uniform
from qalipsis.language.durations import duration_problems, seconds
from qalipsis.language.spec import Spec

Fn = Callable[..., Any]


class Builtin(Spec[Any, Any]):
    """A verb of the language itself."""

    def default_name(self) -> str:
        return self.kind


class Calling(Builtin):
    """A verb that calls a function of the author, in one of the `forms`."""

    fn: Fn
    forms: ClassVar[tuple[str, ...]] = ("value", "context, value")

    def problems(self) -> list[str]:
        return function_problems(self.verb, self.fn, self.forms)

    @property
    def verb(self) -> str:
        return self.kind.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Returns(Builtin):
    kind: ClassVar[str] = "returns"
    value: Any


@dataclass(frozen=True, slots=True)
class Execute(Calling):
    kind: ClassVar[str] = "execute"
    forms: ClassVar[tuple[str, ...]] = ("context",)
    fn: Fn


@dataclass(frozen=True, slots=True)
class Pipe(Builtin):
    kind: ClassVar[str] = "pipe"


@dataclass(frozen=True, slots=True)
class Map(Calling):
    kind: ClassVar[str] = "map"
    fn: Fn


@dataclass(frozen=True, slots=True)
class MapWithContext(Calling):
    kind: ClassVar[str] = "map-with-context"
    forms: ClassVar[tuple[str, ...]] = ("context, value",)
    fn: Fn


@dataclass(frozen=True, slots=True)
class FlatMap(Calling):
    kind: ClassVar[str] = "flat-map"
    fn: Fn


@dataclass(frozen=True, slots=True)
class Flatten(Builtin):
    kind: ClassVar[str] = "flatten"


@dataclass(frozen=True, slots=True)
class OnEach(Calling):
    kind: ClassVar[str] = "on-each"
    fn: Fn


@dataclass(frozen=True, slots=True)
class Filter(Calling):
    kind: ClassVar[str] = "filter"
    fn: Fn


@dataclass(frozen=True, slots=True)
class FilterNotNone(Builtin):
    kind: ClassVar[str] = "filter-not-none"


@dataclass(frozen=True, slots=True)
class Validate(Calling):
    kind: ClassVar[str] = "validate"
    fn: Fn


@dataclass(frozen=True, slots=True)
class Verify(Calling):
    kind: ClassVar[str] = "verify"
    fn: Fn


@dataclass(frozen=True, slots=True)
class VerifyAndMap(Calling):
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
class Pace(Calling):
    kind: ClassVar[str] = "pace"
    forms: ClassVar[tuple[str, ...]] = ("last_period",)
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
class Shelve(Calling):
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
class Collect(Builtin):
    """Records of many minions, gathered into lists."""

    kind: ClassVar[str] = "collect"
    timeout: Any
    batch_size: Any

    def problems(self) -> list[str]:
        found = duration_problems("collect timeout", self.timeout)
        if not found and seconds(self.timeout) == 0:
            found.append("collect needs a timeout above 0, after which it releases what it has")
        size = self.batch_size
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            found.append(f"collect(batch_size={size!r}) should be a whole number of at least 1")
        return found


@dataclass(frozen=True, slots=True)
class Tap(Builtin):
    """Hands a copy of each record to the joins that name the step before it; put there by the compiler."""

    kind: ClassVar[str] = "tap"
    step: str


@dataclass(frozen=True, slots=True)
class CatchErrors(Calling):
    kind: ClassVar[str] = "catch-errors"
    forms: ClassVar[tuple[str, ...]] = ("errors",)
    fn: Fn


@dataclass(frozen=True, slots=True)
class LogErrors(Builtin):
    kind: ClassVar[str] = "log-errors"


@dataclass(frozen=True, slots=True)
class Recover(Calling):
    kind: ClassVar[str] = "recover"
    forms: ClassVar[tuple[str, ...]] = ("errors",)
    fn: Fn


@dataclass(frozen=True, slots=True)
class BlackHole(Builtin):
    kind: ClassVar[str] = "black-hole"


@dataclass(frozen=True, slots=True)
class Meter(Calling):
    """counter, gauge, rate, throughput, timer or summary; the meter has the step's name."""

    kind: ClassVar[str] = "meter"
    type: str
    name: str
    fn: Fn

    @property
    def verb(self) -> str:
        return self.type

    def default_name(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Walk(Calling):
    """A journey's function: one call is one pass."""

    kind: ClassVar[str] = "journey"
    forms: ClassVar[tuple[str, ...]] = ("minion",)
    name: str
    fn: Fn

    def default_name(self) -> str:
        return self.name
