"""Plays a scenario in one worker against real servers, and drives single readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from qalipsis.engine.runner import WorkerEngine
from qalipsis.engine.source import Reader, ReaderRuntime
from qalipsis.language.chain import Chain
from qalipsis.metrics.ledger import ScenarioLedger, Slot, ledger_bytes
from qalipsis.metrics.meters import StepMeters, WorkerMeters
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.model import Plan
from qalipsis.plan.ownership import Ownership
from qalipsis.plan.properties import Properties
from qalipsis.plugins.redis import Consume, Poll
from qalipsis.plugins.redis.reader import open_consume, open_poll
from qalipsis.system_clock import SystemClock


@dataclass
class Played:
    """What came of it."""

    engine: WorkerEngine
    counts: dict[Slot, int]
    name: str

    def step(self, name: str) -> StepMeters:
        return self.engine.meters.step(self.name, name, "")

    @property
    def requests(self) -> tuple[int, int, int]:
        """Attempted, ok, error."""
        slots = (Slot.REQUESTS_ATTEMPTED, Slot.REQUESTS_OK, Slot.REQUESTS_ERROR)
        attempted, ok, error = (self.counts[slot] for slot in slots)
        return attempted, ok, error


async def play(
    chain: Chain[Any],
    seconds: float = 30.0,
    properties: dict[str, Any] | None = None,
    started: Callable[[], Any] | None = None,
) -> Played:
    """Run it to its end; what `started` returns is awaited once minions walk."""
    plan, mistakes = compile_chain(chain, Properties(properties or {}))
    assert plan is not None, mistakes
    return await play_plan(plan, seconds, started)


async def play_plan(plan: Plan, seconds: float = 30.0, started: Callable[[], Any] | None = None) -> Played:
    """The same with a compiled scenario."""
    clock = SystemClock()
    memory = memoryview(bytearray(ledger_bytes(1)))
    ledger = ScenarioLedger(memory, 0)
    ledger.lease[0] = float("inf")
    engine = WorkerEngine({plan.name: plan}, [plan.name], memory, Ownership((1,)), 0, clock, campaign="test")
    try:
        await engine.open({plan.name: plan.minions})
        await engine.warm_up()
        engine.start(clock.now())
        async with asyncio.timeout(seconds):
            if started is not None:
                await started()
            await engine.wait_ended()
    finally:
        await engine.aclose()
    engine.meters.drain()
    played = Played(engine, {slot: ledger.counts[slot] for slot in Slot}, plan.name)
    attempted, ok, error = played.requests
    assert attempted == ok + error, "the books of the requests do not close"
    return played


class Reading:
    """A reader at work; its records are taken one batch at a time."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.meters = WorkerMeters().step("reading", "read", "test")
        self.batches: AsyncIterator[Any] | None = None

    async def take(self, count: int, seconds: float = 15.0) -> list[Any]:
        """The next records, so many at least."""
        if self.batches is None:
            self.batches = self.reader.batches()
        records: list[Any] = []
        async with asyncio.timeout(seconds):
            while len(records) < count:
                records += await anext(self.batches)
        return records

    async def nothing(self, seconds: float) -> None:
        """Asserts that nothing comes for a while; the reader cannot be used afterwards."""
        try:
            surplus = await self.take(1, seconds)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected records: {surplus}")


@asynccontextmanager
async def reading(source: Consume[Any] | Poll[Any], group: str | None = None) -> AsyncIterator[Reading]:
    """An open reader, closed at the end."""
    assert source.problems() == []
    made = Reading(open_consume(source) if isinstance(source, Consume) else open_poll(source))
    try:
        await made.reader.open(ReaderRuntime(SystemClock(), made.meters, group))
        yield made
    finally:
        if made.batches is not None:
            await made.batches.aclose()
        await made.reader.aclose()
