"""Turns the nodes of a plan into operations: opens their steps, resolves their meters, links them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

from qalipsis.engine import builtin
from qalipsis.engine.context import Context
from qalipsis.engine.journey import journey
from qalipsis.engine.operation import Kind, Mode, Operation, Operations
from qalipsis.engine.scene import Scene
from qalipsis.engine.step import BeginStep, ExecuteStep, Pending, StepError, StepRuntime, Strand
from qalipsis.engine.supply import Supply
from qalipsis.errors import ServiceUnavailable
from qalipsis.language import steps
from qalipsis.language.distributions import Normal, Uniform
from qalipsis.language.durations import seconds
from qalipsis.language.joins import Meeting
from qalipsis.language.source import Feed, Source
from qalipsis.language.spec import Spec
from qalipsis.metrics.meters import StepMeters
from qalipsis.plan.model import Node
from qalipsis.plan.properties import Properties

_log = logging.getLogger(__name__)

StepFactory = Callable[[Any], BeginStep | ExecuteStep]

MAX_INNER_NAMES = 100
MAX_INNER_STEPS = 512
"""Specs of journeys kept open; those made anew in each pass push out the oldest."""
QUICK = (Kind.CALL, Kind.EXPAND, Kind.SPLIT, Kind.ERRORS, Kind.RECOVER)
"""Kinds that wait for nobody."""
RECORDING = (Mode.BEGIN, Mode.COROUTINE, Mode.STAGE)
"""Modes that record their latency whether monitored or not."""
WAITING = {Kind.PAUSE: Mode.PAUSE, Kind.PACE: Mode.PACE}
MODES = {"stage": Mode.STAGE, "choose": Mode.CHOOSE, "gather": Mode.GATHER}


class Taken(Protocol):
    """Feeds, joins and collects: they have an output at once, or later."""

    def take(self, context: Context) -> Any: ...

    def wait(self, context: Context, strand: Strand) -> Pending: ...


class Assembly:
    """Builds one scenario's operations in one worker and keeps the steps it opened."""

    def __init__(
        self,
        scene: Scene,
        find_step: Callable[[str], StepFactory],
        properties: Properties | None,
        supply: Supply,
    ) -> None:
        self._scene = scene
        self._supply = supply
        self._find_step = find_step
        self._properties = properties
        self._shared: dict[Any, Any] = {}
        self._inner: dict[tuple[int, str], tuple[Any, Operation]] = {}
        self._inner_feeds: list[tuple[Feed[Any], str, Operation]] = []
        self._unavailable: dict[tuple[int, str], tuple[Any, str]] = {}
        self._inner_names: set[str] = set()
        self._inner_timers: set[str] = set()
        self._opening = asyncio.Lock()
        self._opened: list[Operation] = []
        self.closing = ""
        """The name of the step that is closed now, or was last."""

    async def chain(self, nodes: Sequence[Node], supply: Supply | None = None) -> Operations:
        """The operations of a chain, with a loop before every iterated one."""
        supply = supply or self._supply
        operations: list[Operation] = []
        previous: str | None = None
        for node in nodes:
            operation = await self._operation(node, supply)
            operation.previous_name = previous
            if not isinstance(node.spec, steps.Tap):
                previous = node.name
            if node.iterate is not None:
                loop = Operation(Kind.LOOP, node.name, operation.meters)
                loop.count, loop.period = node.iterate.count, node.iterate.period or None
                operation.is_looped = operation.kind is Kind.PAUSE and loop.period is None
                loop.stop_on_error = operation.stop_on_error = node.iterate.stop_on_error
                operations.append(loop)
            operations.append(operation)
        _link(operations)
        return tuple(operations)

    async def operation(self, spec: Spec[Any, Any], name: str | None) -> Operation:
        """The operation of a step that a journey names; opened at first use."""
        if name is None:
            name = spec.default_name()
        known = self._inner.get((id(spec), name))
        if known is None:
            async with self._opening:
                known = self._inner.get((id(spec), name)) or await self._open_inner(spec, name)
        return known[1]

    async def _open_inner(self, spec: Spec[Any, Any], name: str) -> tuple[Any, Operation]:
        if (id(spec), name) in self._unavailable:
            # Waiting for it again and again, minion after minion, would hold up everyone.
            raise StepError("unavailable", self._unavailable[id(spec), name][1])
        if name not in self._inner_names:
            if len(self._inner_names) >= MAX_INNER_NAMES:
                raise StepError(
                    "too-many-steps",
                    f"a journey may name {MAX_INNER_NAMES} steps, and {name!r} is one more: "
                    "give do(…, name=…) a fixed name",
                )
            self._inner_names.add(name)
        resolved = spec if self._properties is None else self._properties.resolve(spec)
        if isinstance(resolved, Source):
            resolved = resolved.unicast()
        kept = self._kept_feed(resolved, name) if isinstance(resolved, Feed) else None
        if kept is not None:
            return self._keep(spec, name, kept)
        for problem in resolved.problems():
            raise StepError("invalid", problem)
        kind = resolved.source.kind if isinstance(resolved, Feed) else resolved.kind
        meters = self._meters(name, kind)
        try:
            operation = await self._plain(resolved, name, meters, (), self._supply)
        except ServiceUnavailable as error:
            self._unavailable[id(spec), name] = (spec, str(error))
            raise StepError("unavailable", str(error)) from error
        if isinstance(resolved, Feed):
            self._inner_feeds.append((resolved, name, operation))
        return self._keep(spec, name, operation)

    def _kept_feed(self, feed: Feed[Any], name: str) -> Operation | None:
        """The feed that a journey took from before: opened again, it would hand out its records again."""
        for known, known_name, operation in self._inner_feeds:
            if known_name == name and known == feed:
                return operation
        if len(self._inner_feeds) >= MAX_INNER_NAMES:
            raise StepError(
                "too-many-sources",
                f"a journey may take from {MAX_INNER_NAMES} sources, and {name!r} is one more: "
                "keep sources at module level",
            )
        return None

    def _keep(self, spec: Any, name: str, operation: Operation) -> tuple[Any, Operation]:
        if len(self._inner) >= MAX_INNER_STEPS:
            # Not closed: what it shares with the other steps of its client is still in use.
            self._inner.pop(next(iter(self._inner)))
        # The spec is kept beside its operation: its id must not be given to another one meanwhile.
        self._inner[id(spec), name] = (spec, operation)
        return spec, operation

    def record_timer(self, name: str, duration: float) -> None:
        if name not in self._inner_timers:
            if len(self._inner_timers) >= MAX_INNER_NAMES:
                raise StepError(
                    "too-many-timers",
                    f"a journey may name {MAX_INNER_NAMES} timers, and {name!r} is one more: "
                    "give timer(…) a fixed name",
                )
            self._inner_timers.add(name)
        self._scene.meters.meter(self._scene.scenario, name, "timer").record(duration)

    @property
    def steps(self) -> tuple[BeginStep | ExecuteStep, ...]:
        """Those that were opened so far, but for the ones that journeys name as they run."""
        return tuple(operation.step for operation in self._opened if operation.step is not None)

    async def aclose(self) -> None:
        """Close the steps, one after the other; one that breaks keeps no other open."""
        of_journeys = [operation for _, operation in self._inner.values()]
        for operation in (*self._opened, *of_journeys):
            if operation.step is None:
                continue
            self.closing = operation.name
            try:
                await operation.step.aclose()
            except Exception as error:
                _log.error("closing the step %s broke", operation.name, exc_info=error)

    def _meters(self, name: str, kind: str) -> StepMeters:
        scene = self._scene
        meters = scene.meters.step(scene.scenario, name, kind)
        if scene.events is not None:
            meters.tell = scene.events.of_step(kind, name)
        return meters

    async def _operation(self, node: Node, supply: Supply) -> Operation:
        meters = self._meters(node.name, node.kind)
        branches = tuple([await self.chain(branch, supply) for branch in node.branches])
        operation = await self._plain(node.spec, node.name, meters, branches, supply)
        if operation.step is not None:
            self._opened.append(operation)
        operation.index = node.index
        operation.retry = node.retry
        operation.timeout = node.timeout or 0.0
        operation.is_told = node.monitor_events and self._scene.events is not None
        waits = isinstance(node.spec, Meeting)  # for what belongs to it: how long is what an author asks
        operation.is_metered = (node.monitor_meters or waits) and operation.mode not in RECORDING
        operation.tags = (("step", node.name), *node.tags)
        has_own_deadline = node.timeout is not None and operation.kind is not Kind.BEGIN
        if node.retry is not None or has_own_deadline or operation.is_told or operation.is_metered:
            _slow_down(operation)
        return operation

    async def _plain(
        self, spec: Any, name: str, meters: StepMeters, branches: tuple[Operations, ...], supply: Supply
    ) -> Operation:
        kind = type(spec)
        if kind in builtin.CALLS:
            return _calling(Kind.CALL, name, meters, builtin.CALLS[kind](spec))
        if kind in builtin.EXPANDS:
            return _calling(Kind.EXPAND, name, meters, builtin.EXPANDS[kind](spec))
        if kind in builtin.PACES:
            key = len(self._shared)
            self._shared[f"pace {key}"] = name
            return _calling(Kind.PACE, name, meters, builtin.PACES[kind](spec, key))
        if isinstance(spec, steps.Delay):
            operation = _calling(Kind.PAUSE, name, meters, builtin.delay(spec))
            if not isinstance(spec.duration, Uniform | Normal):
                operation.delay = seconds(spec.duration)
            return operation
        if kind is steps.Recover:
            return _calling(Kind.RECOVER, name, meters, builtin.catch_errors(spec))
        if kind in builtin.ERRORS:
            return _calling(Kind.ERRORS, name, meters, builtin.ERRORS[kind](spec))
        if isinstance(spec, steps.Meter):
            target = self._scene.meters.meter(self._scene.scenario, spec.name, spec.type)
            return _calling(Kind.CALL, name, meters, builtin.meter(spec, target))
        if isinstance(spec, Feed):
            return _taking(name, meters, await supply.open_feed(spec, name, meters))
        if isinstance(spec, Meeting):
            return _taking(name, meters, await supply.open_join(spec, name, meters))
        if isinstance(spec, steps.Collect):
            return _taking(name, meters, supply.make_collect(spec))
        if isinstance(spec, steps.Tap):
            return _calling(Kind.CALL, name, meters, supply.branch(spec.step).tap)
        if isinstance(spec, steps.Split):
            operation = Operation(Kind.SPLIT, name, meters)
            operation.branches = branches
            return operation
        if isinstance(spec, steps.Execute):
            return _coroutine(name, meters, spec.fn)
        if isinstance(spec, steps.Walk):
            return _coroutine(name, meters, journey(spec.fn, self))
        if isinstance(spec, steps.Builtin):
            operation = Operation(Kind.PERFORM, name, meters)
            operation.mode = MODES[spec.kind]
            operation.branches = branches
            operation.weights = spec.weights if isinstance(spec, steps.Choose) else ()
            return operation
        return await self._plugin(spec, name, meters)

    async def _plugin(self, spec: Any, name: str, meters: StepMeters) -> Operation:
        step = self._find_step(spec.kind)(spec)
        scene = self._scene
        await step.open(
            StepRuntime(
                clock=scene.clock,
                wheel=scene.wheel,
                meters=meters,
                worker_meters=scene.meters,
                ledger=scene.ledger,
                shared=self._shared,
            )
        )
        begin = getattr(step, "begin", None)
        if begin is None:
            operation = _coroutine(name, meters, step.execute)  # type: ignore[union-attr]
            operation.step = step
            return operation
        operation = Operation(Kind.BEGIN, name, meters)
        operation.step = step
        operation.mode = Mode.BEGIN
        operation.begin = begin
        return operation


def _calling(kind: Kind, name: str, meters: StepMeters, call: builtin.Call) -> Operation:
    operation = Operation(kind, name, meters)
    operation.call = call
    operation.mode = WAITING.get(kind, Mode.CALL)
    return operation


def _taking(name: str, meters: StepMeters, taken: Taken) -> Operation:
    operation = Operation(Kind.TAKE, name, meters)
    operation.mode = Mode.TAKE
    operation.call = taken.take
    operation.begin = taken.wait
    return operation


def _coroutine(name: str, meters: StepMeters, function: Callable[[Any], Any]) -> Operation:
    operation = Operation(Kind.PERFORM, name, meters)
    operation.mode = Mode.COROUTINE
    operation.coroutine = function
    return operation


def _is_quick(operation: Operation) -> bool:
    return operation.kind in QUICK or (operation.kind is Kind.PERFORM and operation.mode is Mode.CALL)


def _slow_down(operation: Operation) -> None:
    """Retries, monitoring, and deadlines around code that is not I/O take the general path."""
    operation.is_slow = True
    if operation.kind in (Kind.CALL, Kind.BEGIN, Kind.PAUSE, Kind.PACE, Kind.TAKE):
        operation.kind = Kind.PERFORM


def _link(operations: list[Operation]) -> None:
    """Set what comes next, where failures go, and which operations are due when the one before is done."""
    on_error: Operation | None = None
    for place in range(len(operations) - 1, -1, -1):
        operation = operations[place]
        operation.on_error = on_error
        if operation.kind in (Kind.ERRORS, Kind.RECOVER):
            # An iterated one is entered through its loop.
            before = operations[place - 1] if place else operation
            on_error = before if before.kind is Kind.LOOP else operation
    is_planned = True
    for before, operation in pairwise(operations):
        before.next = operation
        # `due` is planned at the start of a pass, after pauses and loops; synchronous steps pass it on, so
        # that a late start shows in the first request. What waits for others makes it the moment it is done.
        is_planned = (
            before.mode in WAITING.values() or before.kind is Kind.LOOP or (is_planned and _is_quick(before))
        )
        operation.is_due_now = not is_planned
