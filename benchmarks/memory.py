"""(b) What a minion costs: bytes when idle, connected, connected with TLS; the start; pauses."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import probe
from benchmarks.cores import INJECTOR, SERVER
from benchmarks.figure import Figure, at_most
from benchmarks.isolated import isolated
from benchmarks.nginx import nginx
from qalipsis import profile, scenario
from qalipsis.plugins import http
from qalipsis.system_clock import SystemClock

KB = 1000
WINDOW_SECONDS = 2.0
"""Two snapshots are frozen in each window, so none is spared their cost."""


def measure(is_quick: bool) -> list[Figure]:
    idle_minions = 20_000 if is_quick else 100_000
    idle = isolated("benchmarks.memory:idle", INJECTOR, minions=idle_minions)
    pausing = isolated("benchmarks.memory:pausing", INJECTOR, minions=10_000, windows=4 if is_quick else 30)
    with nginx(core=SERVER) as server:
        plain = isolated(
            "benchmarks.memory:connected",
            INJECTOR,
            url=server.url,
            ca=None,
            minions=2_000 if is_quick else 10_000,
            per_second=4_000,
        )
    with nginx(core=SERVER, tls=True) as server:
        tls = isolated(
            "benchmarks.memory:connected",
            INJECTOR,
            url=server.url,
            ca=str(server.ca),
            minions=1_500 if is_quick else 4_000,
            per_second=400,
        )
    return [
        at_most("idle minion", idle["bytes"] / KB, "kB", 1.5),
        at_most("connected minion", plain["bytes"] / KB, "kB", 8),
        at_most("connected minion with TLS", tls["bytes"] / KB, "kB", 40),
        at_most(f"start of {idle_minions:,} idle minions", idle["start_seconds"], "s", 5),
        at_most("10,000 minions pausing 100 ms", 100 * pausing["median_share"], "% of a core", 12),
        Figure("… in the quietest of its windows", 100 * pausing["quietest_share"], "% of a core"),
        Figure("… pauses achieved", pausing["pauses_per_second"], "/s"),
    ]


def idle(minions: int) -> dict[str, float]:
    """Memory and start of minions that wait and have no connection."""
    return dict(probe.run(_idle(minions)))


async def _idle(minions: int) -> dict[str, float]:
    clock, arrived = SystemClock(), Arrivals(minions)
    chain = (
        scenario("idle", minions=minions, profile=profile.immediate()).start().on_each(arrived).delay("1h")
    )
    before = probe.own_bytes()
    async with probe.running(chain, clock) as (_, at):
        await probe.wait_for(lambda: arrived.is_complete)
        used = probe.own_bytes() - before
    return {"bytes": used / minions, "start_seconds": arrived.last_at - at}


def connected(url: str, ca: str | None, minions: int, per_second: int) -> dict[str, float]:
    """Memory of minions that made a request and keep their connection, and their last response."""
    return dict(probe.run(_connected(url, ca, minions, per_second)))


async def _connected(url: str, ca: str | None, minions: int, per_second: int) -> dict[str, float]:
    arrived = Arrivals(minions)
    client = http.client(url, connections="per-minion", timeout="60s", verify=Path(ca) if ca else True)
    chain = (
        scenario("connected", minions=minions, profile=profile.regular("10ms", per_second // 100))
        .start()
        .then(client.get("/"))
        .verify(lambda response: response.status == 200)
        .on_each(arrived)
        .delay("1h")
    )
    before = probe.own_bytes()
    async with probe.running(chain, SystemClock()):
        await probe.wait_for(lambda: arrived.is_complete)
        return {"bytes": (probe.own_bytes() - before) / minions}


def pausing(minions: int, windows: int) -> dict[str, float]:
    """CPU of minions that do nothing but pause 100 ms, spread evenly over time.

    On a shared host the share of one process swings by a factor of two from second to second with what its
    neighbours do. The bound is held by the median window; the quietest one tells the host's part in it.
    """
    return dict(probe.run(_pausing(minions, windows)))


async def _pausing(minions: int, windows: int) -> dict[str, float]:
    chain = (
        scenario("pausing", minions=minions, profile=profile.regular("1ms", minions // 100))
        .start()
        .delay("100ms")
        .named("pause")
        .iterate(1_000_000)
    )
    async with probe.running(chain, SystemClock()) as (engine, _):
        pauses = engine.meters.step("pausing", "pause", "delay")
        await probe.wait_for(lambda: pauses.attempted > 3 * minions)
        began, counted = time.monotonic(), pauses.attempted
        shares = []
        for _ in range(windows):
            wall, cpu = time.monotonic(), time.process_time()
            await asyncio.sleep(WINDOW_SECONDS)
            shares.append((time.process_time() - cpu) / (time.monotonic() - wall))
        return {
            "quietest_share": min(shares),
            "median_share": median(shares),
            "pauses_per_second": (pauses.attempted - counted) / (time.monotonic() - began),
        }


class Arrivals:
    """Counts who comes by, and remembers when the last one of those expected did."""

    def __init__(self, expected: int) -> None:
        self.count = 0
        self.last_at = 0.0
        self._expected = expected

    def __call__(self, value: Any) -> None:
        self.count += 1
        if self.count == self._expected:
            self.last_at = time.monotonic()

    @property
    def is_complete(self) -> bool:
        return self.count >= self._expected
