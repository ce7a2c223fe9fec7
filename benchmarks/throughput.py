"""(a) Requests per second of one core: the whole of qalipsis, wrk, and Locust's FastHttpUser, on one nginx.

nginx has the first core, the client under test the second, one after the other in the same minute. With
qalipsis everything shares that core: the worker, and the parent that merges, prints and writes the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.campaign import SCENARIOS, CampaignRun, run_campaign
from benchmarks.cores import INJECTOR, SERVER
from benchmarks.fast_http_user import install, run_locust
from benchmarks.figure import Figure, at_least
from benchmarks.nginx import nginx
from benchmarks.wrk import CONNECTIONS, WrkRun, run_wrk

ALTERNATIONS = 7
LOCUST_EVERY = 3
"""Locust runs in the first alternation and each third one after: it varies little, and waits are long."""
LOOP = 200
"""Requests per pass where the loop is measured, not the passes."""
EDGES_SECONDS = 4
"""What a steady rate leaves out of a run."""


def measure(is_quick: bool) -> list[Figure]:
    install()
    seconds = 4 if is_quick else 8
    wrk: list[WrkRun] = []
    loops: list[CampaignRun] = []
    passes: list[CampaignRun] = []
    locust: list[float] = []
    with nginx(core=SERVER) as server:
        for turn in range(1 if is_quick else ALTERNATIONS):
            wrk.append(run_wrk(server.url, seconds, INJECTOR))
            loops.append(run_passes(server.url, seconds, LOOP))
            passes.append(run_passes(server.url, seconds, 1))
            if turn % LOCUST_EVERY == 0:
                locust.append(run_locust(server.url, seconds, INJECTOR))
    of_loops, of_passes = ratios(loops, wrk), ratios(passes, wrk)
    loop_rate, pass_rate, fast_http_user = median_rate(loops), median_rate(passes), median(locust)
    return [
        at_least("qalipsis / wrk, median", median(of_loops), "×", 0.45),
        Figure("qalipsis / wrk, worst", min(of_loops), "×"),
        Figure("qalipsis / wrk, one request per pass, median", median(of_passes), "×"),
        at_least("qalipsis / FastHttpUser", loop_rate / fast_http_user, "×", 8),
        Figure("qalipsis / FastHttpUser, one request per pass", pass_rate / fast_http_user, "×"),
        Figure("qalipsis", loop_rate, "requests/s"),
        Figure("qalipsis, one request per pass", pass_rate, "requests/s"),
        Figure("wrk", median(run.rate for run in wrk), "requests/s"),
        Figure("FastHttpUser", fast_http_user, "requests/s"),
        Figure("qalipsis, CPU with start and report", median_cpu_us(loops), "µs/request"),
        Figure("… one request per pass", median_cpu_us(passes), "µs/request"),
        Figure("wrk, CPU", median(run.cpu_us for run in wrk), "µs/request"),
    ]


def run_passes(url: str, seconds: int, requests_per_pass: int) -> CampaignRun:
    properties = {
        "target.url": url,
        "bench.minions": CONNECTIONS,
        "bench.duration": f"{seconds + EDGES_SECONDS}s",
        "bench.requests-per-pass": requests_per_pass,
    }
    return checked(run_campaign(SCENARIOS / "passes.py", properties, core=INJECTOR))


def checked(run: CampaignRun) -> CampaignRun:
    """A rate counts only when every request was answered and verified."""
    if run.report["campaign"]["status"] != "SUCCESSFUL":
        raise RuntimeError(f"the campaign was {run.report['campaign']['status']}:\n{run.output}")
    return run


def ratios(runs: Sequence[CampaignRun], wrk: Sequence[WrkRun]) -> list[float]:
    return [run.steady_rate / other.rate for run, other in zip(runs, wrk, strict=True)]


def median_rate(runs: Sequence[CampaignRun]) -> float:
    return median(run.steady_rate for run in runs)


def median_cpu_us(runs: Sequence[CampaignRun]) -> float:
    """CPU of all processes of a campaign, per request."""
    return median(1e6 * run.cpu_seconds / run.requests for run in runs)
