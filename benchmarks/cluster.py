"""(k) What one worker of a cluster sends, held against one of `qalipsis run`, on the same nginx.

The load is that of `throughput`: as fast as it goes, several requests per pass. Standalone, the parent shares
the injector's core with its worker, and what a head does is done there too. So it is in the cluster: factory,
head, Redis and PostgreSQL have the injector's core, and nginx the other one to itself.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from uuid import uuid4

import numpy as np

from benchmarks.campaign import SCENARIOS, CampaignRun, children, cpu_seconds, run_campaign, watch
from benchmarks.cores import INJECTOR, SERVER
from benchmarks.figure import Figure, at_least
from benchmarks.fleet import FactoryPlan, folder_with_services, qalipsis, running_factories
from benchmarks.nginx import nginx
from benchmarks.throughput import EDGES_SECONDS, LOOP, checked
from benchmarks.wrk import CONNECTIONS

ALTERNATIONS = 7
SCENARIO = SCENARIOS / "passes.py"
TIMEOUT_SECONDS = 120.0
EDGE = 2
"""Seconds at either end that are not counted, as in the steady rate."""


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


@dataclass(frozen=True, slots=True)
class Measured:
    """One campaign, and what its injector spent; the start and the report of neither process count."""

    rate: float
    worker_us: float
    parent_us: float

    @classmethod
    def of(cls, run: CampaignRun, spent: Spent) -> Measured:
        checked(run)
        started = datetime.fromisoformat(run.report["campaign"]["start"]).timestamp()
        seconds = run.report["timeline"][EDGE:-EDGE]
        requests = sum(second["achieved_per_s"] for second in seconds)
        parent, worker = spent.between(started + EDGE, started + EDGE + len(seconds))
        return cls(run.steady_rate, 1e6 * worker / requests, 1e6 * parent / requests)


def measure(is_quick: bool) -> list[Figure]:
    seconds = 4 if is_quick else 8
    alone: list[Measured] = []
    fleet: list[Measured] = []
    with nginx(core=SERVER) as server, folder_with_services(INJECTOR) as folder:
        properties = {
            "target.url": server.url,
            "bench.minions": CONNECTIONS,
            "bench.duration": f"{seconds + EDGES_SECONDS}s",
            "bench.requests-per-pass": LOOP,
        }
        for turn in range(1 if is_quick else ALTERNATIONS):
            sides = [(alone, run_alone), (fleet, run_in_cluster)]
            for measured, run in sides if turn % 2 == 0 else reversed(sides):
                measured.append(run(folder, properties))
    rates = [one.rate / other.rate for one, other in zip(fleet, alone, strict=True)]
    costs = [other.worker_us / one.worker_us for one, other in zip(fleet, alone, strict=True)]
    return [
        at_least("worker of a cluster / standalone, requests per second, median", median(rates), "×", 0.95),
        Figure("… worst", min(rates), "×"),
        Figure("… best", max(rates), "×"),
        at_least(
            "worker of a cluster / standalone, requests per CPU second, median", median(costs), "×", 0.95
        ),
        Figure("cluster", median(each.rate for each in fleet), "requests/s"),
        Figure("standalone", median(each.rate for each in alone), "requests/s"),
        Figure("cluster, CPU of the worker", median(each.worker_us for each in fleet), "µs/request"),
        Figure("standalone, CPU of the worker", median(each.worker_us for each in alone), "µs/request"),
        Figure("cluster, CPU of the supervisor", median(each.parent_us for each in fleet), "µs/request"),
        Figure("standalone, CPU of the parent", median(each.parent_us for each in alone), "µs/request"),
    ]


def run_alone(folder: Path, properties: dict[str, object]) -> Measured:
    spent = Spent()
    run = run_campaign(SCENARIO, properties, core=INJECTOR, while_running=spent.look)
    return Measured.of(run, spent)


def run_in_cluster(folder: Path, properties: dict[str, object]) -> Measured:
    """A factory with one worker, and a head that runs one campaign on it and ends with its exit code."""
    spent = Spent()
    reports = folder / f"reports-{uuid4().hex[:8]}"
    plan = FactoryPlan(node=f"bench-{uuid4().hex[:8]}")
    with running_factories(folder, SCENARIO, [plan], properties, core=INJECTOR) as [factory]:
        head = qalipsis(
            folder, "head", "--autostart", "--report-dir", str(reports), output="head.txt", core=INJECTOR
        )
        used = watch(head, TIMEOUT_SECONDS, lambda pid: spent.look(factory.pid))
    output, report = (folder / "head.txt").read_text(errors="replace"), reports / "report.json"
    if not report.exists():
        raise RuntimeError(f"the head ended with code {head.returncode}, no report:\n{output}")
    run = CampaignRun(json.loads(report.read_bytes()), int(head.returncode), output, *used)
    return Measured.of(run, spent)
