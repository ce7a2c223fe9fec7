"""Steps that use what another step opened, found by that step's name."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from qalipsis.engine.step import StepRuntime

Opened = TypeVar("Opened")


class Openers(Generic[Opened]):
    """What each named step of a plugin opens, in one scenario of a worker.

    It is asked when a step runs and not when it opens: journeys open their steps as they come to them.
    """

    def __init__(self) -> None:
        self._known: dict[str, Opened] = {}
        self._followed: dict[str, str] = {}

    @staticmethod
    def of(runtime: StepRuntime, plugin: str) -> Openers[Any]:
        """Those of a plugin, which all of its steps share."""
        openers: Openers[Any] = runtime.shared.setdefault((Openers, plugin), Openers())
        return openers

    def opens(self, name: str, opened: Opened) -> None:
        self._known[name] = opened

    def follows(self, name: str, other: str) -> None:
        """The step `name` uses what the step `other` opens, and may be named for it."""
        self._followed[name] = other

    def behind(self, name: str) -> Opened | None:
        """What the step `name` opens or uses; None when no such step was opened yet."""
        passed: set[str] = set()
        while name not in self._known and name in self._followed and name not in passed:
            passed.add(name)
            name = self._followed[name]
        return self._known.get(name)
