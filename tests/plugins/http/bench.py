"""Drives single steps like the engine does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from qalipsis import registry
from qalipsis.engine.step import StepError, StepRuntime
from qalipsis.engine.wheel import TimerWheel
from qalipsis.metrics.ledger import ScenarioLedger, Slot, ledger_bytes
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.system_clock import SystemClock


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


class Line:
    """A strand whose end is a future."""

    def __init__(self) -> None:
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.pending: Any = None

    def resume(self, value: Any = None) -> None:
        self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        self.future.set_exception(error)


class Bench:
    """A worker with nothing but steps."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.wheel = TimerWheel(self.clock)
        self.meters = WorkerMeters()
        self.ledger = ScenarioLedger(memoryview(bytearray(ledger_bytes(1))), 0)
        self.ledger.lease[0] = float("inf")
        self.shared: dict[Any, Any] = {}
        self.steps: dict[Any, Any] = {}
        self.minions: list[Minion] = []

    async def step(self, spec: Any, name: str | None = None) -> Any:
        """The opened step of a request."""
        step = self.steps.get(spec)
        if step is None:
            assert spec.problems() == []
            step = self.steps[spec] = registry.load(registry.STEPS, spec.kind)(spec)
            meters = self.meters.step("bench", name or f"step-{len(self.steps)}", spec.kind)
            await step.open(
                StepRuntime(self.clock, self.wheel, meters, self.meters, self.ledger, self.shared)
            )
        return step

    def minion(self) -> Minion:
        minion = Minion(len(self.minions))
        self.minions.append(minion)
        return minion

    async def start(self, spec: Any, minion: Minion | None = None, value: Any = None) -> Line:
        """Begin, without waiting for the end."""
        step = await self.step(spec)
        line = Line()
        context = Context(minion or self.minion(), value, self.clock.now())
        line.pending = step.begin(context, line)
        return line

    async def ask(self, spec: Any, minion: Minion | None = None, value: Any = None) -> Any:
        """The response, or the StepError raised."""
        line = await self.start(spec, minion, value)
        return await line.future

    async def fails(self, spec: Any, minion: Minion | None = None) -> StepError:
        """The failure of a request that must not succeed."""
        with pytest.raises(StepError) as caught:
            await self.ask(spec, minion)
        return caught.value

    def meters_of(self, spec: Any) -> Any:
        self.meters.drain()
        return self.steps[spec].meters

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
        for step in self.steps.values():
            await step.aclose()
        self.wheel.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so; the test's timeout is the limit."""
    while not condition():  # noqa: ASYNC110 (there is nobody who could set an event)
        await asyncio.sleep(0.001)
