"""(e) What one step costs in the engine: CPU time of long chains minus that of short ones, per step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks import probe
from benchmarks.cores import INJECTOR
from benchmarks.figure import Figure
from benchmarks.isolated import isolated
from qalipsis import Chain, profile, scenario
from qalipsis.system_clock import SystemClock

LONG, SHORT = 45, 5
Verb = Callable[[Chain[Any]], Chain[Any]]

VERBS: dict[str, Verb] = {
    "map": lambda chain: chain.map(lambda value: value),
    "verify": lambda chain: chain.verify(lambda value: True),
    "delay": lambda chain: chain.delay("1ms"),
}
RECORDS = {"map": 100_000, "verify": 100_000, "delay": 200}
MINIONS = {"map": 1, "verify": 1, "delay": 500}
"""Delays overlap only between minions, so that measure needs many of them and few records each."""


def measure(is_quick: bool) -> list[Figure]:
    share = 10 if is_quick else 1
    return [
        Figure(f"{verb}, one step", isolated("benchmarks.steps:cost", INJECTOR, verb=verb, share=share), "µs")
        for verb in VERBS
    ]


def cost(verb: str, share: int) -> float:
    """Microseconds of CPU per step."""
    records = RECORDS[verb] // share
    long, short = (float(probe.run(_cpu_seconds(verb, length, records))) for length in (LONG, SHORT))
    return 1e6 * (long - short) / (records * MINIONS[verb] * (LONG - SHORT))


async def _cpu_seconds(verb: str, length: int, records: int) -> float:
    chain: Chain[Any] = scenario("steps", minions=MINIONS[verb], profile=profile.immediate()).start()
    chain = chain.returns(1).iterate(records)
    for _ in range(length):
        chain = VERBS[verb](chain)
    before = time.process_time()
    async with probe.running(chain, SystemClock()) as (engine, _):
        await engine.wait_ended()
    return time.process_time() - before
