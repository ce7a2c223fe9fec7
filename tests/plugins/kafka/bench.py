"""Drives steps, readers and whole scenarios like a worker does, in real time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from qalipsis.engine.runner import WorkerEngine
from qalipsis.engine.source import ReaderRuntime
from qalipsis.engine.step import StepError, StepRuntime
from qalipsis.engine.wheel import TimerWheel
from qalipsis.errors import ServiceUnavailable
from qalipsis.language.chain import Chain
from qalipsis.metrics.ledger import ScenarioLedger, Slot, ledger_bytes
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.model import Plan
from qalipsis.plan.ownership import Ownership
from qalipsis.plan.properties import Properties
from qalipsis.plugins.kafka.reader import KafkaReader
from qalipsis.plugins.kafka.record import Record
from qalipsis.plugins.kafka.step import open_produce
from qalipsis.system_clock import SystemClock

PATIENCE = 30.0


@dataclass
class Minion:
    index: int = 0
    resources: dict[Any, Any] = field(default_factory=dict)


@dataclass
class Context:
    value: Any = None
    minion: Minion = field(default_factory=Minion)
    iteration: int = 0
    due: float = 0.0


class Reading:
    """A reader that was opened, and what it has read so far."""

    def __init__(self, reader: KafkaReader, meters: Any) -> None:
        self.reader = reader
        self.meters = meters
        self.batches: AsyncIterator[Sequence[Record[Any, Any]]] = reader.batches()
        self.records: list[Record[Any, Any]] = []

    async def take(self, count: int, patience: float = PATIENCE) -> list[Record[Any, Any]]:
        """The next records, exactly so many."""
        async with asyncio.timeout(patience):
            while len(self.records) < count:
                self.records += await anext(self.batches)
        taken, self.records = self.records[:count], self.records[count:]
        return taken

    async def values(self, count: int) -> list[Any]:
        return [record.value for record in await self.take(count)]

    async def takes_nothing(self, seconds: float = 1.5) -> None:
        with pytest.raises(TimeoutError):
            await self.take(len(self.records) + 1, seconds)


class Bench:
    """A worker with nothing but steps and readers."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.wheel = TimerWheel(self.clock)
        self.meters = WorkerMeters()
        self.ledger = ScenarioLedger(memoryview(bytearray(ledger_bytes(1))), 0)
        self.ledger.lease[0] = float("inf")
        self.shared: dict[Any, Any] = {}
        self._steps: dict[Any, Any] = {}
        self._meters: dict[Any, Any] = {}
        self._readings: list[Reading] = []

    async def step(self, spec: Any) -> Any:
        """The opened step of a spec, the same whenever it is asked for."""
        step = self._steps.get(spec)
        if step is None:
            assert spec.problems() == []
            step = self._steps[spec] = open_produce(spec)
            meters = self._meters[spec] = self.meters.step("bench", f"step-{len(self._steps)}", spec.kind)
            await step.open(
                StepRuntime(self.clock, self.wheel, meters, self.meters, self.ledger, self.shared)
            )
        return step

    async def send(self, spec: Any, value: Any = None) -> Any:
        return await (await self.step(spec)).execute(Context(value))

    async def fails(self, spec: Any, value: Any = None) -> StepError:
        """The failure of an execution that must not succeed."""
        with pytest.raises(StepError) as caught:
            await self.send(spec, value)
        return caught.value

    async def refused(self, spec: Any) -> str:
        """Why the campaign would not start."""
        step = await self.step(spec)
        with pytest.raises(ServiceUnavailable) as caught:
            await step.reach()
        return str(caught.value)

    def meters_of(self, spec: Any) -> Any:
        return self._meters[spec]

    async def read(self, spec: Any, group: str | None = None) -> Reading:
        """An opened reader of a source."""
        assert spec.problems() == []
        reader = KafkaReader(spec)
        meters = self.meters.step("bench", f"reader-{len(self._readings)}", spec.kind)
        reading = Reading(reader, meters)
        self._readings.append(reading)
        await reader.open(ReaderRuntime(self.clock, meters, group))
        return reading

    async def unreadable(self, spec: Any, group: str | None = None) -> str:
        """Why the campaign would not start."""
        with pytest.raises(ServiceUnavailable) as caught:
            await self.read(spec, group)
        return str(caught.value)

    async def close(self, reading: Reading) -> None:
        self._readings.remove(reading)
        await reading.batches.aclose()  # type: ignore[attr-defined]
        await reading.reader.aclose()

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
        for reading in list(self._readings):
            await self.close(reading)
        for step in self._steps.values():
            await step.aclose()
        self.wheel.close()


async def make_topics(admin: AIOKafkaAdminClient, *topics: NewTopic) -> None:
    """Create topics, and return once the broker knows them."""
    await admin.create_topics(list(topics))
    names = {topic.name for topic in topics}
    async with asyncio.timeout(PATIENCE):
        while not names <= set(await admin.list_topics()):  # noqa: ASYNC110 (no event comes from a broker)
            await asyncio.sleep(0.01)


@dataclass
class Campaign:
    """What came of a scenario."""

    engine: WorkerEngine
    counts: dict[Slot, int]
    name: str

    def step(self, name: str) -> Any:
        return self.engine.meters.step(self.name, name, "")

    def __getitem__(self, slot: Slot) -> int:
        return self.counts[slot]


async def play(
    chain: Chain[Any], patience: float = PATIENCE, started: Callable[[], Any] | None = None
) -> Campaign:
    """Run a scenario in one worker; `started` is awaited once it runs."""
    plan, mistakes = compile_chain(chain, Properties({}))
    assert plan is not None, mistakes
    return await play_plan(plan, patience, started)


async def play_plan(
    plan: Plan, patience: float = PATIENCE, started: Callable[[], Any] | None = None
) -> Campaign:
    """The same with what was compiled already."""
    memory = memoryview(bytearray(ledger_bytes(1)))
    ScenarioLedger(memory, 0).lease[0] = float("inf")
    clock = SystemClock()
    engine = WorkerEngine(
        {plan.name: plan}, [plan.name], memory, Ownership((1,)), 0, clock, campaign="tested"
    )
    try:
        await engine.open({plan.name: plan.minions})
        await engine.warm_up()
        engine.start(clock.now())
        async with asyncio.timeout(patience):
            if started is not None:
                await started()
            await engine.wait_ended()
    finally:
        await engine.aclose()
    engine.meters.drain()
    counts = ScenarioLedger(memory, 0).counts
    return Campaign(engine, {slot: counts[slot] for slot in Slot}, plan.name)
