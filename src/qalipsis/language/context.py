"""One execution of one step for one minion, as user code sees it."""

from __future__ import annotations

from typing import Any, Protocol

from qalipsis.language.minion import Shelf


class Context(Protocol):
    """Valid while the step runs; do not keep it. Stamps are epoch seconds."""

    @property
    def minion(self) -> Shelf:
        """The minion: its index, random numbers and shelved values."""

    @property
    def input(self) -> Any:
        """What the previous step sent."""

    @property
    def step(self) -> str: ...

    @property
    def previous_step(self) -> str | None: ...

    @property
    def errors(self) -> tuple[BaseException, ...]:
        """Errors of this record so far, oldest first."""

    @property
    def iteration(self) -> int:
        """Counts from 0 under `iterate`."""

    @property
    def is_exhausted(self) -> bool:
        """True once a step failed; only steps that process errors still run."""

    @property
    def is_tail(self) -> bool:
        """True for the last record of this pass at this point."""

    @property
    def due_at(self) -> float:
        """When this step was planned to start, in epoch seconds."""

    def send(self, value: Any) -> None:
        """Emit one output (in `execute`); outputs go on in order once the step has returned."""
