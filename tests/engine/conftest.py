"""Plays a scenario in one worker on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from qalipsis.engine.runner import WorkerEngine
from qalipsis.engine.runner import find_step as installed_step
from qalipsis.language.chain import Chain
from qalipsis.metrics.ledger import ScenarioLedger, Slot, ledger_bytes
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.ownership import Ownership
from qalipsis.plan.properties import Properties
from qalipsis.testing.virtual_clock import VirtualClock


@dataclass
class Played:
    """What came of it."""

    engine: WorkerEngine
    clock: VirtualClock
    seconds: float
    counts: dict[Slot, int]
    name: str

    def step(self, name: str) -> Any:
        return self.engine.meters.step(self.name, name, "")

    def __getitem__(self, slot: Slot) -> int:
        return self.counts[slot]


async def play(
    chain: Chain[Any],
    seconds: float = 3600.0,
    minions: int | None = None,
    find_step: Callable[[str], Any] = installed_step,
    properties: dict[str, Any] | None = None,
    meddle: Callable[[WorkerEngine, float], None] | None = None,
    **options: Any,
) -> Played:
    plan, mistakes = compile_chain(chain, Properties(properties or {}))
    assert plan is not None, mistakes
    clock = VirtualClock()
    memory = memoryview(bytearray(ledger_bytes(1)))
    ScenarioLedger(memory, 0).lease[0] = float("inf")
    engine = WorkerEngine(
        {plan.name: plan}, [plan.name], memory, Ownership((1,)), 0, clock, find_step=find_step, **options
    )
    await engine.open({plan.name: minions or plan.minions})
    began = clock.now()
    engine.start(began)
    ended = asyncio.ensure_future(engine.wait_ended())
    while not ended.done() and clock.now() - began < seconds:
        for _ in range(3):
            await asyncio.sleep(0)
        if meddle is not None:
            meddle(engine, clock.now() - began)
        upcoming = clock.next_timer()
        if upcoming is None:
            break
        clock.run_until(upcoming)
        await asyncio.sleep(0)
    took = clock.now() - began
    await engine.aclose()
    ended.cancel()
    engine.meters.drain()
    counts = ScenarioLedger(memory, 0).counts
    return Played(engine, clock, took, {slot: counts[slot] for slot in Slot}, plan.name)


@pytest.fixture(name="play")
def play_fixture() -> Callable[..., Any]:
    return play
