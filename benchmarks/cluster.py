"""(k) What one worker of a cluster sends, held against one of `qalipsis run`, on the same nginx.

The load is that of `throughput`: as fast as it goes, several requests per pass. Standalone, parent and worker
share the injector's core; in the cluster the factory's supervisor and its worker do. What is elsewhere in a
real cluster, the head, Redis and PostgreSQL, has a third core, or that of nginx where there are only two.

There they are in the way of what is measured: the two cores of a virtual machine are often two threads of
one, and what wakes up on the one slows the other down. So the worker is measured twice in each campaign, as
it is and while the head holds still for some seconds; and beside them standalone with a neighbour on nginx's
core which has nothing to do with a cluster, and takes as much of it as the head with its services.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from pathlib import Path
from statistics import median
from typing import Literal
from uuid import uuid4

import numpy as np

from benchmarks.campaign import SCENARIOS, CampaignRun, children, cpu_seconds, run_campaign, watch
from benchmarks.cores import INJECTOR, OTHERS, SERVER, on_core
from benchmarks.figure import Figure, at_least
from benchmarks.fleet import FactoryPlan, folder_with_services, qalipsis, running_factories
from benchmarks.nginx import nginx
from benchmarks.throughput import EDGES_SECONDS, LOOP, checked
from benchmarks.wrk import CONNECTIONS

ALTERNATIONS = 7
SCENARIO = SCENARIOS / "passes.py"
TIMEOUT_SECONDS = 120.0
LOAD_SECONDS = 14.0
EDGE = 2
"""Seconds at either end that are not counted, as in the steady rate."""

STILL_AFTER = 10.0
STILL_SECONDS = 5.0
"""When a head holds still, from its start on, and for how long: its factory may send for 12 s without it."""

FEWEST = 3
"""Whole seconds that make a rate."""

NEIGHBOUR = """
import time
while True:
    time.sleep(1 / 140)
    until = time.perf_counter() + 0.00015
    while time.perf_counter() < until:
        pass
"""


@dataclass(slots=True)
class Spent:
    """How the CPU seconds of a parent and of its workers grew: (epoch seconds, parent, workers)."""

    seen: list[tuple[float, float, float]] = field(default_factory=list)

    def look(self, pid: int) -> None:
        workers = [cpu_seconds(child) for child in children(pid)]
        if workers and min(workers) > 0.0:
            self.seen.append((time.time(), cpu_seconds(pid), sum(workers)))

    def between(self, begin: float, end: float) -> tuple[float, float]:
        """Of the parent and of its workers, in this time."""
        at, *columns = (list(column) for column in zip(*self.seen, strict=True))
        parent, workers = (float(np.diff(np.interp([begin, end], at, column))[0]) for column in columns)
        return parent, workers


@dataclass(slots=True)
class Stillness:
    """A process that is stopped for some seconds, once; `begin` and `end` in epoch seconds."""

    begin: float = inf
    end: float = inf

    def look(self, pid: int, running_seconds: float) -> None:
        if running_seconds >= STILL_AFTER and self.begin == inf:
            os.kill(pid, signal.SIGSTOP)
            self.begin = time.time()
        if time.time() - self.begin >= STILL_SECONDS and self.end == inf:
            self.end = time.time()
            os.kill(pid, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Measured:
    """Some whole seconds of a campaign, and what its injector spent in them."""

    rate: float
    worker_us: float
    parent_us: float

    @classmethod
    def of(cls, run: CampaignRun, spent: Spent, begin: float = 0.0, end: float = inf) -> Measured:
        """Of the seconds between these moments, without the edges of the campaign."""
        started = datetime.fromisoformat(run.report["campaign"]["start"]).timestamp()
        timeline = run.report["timeline"]
        counted = [
            second
            for second in range(EDGE, len(timeline) - EDGE)
            if begin <= started + second and started + second + 1 <= end
        ]
        if len(counted) < FEWEST:
            raise RuntimeError(f"{len(counted)} whole seconds are too few for a rate")
        rates = [timeline[second]["achieved_per_s"] for second in counted]
        parent, worker = spent.between(started + counted[0], started + counted[-1] + 1)
        return cls(median(rates), 1e6 * worker / sum(rates), 1e6 * parent / sum(rates))


Side = Literal["alone", "beside", "fleet", "still"]
Turn = Mapping[Side, Measured]
"""Measured one after the other."""


def measure(is_quick: bool) -> list[Figure]:
    with nginx(core=SERVER) as server, folder_with_services(OTHERS) as folder:
        properties = {
            "target.url": server.url,
            "bench.minions": CONNECTIONS,
            "bench.duration": f"{LOAD_SECONDS + EDGES_SECONDS:g}s",
            "bench.requests-per-pass": LOOP,
        }
        turns = [run_turn(folder, properties, turn) for turn in range(1 if is_quick else ALTERNATIONS)]
    rate, cpu = "requests per second", "requests per CPU second"
    return [
        at_least(f"worker of a cluster / standalone, {rate}", by_rate(turns, "fleet"), "×", 0.95),
        at_least("… while the head holds still", by_rate(turns, "still"), "×", 0.95),
        Figure(f"standalone with a neighbour / without, {rate}", by_rate(turns, "beside"), "×"),
        at_least(f"worker of a cluster / standalone, {cpu}", by_cost(turns, "fleet"), "×", 0.95),
        at_least("… while the head holds still", by_cost(turns, "still"), "×", 0.95),
        Figure(f"standalone with a neighbour / without, {cpu}", by_cost(turns, "beside"), "×"),
        *shown("standalone", [turn["alone"] for turn in turns]),
        *shown("cluster", [turn["fleet"] for turn in turns]),
        *shown("cluster while the head holds still", [turn["still"] for turn in turns]),
    ]


def run_turn(folder: Path, properties: dict[str, object], turn: int) -> Turn:
    """Who comes first changes from turn to turn."""
    alone = run_alone(properties) if turn % 2 == 0 else None
    fleet, still = run_in_cluster(folder, properties)
    alone = alone or run_alone(properties)
    with neighbour():
        beside = run_alone(properties)
    return {"alone": alone, "beside": beside, "fleet": fleet, "still": still}


def run_alone(properties: dict[str, object]) -> Measured:
    spent = Spent()
    run = checked(run_campaign(SCENARIO, properties, core=INJECTOR, while_running=spent.look))
    return Measured.of(run, spent)


def run_in_cluster(folder: Path, properties: dict[str, object]) -> tuple[Measured, Measured]:
    """A factory with one worker, and a head that runs a campaign on it: all of them, and without the head."""
    spent, stillness = Spent(), Stillness()
    reports = folder / f"reports-{uuid4().hex[:8]}"
    plan = FactoryPlan(node=f"bench-{uuid4().hex[:8]}")
    with running_factories(folder, SCENARIO, [plan], properties, core=INJECTOR) as [factory]:
        head = qalipsis(
            folder, "head", "--autostart", "--report-dir", str(reports), output="head.txt", core=OTHERS
        )
        started = time.monotonic()

        def look(pid: int) -> None:
            spent.look(factory.pid)
            stillness.look(pid, time.monotonic() - started)

        used = watch(head, TIMEOUT_SECONDS, look)
    output, report = (folder / "head.txt").read_text(errors="replace"), reports / "report.json"
    if not report.exists():
        raise RuntimeError(f"the head ended with code {head.returncode}, no report:\n{output}")
    run = checked(CampaignRun(json.loads(report.read_bytes()), int(head.returncode), output, *used))
    return Measured.of(run, spent, end=stillness.begin), Measured.of(
        run, spent, stillness.begin, stillness.end
    )


@contextmanager
def neighbour() -> Iterator[None]:
    """A process on the core of nginx that wakes up as often as a head with its services, for 2 % of it."""
    with on_core(OTHERS):
        process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def by_rate(turns: Sequence[Turn], side: Side) -> float:
    """How many times the requests of standalone, the median over the turns."""
    return median(turn[side].rate / turn["alone"].rate for turn in turns)


def by_cost(turns: Sequence[Turn], side: Side) -> float:
    """The same for a CPU second of the worker."""
    return median(turn["alone"].worker_us / turn[side].worker_us for turn in turns)


def shown(name: str, measured: Sequence[Measured]) -> list[Figure]:
    return [
        Figure(name, median(each.rate for each in measured), "requests/s"),
        Figure(f"{name}, CPU of the worker", median(each.worker_us for each in measured), "µs/request"),
        Figure(f"{name}, CPU of the parent", median(each.parent_us for each in measured), "µs/request"),
    ]
