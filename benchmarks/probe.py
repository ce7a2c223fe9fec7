"""The engine by itself, in this process: for what no report can show, such as bytes per minion."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from msgspec import msgpack

from benchmarks.campaign import resident_bytes
from qalipsis import Chain
from qalipsis.engine import runner
from qalipsis.engine.runner import WorkerEngine
from qalipsis.engine.supply import SourceFactory
from qalipsis.factory.collector import Collector
from qalipsis.metrics.ledger import Slot, ledger_bytes
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.ownership import Ownership
from qalipsis.plan.properties import Properties
from qalipsis.system_clock import SystemClock

START_DELAY_SECONDS = 0.2
DEADLINE_SECONDS = 240.0


@asynccontextmanager
async def running(
    chain: Chain[Any],
    clock: SystemClock,
    find_source: Callable[[str], SourceFactory] = runner.find_source,
) -> AsyncIterator[tuple[WorkerEngine, float]]:
    """One worker that walks `chain`, and the instant of its start; aborted when the block ends."""
    plan, mistakes = compile_chain(chain, Properties({}))
    if plan is None:
        raise ValueError("\n".join(map(str, mistakes)))
    memory = memoryview(bytearray(ledger_bytes(1)))
    memory.cast("d")[0] = math.inf  # the lease: this engine has no head that could lose it
    engine = WorkerEngine(
        {plan.name: plan}, [plan.name], memory, Ownership((1,)), 0, clock, find_source=find_source
    )
    await engine.open({plan.name: plan.minions})
    # As the worker does: each second is frozen, and what lives is kept out of the collector's sight.
    collector = Collector()
    collector.open(clock.now())
    ticker = asyncio.create_task(freeze_each_second(engine, collector, clock))
    try:
        at = clock.now() + START_DELAY_SECONDS
        engine.start(at)
        yield engine, at
    finally:
        ticker.cancel()
        collector.close()
        await engine.aclose()


async def freeze_each_second(engine: WorkerEngine, collector: Collector, clock: SystemClock) -> None:
    while True:
        await asyncio.sleep(1.0)
        snapshot = engine.snapshot()
        msgpack.encode(snapshot)
        started = sum(counts[Slot.MINIONS_STARTED] for counts in snapshot.ledgers.values())
        collector.second(started, clock.now())


async def wait_for(condition: Callable[[], bool]) -> None:
    """Look now and then; a benchmark that does not get there ends with an error instead of never."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not reached within {DEADLINE_SECONDS:g} s")
        await asyncio.sleep(0.02)


def run(main: Awaitable[Any]) -> Any:
    async def wrapped() -> Any:
        return await main

    return uvloop.run(wrapped())


def own_bytes() -> int:
    """Memory of this process once garbage is gone."""
    gc.collect()
    return resident_bytes(os.getpid())
