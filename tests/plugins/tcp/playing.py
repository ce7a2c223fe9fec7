"""Plays whole scenarios in one worker, against real servers."""

from __future__ import annotations

import asyncio
from typing import Any

from qalipsis.engine.runner import WorkerEngine
from qalipsis.language.chain import Chain
from qalipsis.metrics.ledger import ScenarioLedger, Slot, books, closes, ledger_bytes
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.model import Plan
from qalipsis.plan.ownership import Ownership
from qalipsis.plan.properties import Properties
from qalipsis.system_clock import SystemClock

LONGEST = 20.0
"""Seconds that a scenario may take."""


class Played:
    """A scenario that ended, its books closed."""

    def __init__(self, engine: WorkerEngine, memory: memoryview, name: str) -> None:
        self._meters = engine.meters
        self._name = name
        counts = ScenarioLedger(memory, 0).counts
        self.requests = counts[Slot.REQUESTS_ATTEMPTED]
        self.ok = counts[Slot.REQUESTS_OK]
        self.passes = counts[Slot.PASSES_STARTED]
        self.failed_passes = counts[Slot.PASSES_FAILED]
        assert closes(books(counts.tolist())) == ()

    def step(self, name: str) -> Any:
        return self._meters.step(self._name, name, "")


async def play(chain: Chain[Any]) -> Played:
    plan, mistakes = compile_chain(chain, Properties({}))
    assert plan is not None, mistakes
    return await play_plan(plan)


async def play_plan(plan: Plan) -> Played:
    clock = SystemClock()
    memory = memoryview(bytearray(ledger_bytes(1)))
    ScenarioLedger(memory, 0).lease[0] = float("inf")
    engine = WorkerEngine({plan.name: plan}, [plan.name], memory, Ownership((1,)), 0, clock)
    await engine.open({plan.name: plan.minions})
    await engine.warm_up()
    engine.start(clock.now())
    async with asyncio.timeout(LONGEST):
        await engine.wait_ended()
    await engine.aclose()
    engine.meters.drain()
    return Played(engine, memory, plan.name)
