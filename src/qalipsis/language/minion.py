"""One simulated user, as user code sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from random import Random
from typing import Any, Protocol, TypeVar

from qalipsis.language.distributions import Normal, Uniform
from qalipsis.language.durations import Duration
from qalipsis.language.source import Feed, Source
from qalipsis.language.spec import Spec

Out = TypeVar("Out")


class Shelf(Protocol):
    """What every minion has: an index, random numbers, and values kept by name from pass to pass."""

    @property
    def index(self) -> int: ...

    @property
    def random(self) -> Random:
        """Seeded by campaign, scenario and index: the same seed repeats the minion's choices."""

    @property
    def shelf(self) -> MutableMapping[str, Any]: ...

    def __getitem__(self, name: str) -> Any: ...

    def __setitem__(self, name: str, value: Any) -> None: ...

    def __contains__(self, name: object) -> bool: ...


class Walk(Protocol):
    """Something with a journey's function."""

    @property
    def function(self) -> Callable[[Any], Awaitable[None]]: ...


class Minion(Shelf, Protocol):
    """The hand a journey acts with."""

    async def do(self, spec: Spec[Any, Out], value: Any = None, name: str | None = None) -> Out:
        """Run a step with `value` as its input; raises StepFailed when it fails."""

    async def take(self, source: Source[Out] | Feed[Out], name: str | None = None) -> Out:
        """The next record of a source. When it has none left, the journey ends here, in order.

        Keep the source at module level: sources written inside of a journey are one only while they are
        equal, which two functions never are.
        """

    async def pause(self, duration: Duration | Uniform | Normal) -> None:
        """Wait; the next step is due when the pause is over."""

    async def run(self, journey: Walk) -> None:
        """Walk another journey's function, as part of this pass."""

    def timer(self, name: str, duration: Duration) -> None:
        """Record a duration under `name`."""


JourneyFunction = Callable[[Minion], Awaitable[None]]


class StepFailed(Exception):
    """A step run by `minion.do` failed: `kind` is the class it was counted under."""

    def __init__(self, step: str, kind: str, message: str) -> None:
        super().__init__(f"{step}: {message}")
        self.step = step
        self.kind = kind
