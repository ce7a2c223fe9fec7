"""Drives single steps and readers as the engine does."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from qalipsis import registry
from qalipsis.engine.source import ReaderRuntime
from qalipsis.engine.step import StepError, StepRuntime
from qalipsis.engine.wheel import TimerWheel
from qalipsis.metrics.ledger import ScenarioLedger, Slot, ledger_bytes
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.system_clock import SystemClock

PATIENCE = 20.0
"""Seconds until a test gives up to wait for rows."""


class Reading:
    """A reader at work: `take(n)` waits for its next records."""

    def __init__(self, reader: Any, meters: Any) -> None:
        self.reader = reader
        self.meters = meters
        self.batches: list[Any] = []
        self._records: asyncio.Queue[Any] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._run())

    async def take(self, count: int) -> list[Any]:
        async with asyncio.timeout(PATIENCE):
            return [await self._take() for _ in range(count)]

    def at_hand(self) -> list[Any]:
        """What has come and was not taken."""
        return [self._records.get_nowait() for _ in range(self._records.qsize())]

    async def fails(self) -> StepError:
        with pytest.raises(StepError) as caught:
            async with asyncio.timeout(PATIENCE):
                await self._task
        return caught.value

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.reader.aclose()

    async def _take(self) -> Any:
        record = asyncio.ensure_future(self._records.get())
        await asyncio.wait([record, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not record.done():
            record.cancel()
            await self._task
        return record.result()

    async def _run(self) -> None:
        async for batch in self.reader.batches():
            self.batches.append(batch)
            for record in batch:
                self._records.put_nowait(record)


class Desk:
    """A worker with nothing but steps and readers."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.wheel = TimerWheel(self.clock)
        self.meters = WorkerMeters()
        self.ledger = ScenarioLedger(memoryview(bytearray(ledger_bytes(1))), 0)
        self.ledger.lease[0] = float("inf")
        self.shared: dict[Any, Any] = {}
        self.steps: dict[Any, Any] = {}
        self.readings: list[Reading] = []

    async def step(self, spec: Any) -> Any:
        step = self.steps.get(spec)
        if step is None:
            assert spec.problems() == []
            step = self.steps[spec] = registry.load(registry.STEPS, spec.kind)(spec)
            meters = self.meters.step("desk", f"step-{len(self.steps)}", spec.kind)
            await step.open(
                StepRuntime(self.clock, self.wheel, meters, self.meters, self.ledger, self.shared)
            )
        return step

    async def do(self, spec: Any, value: Any = None) -> Any:
        """The output of one execution."""
        step = await self.step(spec)
        minion = SimpleNamespace(index=7, resources={})
        return await step.execute(SimpleNamespace(minion=minion, value=value, due=self.clock.now()))

    async def fails(self, spec: Any, value: Any = None) -> StepError:
        with pytest.raises(StepError) as caught:
            await self.do(spec, value)
        return caught.value

    async def read(self, spec: Any) -> Reading:
        """A source that is open and being read."""
        assert spec.problems() == []
        reader = registry.load(registry.SOURCES, spec.kind)(spec)
        meters = self.meters.step("desk", f"source-{len(self.readings)}", spec.kind)
        try:
            await reader.open(ReaderRuntime(self.clock, meters, None))
        except BaseException:
            await reader.aclose()
            raise
        reading = Reading(reader, meters)
        self.readings.append(reading)
        return reading

    def counters(self, spec: Any) -> dict[str, int]:
        return dict(self.steps[spec]._runtime.meters.counters)

    def failures(self, spec: Any) -> dict[str, int]:
        return dict(self.steps[spec]._runtime.meters.failures)

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
        for reading in self.readings:
            await reading.aclose()
        for step in self.steps.values():
            await step.aclose()
        self.wheel.close()
        await asyncio.sleep(0)
