"""One record on its way down a chain."""

from __future__ import annotations

from typing import Any, Protocol

from qalipsis.engine.minion import Minion


class Placed(Protocol):
    """A step of a chain."""

    name: str
    previous_name: str | None


class Context:
    """What `language.context.Context` promises, and what steps need of it.

    One context serves a whole walk: the walk changes it from step to step. `due` is in seconds of the
    monotonic clock.
    """

    __slots__ = (
        "due",
        "errors",
        "is_over",
        "is_tail",
        "iteration",
        "minion",
        "operation",
        "outputs",
        "value",
    )

    def __init__(self, minion: Minion, value: Any, due: float, is_tail: bool = True) -> None:
        self.minion = minion
        self.value = value
        self.due = due
        self.is_tail = is_tail
        self.iteration = 0
        self.errors: tuple[BaseException, ...] = ()
        self.operation: Placed | None = None
        self.outputs: list[Any] | None = None
        self.is_over = False
        """True once the strand went on without waiting for the coroutine that holds this context."""

    def fork(self) -> Context:
        """An independent record with the same value, for a branch or a coroutine."""
        fork = Context(self.minion, self.value, self.due, self.is_tail)
        fork.iteration = self.iteration
        fork.errors = self.errors
        fork.operation = self.operation
        return fork

    @property
    def input(self) -> Any:
        return self.value

    @property
    def step(self) -> str:
        return self.operation.name if self.operation is not None else ""

    @property
    def previous_step(self) -> str | None:
        return self.operation.previous_name if self.operation is not None else None

    @property
    def is_exhausted(self) -> bool:
        return bool(self.errors)

    @property
    def due_at(self) -> float:
        return self.minion.scene.clock.epoch(self.due)

    def send(self, value: Any) -> None:
        if self.outputs is None:
            raise RuntimeError("only the function of an execute step can send; return a value instead")
        self.outputs.append(value)
