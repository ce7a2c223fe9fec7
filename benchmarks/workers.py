"""(d) The same campaign on one worker and on two.

Where there are only two cores the server competes with the workers, so the second worker cannot double the
rate there: what counts is that it costs nothing beside the core, and that the parent stays idle.
"""

from __future__ import annotations

from statistics import median

from benchmarks.campaign import SCENARIOS, CampaignRun, run_campaign
from benchmarks.cores import USABLE
from benchmarks.figure import Figure
from benchmarks.nginx import nginx
from benchmarks.throughput import LOOP, checked

MINIONS = 64
TURNS = 3


def measure(is_quick: bool) -> list[Figure]:
    seconds = 7 if is_quick else 14
    with nginx() as server:
        runs = [
            (campaign(server.url, seconds, 1), campaign(server.url, seconds, 2))
            for _ in range(1 if is_quick else TURNS)
        ]
    one, two = ([pair[place] for pair in runs] for place in (0, 1))
    return [
        Figure("two workers / one", median(b.steady_rate / a.steady_rate for a, b in runs), "×"),
        Figure("one worker", median(run.steady_rate for run in one), "requests/s"),
        Figure("two workers", median(run.steady_rate for run in two), "requests/s"),
        Figure("CPU per request, two workers / one", median(cpu(b) / cpu(a) for a, b in runs), "×"),
        Figure("parent, with two workers", median(parent_share(run) for run in two), "of a core"),
        Figure("cores for workers and server together", len(USABLE), ""),
    ]


def campaign(url: str, seconds: int, workers: int) -> CampaignRun:
    properties = {
        "target.url": url,
        "bench.minions": MINIONS,
        "bench.duration": f"{seconds}s",
        "bench.requests-per-pass": LOOP,
    }
    return checked(run_campaign(SCENARIOS / "passes.py", properties, workers=workers))


def cpu(run: CampaignRun) -> float:
    return run.cpu_seconds / run.requests


def parent_share(run: CampaignRun) -> float:
    return run.parent_cpu_seconds / float(run.report["campaign"]["duration_s"])
