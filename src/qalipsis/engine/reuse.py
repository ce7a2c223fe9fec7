"""Steps that use what another step opened, found by that step's name."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from qalipsis.engine.step import StepContext, StepError, StepRuntime

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


class CloseStep:
    """Leaves what the minion uses of a client, or of the client of another step; emits its input.

    The spec has a `client`, or the name of a `step`. What steps share of a client is its value in
    `runtime.shared`; under that, the minion keeps the resource that is told to `leave(why)`.
    """

    def __init__(self, spec: Any, plugin: str, what: str) -> None:
        self._spec = spec
        self._plugin = plugin
        self._what = what

    async def open(self, runtime: StepRuntime) -> None:
        self._shared = runtime.shared
        self._openers = Openers.of(runtime, self._plugin)
        self._why = f"the step {runtime.meters.name!r} closed the {self._what}"

    async def execute(self, context: StepContext) -> Any:
        spec = self._spec
        if spec.client is not None:
            opened = self._shared.get(spec.client)
        else:
            opened = self._openers.behind(spec.step)
            if opened is None:
                raise StepError("not-connected", f"there is no step {spec.step!r} that opens a {self._what}")
        used: Any = context.minion.resources.get(opened)
        if used is not None:
            used.leave(self._why)
        return context.value

    async def aclose(self) -> None: ...
