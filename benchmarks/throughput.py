"""(a) Requests per second of one core: the whole of qalipsis, wrk, and Locust's FastHttpUser, on one nginx.

nginx has the first core, the client under test the second, one after the other in the same minute. With
qalipsis everything shares that core: the worker, and the parent that merges, prints and writes the report.
"""

from __future__ import annotations

from statistics import median

from benchmarks.campaign import SCENARIOS, CampaignRun, run_campaign
from benchmarks.cores import INJECTOR, SERVER
from benchmarks.fast_http_user import install, run_locust
from benchmarks.figure import Figure, at_least
from benchmarks.nginx import nginx
from benchmarks.wrk import CONNECTIONS, run_wrk

ALTERNATIONS = 7
LOCUST_EVERY = 3
"""Locust runs in the first alternation and each third one after: it varies little, and waits are long."""


def measure(is_quick: bool) -> list[Figure]:
    install()
    seconds = 4 if is_quick else 8
    wrk, closed, passes, locust = [], [], [], []
    with nginx(core=SERVER) as server:
        for turn in range(1 if is_quick else ALTERNATIONS):
            wrk.append(run_wrk(server.url, seconds, INJECTOR))
            requests = int(wrk[-1].rate * 0.5 * (seconds + 3))  # at half of wrk's rate, some seconds
            closed.append(run_closed(server.url, requests))
            passes.append(run_passes(server.url, seconds + 3))
            if turn % LOCUST_EVERY == 0:
                locust.append(run_locust(server.url, seconds + 2, INJECTOR))
    ratios = [run.steady_rate / other.rate for run, other in zip(closed, wrk, strict=True)]
    of_passes = [run.steady_rate / other.rate for run, other in zip(passes, wrk, strict=True)]
    rate, fast_http_user = median(run.steady_rate for run in closed), median(locust)
    return [
        at_least("qalipsis / wrk, median", median(ratios), "×", 0.45),
        Figure("qalipsis / wrk, worst", min(ratios), "×"),
        Figure("qalipsis / wrk, one request per pass, median", median(of_passes), "×"),
        at_least("qalipsis / FastHttpUser", rate / fast_http_user, "×", 8),
        Figure("qalipsis / FastHttpUser, one request per pass", passes_rate(passes) / fast_http_user, "×"),
        Figure("qalipsis", rate, "requests/s"),
        Figure("qalipsis, one request per pass", passes_rate(passes), "requests/s"),
        Figure("wrk", median(run.rate for run in wrk), "requests/s"),
        Figure("FastHttpUser", fast_http_user, "requests/s"),
        Figure("qalipsis, CPU", median(cpu_us(run) for run in closed), "µs/request"),
        Figure("wrk, CPU", median(run.cpu_us for run in wrk), "µs/request"),
    ]


def run_closed(url: str, requests: int) -> CampaignRun:
    properties = {
        "target.url": url,
        "bench.minions": CONNECTIONS,
        "bench.requests-per-minion": max(1, requests // CONNECTIONS),
    }
    return checked(run_campaign(SCENARIOS / "closed.py", properties, core=INJECTOR))


def run_passes(url: str, seconds: int) -> CampaignRun:
    properties = {"target.url": url, "bench.minions": CONNECTIONS, "bench.duration": f"{seconds}s"}
    return checked(run_campaign(SCENARIOS / "passes.py", properties, core=INJECTOR))


def checked(run: CampaignRun) -> CampaignRun:
    """A rate counts only when every request was answered and verified."""
    if run.report["campaign"]["status"] != "SUCCESSFUL":
        raise RuntimeError(f"the campaign was {run.report['campaign']['status']}:\n{run.output}")
    return run


def passes_rate(runs: list[CampaignRun]) -> float:
    return median(run.steady_rate for run in runs)


def cpu_us(run: CampaignRun) -> float:
    """Of all processes, start and report included."""
    return 1e6 * run.cpu_seconds / run.requests
