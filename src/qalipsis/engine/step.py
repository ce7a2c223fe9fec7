"""The contract between the engine and a step: three kinds, told apart by the method they have.

- `call`: synchronous, is called on the hot path and never awaited;
- `begin`: starts I/O and returns at once; the driver later resumes the strand it was given;
- `execute`: a coroutine (user code, journeys, drivers); only this kind gets a task.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qalipsis.clock import Clock, TimerHandle
from qalipsis.metrics.ledger import ScenarioLedger
from qalipsis.metrics.meters import StepMeters, WorkerMeters


class StepError(Exception):
    """A failing execution, as data: `kind` is the class it is counted under."""

    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(message or kind)
        self.kind = kind


class Fenced(StepError):
    """Nothing may be sent any more: the head may have given these minions to somebody else.

    It ends the walk, whatever the chain makes of errors: minions that go on would only meet it again.
    """

    def __init__(self) -> None:
        super().__init__("fenced", "the worker's lease has expired, so nothing was sent")


class Resource(Protocol):
    """Something a minion keeps from step to step (a connection); closed when the minion ends."""

    def close(self) -> None:
        """Give everything back now, without waiting; safe to call twice."""


class StepMinion(Protocol):
    """What a step may know of the minion it works for."""

    @property
    def index(self) -> int: ...

    @property
    def resources(self) -> MutableMapping[Any, Resource]:
        """Kept from pass to pass; keys belong to the plugin (use an object of its own)."""


class StepContext(Protocol):
    """One execution, as a step sees it. Stamps are seconds of the monotonic clock."""

    minion: StepMinion
    value: Any
    due: float


class Strand(Protocol):
    """One line of a minion's walk, waiting for exactly one answer."""

    def resume(self, value: Any) -> None:
        """Go on with the step's output. Runs the minion's next steps before it returns."""

    def fail(self, error: BaseException) -> None:
        """Go on with a failure: a StepError, or whatever user code raised."""


class Pending(Protocol):
    """I/O that was begun."""

    def cancel(self) -> None:
        """Give up: release everything now; neither resume nor fail may be called afterwards."""


class Wheel(Protocol):
    """The worker's timers: thousands are cheap, to the millisecond, never early."""

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle: ...


@dataclass(frozen=True, slots=True)
class StepRuntime:
    """Everything a step may use; given when it opens, so that nothing is looked up later."""

    clock: Clock
    wheel: Wheel
    meters: StepMeters
    worker_meters: WorkerMeters
    ledger: ScenarioLedger
    shared: MutableMapping[Any, Any]
    """Shared by all steps of the worker's scenario, for example one pool per client."""


class BeginStep(Protocol):
    """I/O on the hot path."""

    async def open(self, runtime: StepRuntime) -> None:
        """Once before the campaign: resolve templates, meters, addresses."""

    async def reach(self) -> None:
        """Optional. See before the start that the target can be reached; raises ServiceUnavailable."""

    async def warm_up(self, minions: Sequence[StepMinion]) -> None:
        """Connect ahead of the start, when the author asked for it; no request is sent."""

    def connections(self, minions: int) -> dict[tuple[str, int], int]:
        """How many connections per (host, port) this step can hold open for so many minions."""

    def begin(self, context: StepContext, strand: Strand) -> Pending:
        """Start. The strand is resumed or failed later, once, never from within this call.

        Raises StepError when it cannot even start.
        """

    async def aclose(self) -> None:
        """Close what the step shares in `runtime.shared`; once per step, at the end of the campaign."""


class ExecuteStep(Protocol):
    """A coroutine per execution."""

    async def open(self, runtime: StepRuntime) -> None: ...

    async def execute(self, context: Any) -> Any: ...

    async def aclose(self) -> None: ...
