"""A node of the plan, ready to run: what the walk looks at for each step."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from qalipsis.engine.context import Context
from qalipsis.engine.step import BeginStep, ExecuteStep
from qalipsis.metrics.meters import StepMeters
from qalipsis.plan.model import Backoff

Operations = tuple["Operation", ...]


class Kind(IntEnum):
    """How the walk runs an operation; the first ones are the hot ones."""

    CALL = 0
    """Synchronous: `call(context)` returns the output, or DROP."""
    BEGIN = 1
    """I/O: `step.begin`, then the connection resumes the strand."""
    PAUSE = 2
    """Waits `delay`, or as long as `call(context)` says."""
    LOOP = 3
    """Stands before an iterated operation: the rest of the chain is walked once per iteration."""
    EXPAND = 4
    """`call(context)` returns an iterable; the rest of the chain is walked once per item."""
    PERFORM = 5
    """Everything else: coroutines, sub-graphs, and any operation with retries or a deadline of its own."""
    SPLIT = 6
    """Starts branches and goes on."""
    TAKE = 7
    """`call(context)` returns an output, DROP, or WAIT: then `begin` makes the strand wait for one."""
    ERRORS = 8
    """Processes errors: `call(context)`; runs only for a failed record."""
    RECOVER = 9
    """As ERRORS, then the record is good again."""
    PACE = 10
    """Waits until the moment that `call(context)` returns."""


class Mode(IntEnum):
    """What PERFORM performs."""

    CALL = 0
    BEGIN = 1
    PAUSE = 2
    COROUTINE = 3
    STAGE = 4
    CHOOSE = 5
    GATHER = 6
    TAKE = 7
    PACE = 8


class Dropped:
    """The output of a record that just ends."""

    def __repr__(self) -> str:
        return "DROP"


DROP = Dropped()


class Waiting:
    """No output yet: the strand is resumed with it."""

    def __repr__(self) -> str:
        return "WAIT"


WAIT = Waiting()


class Operation:
    """Slots instead of a dataclass: these attributes are read several times per request."""

    __slots__ = (
        "begin",
        "branches",
        "call",
        "coroutine",
        "count",
        "delay",
        "index",
        "is_due_now",
        "is_looped",
        "is_metered",
        "is_slow",
        "is_told",
        "kind",
        "meters",
        "mode",
        "name",
        "next",
        "on_error",
        "period",
        "previous_name",
        "retry",
        "step",
        "stop_on_error",
        "tags",
        "timeout",
        "weights",
    )

    def __init__(self, kind: Kind, name: str, meters: StepMeters) -> None:
        self.kind = kind
        self.mode = Mode.CALL
        self.name = name
        self.meters = meters
        self.index = 0
        self.previous_name: str | None = None
        self.next: Operation | None = None
        """The operation behind it, None at the end of the chain."""
        self.on_error: Operation | None = None
        """The next operation that processes errors, if any."""
        self.is_due_now = False
        """True where `due` is the end of the step before; otherwise the walk has set it."""
        self.call: Callable[[Context], Any] = _not_callable
        self.coroutine: Callable[[Context], Any] | None = None
        self.step: BeginStep | ExecuteStep | None = None
        self.begin: Callable[..., Any] = _not_callable
        self.branches: tuple[Operations, ...] = ()
        self.weights: tuple[float, ...] = ()
        self.is_metered = False
        """True where the duration is wanted of a step that records none by itself."""
        self.is_told = False
        """True where executions are told as events."""
        self.tags: tuple[tuple[str, str], ...] = ()
        self.timeout = 0.0
        self.retry: Backoff | None = None
        self.delay: float | None = None
        """A fixed pause in seconds, for which `call` is not called."""
        self.is_looped = False
        """True for a pause right behind a loop without a period: `due` was read on the way back to it."""
        self.is_slow = False
        """True where a step that processes errors has retries or a deadline."""
        self.count = 1
        self.period: float | None = None
        """Seconds between the planned beginnings of two iterations; None when they follow at once."""
        self.stop_on_error = False


def _not_callable(*_: Any) -> Any:
    raise TypeError("this operation is not called")
