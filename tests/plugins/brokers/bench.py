"""Drives single steps and readers as the engine does, and whole scenarios on real time in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest

from qalipsis import registry
from qalipsis.engine.runner import WorkerEngine
from qalipsis.engine.source import Reader, ReaderRuntime
from qalipsis.engine.step import StepError, StepRuntime
from qalipsis.engine.wheel import TimerWheel
from qalipsis.language.chain import Chain
from qalipsis.metrics.ledger import ScenarioLedger, Slot, ledger_bytes
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.model import Plan
from qalipsis.plan.ownership import Ownership
from qalipsis.plan.properties import Properties
from qalipsis.system_clock import SystemClock

PATIENCE = 20.0
"""Seconds after which a test says that what it waits for does not come."""


class Minion:
    def __init__(self, index: int = 0) -> None:
        self.index = index
        self.resources: dict[Any, Any] = {}

    def close(self) -> None:
        for resource in self.resources.values():
            resource.close()
        self.resources.clear()


class Context:
    def __init__(self, minion: Minion, value: Any, due: float) -> None:
        self.minion = minion
        self.value = value
        self.due = due


class Reading:
    """A reader that is read in the background, as a pump does, but only as far as the test says."""

    def __init__(self, reader: Reader, meters: Any) -> None:
        self.reader = reader
        self.meters = meters
        self._batches = reader.batches()
        self._records: list[Any] = []

    async def take(self, count: int) -> list[Any]:
        """So many records."""
        async with asyncio.timeout(PATIENCE):
            while len(self._records) < count:
                self._records += await anext(self._batches)
        taken, self._records = self._records[:count], self._records[count:]
        return taken

    async def is_silent(self, seconds: float = 0.2) -> bool:
        """Nothing more comes for a while. Ends the reading."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                self._records += await anext(self._batches)
        return not self._records

    async def fails(self) -> StepError:
        with pytest.raises(StepError) as caught:
            await self.take(1_000_000)
        return caught.value


async def dealt(readings: list[Reading], count: int) -> list[list[Any]]:
    """What each of the readings gets of so many records. Ends the readings."""
    shares: list[list[Any]] = [[] for _ in readings]

    async def collect(reading: Reading, share: list[Any]) -> None:
        while True:
            share += await reading.take(1)

    tasks = [
        asyncio.create_task(collect(reading, share)) for reading, share in zip(readings, shares, strict=True)
    ]
    try:
        await until(lambda: sum(map(len, shares)) >= count)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return shares


class Bench:
    """A worker with nothing but steps and readers."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.wheel = TimerWheel(self.clock)
        self.meters = WorkerMeters()
        self.ledger = ScenarioLedger(memoryview(bytearray(ledger_bytes(1))), 0)
        self.ledger.lease[0] = float("inf")
        self.shared: dict[Any, Any] = {}
        self.steps: dict[Any, Any] = {}
        self.minions: list[Minion] = []
        self.readers: list[Reader] = []

    async def step(self, spec: Any) -> Any:
        """The opened step of a description."""
        step = self.steps.get(spec)
        if step is None:
            assert spec.problems() == []
            step = self.steps[spec] = registry.load(registry.STEPS, spec.kind)(spec)
            meters = self.meters.step("bench", f"step-{len(self.steps)}", spec.kind)
            await step.open(
                StepRuntime(self.clock, self.wheel, meters, self.meters, self.ledger, self.shared)
            )
        return step

    def minion(self) -> Minion:
        minion = Minion(len(self.minions))
        self.minions.append(minion)
        return minion

    async def ask(self, spec: Any, value: Any = None, minion: Minion | None = None) -> Any:
        """The output, or the StepError raised."""
        step = await self.step(spec)
        async with asyncio.timeout(PATIENCE):
            return await step.execute(Context(minion or self.minion(), value, self.clock.now()))

    async def fails(self, spec: Any, value: Any = None, minion: Minion | None = None) -> StepError:
        """The failure of an execution that must not succeed."""
        with pytest.raises(StepError) as caught:
            await self.ask(spec, value, minion)
        return caught.value

    async def read(self, spec: Any, group: str | None = None) -> Reading:
        """An open reader."""
        assert spec.problems() == []
        reader: Reader = registry.load(registry.SOURCES, spec.kind)(spec)
        self.readers.append(reader)
        meters = self.meters.step("bench", f"reader-{len(self.readers)}", spec.kind)
        async with asyncio.timeout(PATIENCE):
            await reader.open(ReaderRuntime(self.clock, meters, group))
        return Reading(reader, meters)

    def counters(self, spec: Any) -> dict[str, int]:
        return self.steps[spec]._meters.counters  # type: ignore[no-any-return]

    def failures(self, spec: Any) -> dict[str, int]:
        return self.steps[spec]._meters.failures  # type: ignore[no-any-return]

    @property
    def books(self) -> tuple[int, int, int]:
        """Attempted, ok, error."""
        counts = self.ledger.counts
        return (
            counts[Slot.REQUESTS_ATTEMPTED],
            counts[Slot.REQUESTS_OK],
            counts[Slot.REQUESTS_ERROR],
        )

    async def aclose(self) -> None:
        for minion in self.minions:
            minion.close()
        async with asyncio.timeout(PATIENCE):
            for step in self.steps.values():
                await step.aclose()
            for reader in self.readers:
                await reader.aclose()
        self.wheel.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


class Played:
    """What came of a scenario in all workers."""

    def __init__(self, engines: list[WorkerEngine], ledgers: list[ScenarioLedger], name: str) -> None:
        self._engines = engines
        self._ledgers = ledgers
        self._name = name

    def __getitem__(self, slot: Slot) -> int:
        return sum(ledger.counts[slot] for ledger in self._ledgers)

    def step(self, name: str, worker: int = 0) -> Any:
        return self._engines[worker].meters.step(self._name, name, "")

    def counter(self, step: str, name: str) -> int:
        return sum(self.step(step, worker).counters.get(name, 0) for worker in range(len(self._engines)))


async def play(
    chain: Chain[Any], workers: int = 1, properties: dict[str, Any] | None = None, seconds: float = PATIENCE
) -> Played:
    """Run a scenario to its end in so many workers of this process."""

    def compiled() -> Plan:
        plan, mistakes = compile_chain(chain, Properties(properties or {}))
        assert plan is not None, mistakes
        return plan

    return await play_plan(compiled, workers, seconds)


async def play_plan(make_plan: Callable[[], Plan], workers: int = 1, seconds: float = PATIENCE) -> Played:
    """The same with a plan for each worker."""
    clock, campaign = SystemClock(), f"test-{uuid4().hex}"
    engines, ledgers, names = [], [], []
    for worker in range(workers):
        plan = make_plan()
        memory = memoryview(bytearray(ledger_bytes(1)))
        ledgers.append(ScenarioLedger(memory, 0))
        ledgers[-1].lease[0] = float("inf")
        engines.append(
            WorkerEngine(
                {plan.name: plan},
                [plan.name],
                memory,
                Ownership((1,) * workers),
                worker,
                clock,
                campaign=campaign,
            )
        )
        names.append((plan.name, plan.minions))
    [(name, minions)] = set(names)
    try:
        async with asyncio.timeout(seconds):
            for engine in engines:
                await engine.open({name: minions})
            for engine in engines:
                await engine.warm_up()
            at = clock.now()
            for engine in engines:
                engine.start(at)
            for engine in engines:
                await engine.wait_ended()
    finally:
        for engine in engines:
            await engine.aclose()
            engine.meters.drain()
    return Played(engines, ledgers, name)


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Let the loop turn until it is so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (there is nobody who could set an event)
            await asyncio.sleep(0.005)
