"""Several machines on one virtual event loop: each may crash or freeze between any two of its callbacks."""

from __future__ import annotations

import asyncio
from asyncio import Handle, Task
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from selectors import SelectorKey
from typing import Any

from qalipsis.testing.virtual_loop import VirtualLoop

_MACHINE: ContextVar[Machine] = ContextVar("machine")
MOST_TURNS = 20_000
_NOWHERE = Context()
"""Of what is noted about machines: none of them runs it."""


def here() -> Machine | None:
    """The machine whose code runs now."""
    return _MACHINE.get(None)


class Machine:
    """What runs in its context, tasks and timers and pipes, belongs to it, and so do the machines in it.

    A machine that is frozen, or dead, runs nothing: no exception is raised in it, no `finally` is reached.
    """

    def __init__(self, loop: MachineLoop, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.is_frozen = False
        self.thawed_at = loop.time()
        self.parts: list[Machine] = []
        self.on_crash: Callable[[], None] = lambda: None
        self.unfinished: set[Task[Any]] = set()
        self._loop = loop
        self._parked: list[Handle] = []
        self._deaf: list[SelectorKey] = []
        self._context = copy_context()
        self._context.run(_MACHINE.set, self)

    @property
    def is_running(self) -> bool:
        return not self.is_dead and not self.is_frozen

    def spawn(self, work: Coroutine[Any, Any, Any]) -> Task[Any]:
        return self._loop.create_task(work, context=self._context.copy())

    def freeze(self) -> None:
        """Suspend it, as SIGSTOP does; parts are suspended by themselves."""
        if self.is_running:
            self.is_frozen = True
            self._deaf += self._loop.deafen(self)

    def thaw(self) -> None:
        """Everything that was to happen meanwhile happens now, in order."""
        if self.is_frozen and not self.is_dead:
            self.is_frozen = False
            self.thawed_at = self._loop.time()
            self._go_on()

    def crash(self) -> None:
        """End it with everything in it, as SIGKILL does."""
        for part in self.parts:
            part.crash()
        if not self.is_dead:
            self.is_dead = True
            self._deaf += self._loop.deafen(self)
            self.on_crash()

    def bury(self) -> None:
        """Once nothing can matter any more: let the tasks of a dead machine end, for Python's sake."""
        self.is_dead = self.is_frozen = False
        self._deaf.clear()
        for task in tuple(self.unfinished):
            task.cancel()
        self._go_on()

    def run(self, own: list[Handle], callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Run a callback, or keep it for later: its handle may still be cancelled then."""
        if self.is_running:
            callback(*arguments)
        else:
            self._parked += own

    def _go_on(self) -> None:
        self._loop.listen(self._deaf)
        self._deaf = []
        parked, self._parked = self._parked, []
        self._loop.run_again(parked)


class Livelock(Exception):
    """Something goes on for ever, and no time passes."""


class MachineLoop(VirtualLoop):
    """Knows of each callback on which machine it runs; what belongs to none runs always."""

    def __init__(self) -> None:
        super().__init__()
        self.set_task_factory(_noted)
        self._turns = 0
        self._turned_at = 0.0

    def _run_once(self) -> None:
        self._turns = self._turns + 1 if self._turned_at == self._virtual_now else 0
        self._turned_at = self._virtual_now
        if self._turns > MOST_TURNS:
            raise Livelock(f"{MOST_TURNS} turns of the loop, and no time has passed")
        super()._run_once()  # type: ignore[misc]

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Handle:  # type: ignore[override]
        return self._on_machine(super().call_soon, (), callback, args, context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:  # type: ignore[override]
        return self._on_machine(super().call_at, (when,), callback, args, context)

    def deafen(self, machine: Machine) -> list[SelectorKey]:
        """Watch its pipes no longer."""
        keys = [key for key in self._selector.get_map().values() if _owner(key) is machine]
        for key in keys:
            self._selector.unregister(key.fileobj)
        return keys

    def listen(self, keys: list[SelectorKey]) -> None:
        for key in keys:
            self._selector.register(key.fileobj, key.events, key.data)

    def run_again(self, handles: list[Handle]) -> None:
        self._ready.extend(handles)

    @staticmethod
    def _on_machine(
        call: Callable[..., Any],
        when: tuple[float, ...],
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        context: Context | None,
    ) -> Any:
        context = copy_context() if context is None else context
        machine = context.get(_MACHINE)
        if machine is None:
            return call(*when, callback, *args, context=context)
        own: list[Handle] = []
        handle = call(*when, machine.run, own, callback, args, context=context)
        own.append(handle)
        return handle


def _noted(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], context: Context | None = None
) -> Task[Any]:
    task = Task(work, loop=loop, context=context)
    machine = _MACHINE.get(None) if context is None else context.get(_MACHINE)
    if machine is not None:
        machine.unfinished.add(task)
        task.add_done_callback(machine.unfinished.discard, context=_NOWHERE)
    return task


def _owner(key: SelectorKey) -> Machine | None:
    """Whose pipe this is, by the callbacks for reading and writing it."""
    for handle in key.data or ():
        if handle is not None:
            return handle._context.get(_MACHINE)
    return None
