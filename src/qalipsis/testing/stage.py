"""What the fakes of one run share: when it began, and the first mistake of the test that showed."""

from __future__ import annotations

from collections.abc import Callable

from qalipsis.engine.step import StepError


class Stage:
    """A fake raises StepError to let a step fail. Anything else it raises is a defect of the test."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began: float | None = None
        self.broken: BaseException | None = None
        self.on_broken: Callable[[], None] = lambda: None

    def begin(self, at: float) -> None:
        """The minions start at `at`."""
        self._began = at

    @property
    def seconds(self) -> float:
        """Since the minions started."""
        return 0.0 if self._began is None else self._now() - self._began

    def broke(self, error: BaseException) -> StepError:
        """Remember it, for the run raises it at its end; returns what the step that met it fails with."""
        if self.broken is None:
            self.broken = error
            self.on_broken()
        return StepError("fake", f"the fake broke: {type(error).__name__}: {error}")
