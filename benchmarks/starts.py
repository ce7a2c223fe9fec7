"""(c) How late a pass starts when 5,000 of them are due every second, each with a request."""

from __future__ import annotations

import time
from array import array
from typing import Any

import numpy as np

from benchmarks import probe
from benchmarks.cores import INJECTOR, SERVER
from benchmarks.figure import Figure, at_least, at_most
from benchmarks.isolated import isolated
from benchmarks.nginx import nginx
from qalipsis import profile, scenario
from qalipsis.plugins import http
from qalipsis.system_clock import SystemClock

RATE = 5_000
ROUNDING_MS = 0.001
"""An epoch stamp in a double is exact to a quarter of a microsecond."""


def measure(is_quick: bool) -> list[Figure]:
    with nginx(core=SERVER) as server:
        found = isolated(
            "benchmarks.starts:errors", INJECTOR, url=server.url, rate=RATE, seconds=4 if is_quick else 20
        )
    return [
        at_most("start error, p99", found["p99_ms"], "ms", 2.5),
        Figure("start error, p50", found["p50_ms"], "ms"),
        Figure("start error, p99.9", found["p999_ms"], "ms"),
        Figure("start error, max", found["max_ms"], "ms"),
        at_least("start error, least (never early)", found["min_ms"], "ms", -ROUNDING_MS),
        at_least("starts measured", found["count"], "", found["planned"]),
    ]


def errors(url: str, rate: int, seconds: int) -> dict[str, float]:
    """The distribution of actual minus planned start, in milliseconds."""
    return dict(probe.run(_errors(url, rate, seconds)))


async def _errors(url: str, rate: int, seconds: int) -> dict[str, float]:
    clock = SystemClock()
    lateness = array("d")
    offset, now, keep = clock.epoch_offset, time.monotonic, lateness.append
    client = http.client(url, connections="per-minion", timeout="10s")

    def note(context: Any, value: Any) -> None:
        keep(now() + offset - context.due_at)

    chain = (
        scenario("starts", minions=2_000, profile=profile.arrival_rate(rate, over=f"{seconds}s"))
        .start()
        .on_each(note)
        .then(client.get("/"))
        .verify(lambda response: response.status == 200)
    )
    async with probe.running(chain, clock) as (engine, _):
        await engine.wait_ended()
    found = np.array(lateness) * 1000
    p50, p99, p999 = (float(value) for value in np.percentile(found, (50, 99, 99.9)))
    return {
        "p50_ms": p50,
        "p99_ms": p99,
        "p999_ms": p999,
        "max_ms": float(found.max()),
        "min_ms": float(found.min()),
        "count": float(found.size),
        "planned": float(rate * seconds),
    }
