"""What the report says, against what servers know: their log, a delay they keep, a time they stood still."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

import pytest

from benchmarks.campaign import SCENARIOS, CampaignRun, run_campaign
from benchmarks.nginx import NginxMissing, find_nginx, run_nginx
from qalipsis.demo.shop_process import RunningShop, running_shop

try:
    find_nginx()
    has_nginx = True
except NginxMissing:
    has_nginx = False

needs_nginx = pytest.mark.skipif(not has_nginx and "CI" not in os.environ, reason="nginx is not installed")
prove = pytest.mark.prove


def assert_sound(run: CampaignRun) -> None:
    """Successful, and every account closed."""
    assert run.report["campaign"]["status"] == "SUCCESSFUL", run.output
    requests, minions = run.report["ledger"]["requests"], run.report["ledger"]["minions"]
    assert requests["attempted"] == requests["ok"] + requests["error"] + requests["unknown"]
    assert minions["started"] == sum(minions[end] for end in ("completed", "failed", "aborted", "lost"))


# the server's log


def check_log(run: CampaignRun, logged: int, logged_ok: int) -> None:
    print(f"{run.requests:,} requests in the report, {logged:,} lines in the log")  # `make prove` shows it
    assert_sound(run)
    get = run.step("get")
    assert run.requests == logged == logged_ok
    assert run.report["ledger"]["requests"]["ok"] == logged
    assert get["executions"]["successful"] == logged
    assert get["latency"]["from_due"]["count"] == get["latency"]["from_sent"]["count"] == logged
    assert get["statuses"] == {"200": logged}


@needs_nginx
@pytest.mark.parametrize(
    ("requests", "workers"),
    [(20_000, 1), *(pytest.param(110_000, 1 + turn % 2, marks=prove) for turn in range(10))],
)
def test_a_closed_run_reports_exactly_the_requests_of_the_access_log(
    tmp_path: Path, requests: int, workers: int
) -> None:
    with run_nginx(tmp_path, log=True) as server:
        properties = {
            "target.url": server.url,
            "bench.minions": 100,
            "bench.requests-per-minion": requests // 100,
        }
        run = run_campaign(SCENARIOS / "closed.py", properties, workers=workers)
    assert run.requests == requests
    check_log(run, server.logged(), server.logged(b'"GET / HTTP/1.1" 200 '))


@needs_nginx
@pytest.mark.parametrize("duration", ["3s", pytest.param("20s", marks=prove)])
def test_a_run_that_ends_by_the_clock_reports_exactly_the_requests_of_the_access_log(
    tmp_path: Path, duration: str
) -> None:
    with run_nginx(tmp_path, log=True) as server:
        properties = {"target.url": server.url, "bench.minions": 100, "bench.duration": duration}
        run = run_campaign(SCENARIOS / "passes.py", properties)
    check_log(run, server.logged(), server.logged(b'"GET / HTTP/1.1" 200 '))


# a known delay

DELAY_MS, TOLERANCE_MS = 50.0, max(1.0, 0.02 * 50.0)


class SecondOpinion:
    """A plain client that asks the same server at the same time, one request after the other."""

    def __init__(self, connection: HTTPConnection) -> None:
        self.latencies_ms: list[float] = []
        self._connection = connection

    def __call__(self, pid: int) -> None:
        sent = time.monotonic()
        self._connection.request("GET", "/catalogue/1")
        self._connection.getresponse().read()
        self.latencies_ms.append(1000 * (time.monotonic() - sent))


def run_against_delay(
    shop: RunningShop, rate: int, duration: str, while_running: Callable[[int], None] | None = None
) -> Mapping[str, float]:
    properties = {"target.url": shop.url, "bench.rate": rate, "bench.duration": duration}
    run = run_campaign(SCENARIOS / "open.py", properties, while_running=while_running)
    assert_sound(run)
    service_time: Mapping[str, float] = run.step("get")["latency"]["from_sent"]
    assert service_time["min_ms"] >= DELAY_MS * 0.996  # the histogram's own error
    return service_time


@pytest.mark.alone
def test_the_service_time_is_what_another_client_sees() -> None:
    """On a machine whose cores are busy all clients see more than the server's delay, but the same."""
    with (
        running_shop(delay="50ms", arguments=["--exact"]) as shop,
        closing(HTTPConnection(shop.url.removeprefix("http://"), timeout=10)) as connection,
    ):
        opinion = SecondOpinion(connection)
        service_time = run_against_delay(shop, 100, "4s", opinion)
    assert service_time["p50_ms"] == pytest.approx(median(opinion.latencies_ms), abs=TOLERANCE_MS)


@prove
def test_the_service_time_is_the_delay_that_the_server_keeps() -> None:
    """The 99th percentile needs cores that nobody else wants: not even a second client."""
    with running_shop(delay="50ms", arguments=["--exact"]) as shop:
        service_time = run_against_delay(shop, 500, "30s")
    assert service_time["p50_ms"] == pytest.approx(DELAY_MS, abs=TOLERANCE_MS)
    assert service_time["p99_ms"] == pytest.approx(DELAY_MS, abs=TOLERANCE_MS)


# a server that stands still


class Freeze:
    """Stops a shop two seconds into the load, lets it go on later, and remembers how long it stood still."""

    def __init__(self, shop: RunningShop, after_requests: int, seconds: float) -> None:
        self.measured_seconds = 0.0
        self._shop = shop
        self._after_requests = after_requests
        self._seconds = seconds
        self._stopped_at: float | None = None

    def __call__(self, pid: int) -> None:
        if self.measured_seconds:
            return
        if self._stopped_at is None:
            if answered(self._shop) >= self._after_requests:
                os.kill(self._shop.pid, signal.SIGSTOP)
                self._stopped_at = time.monotonic()
        elif time.monotonic() >= self._stopped_at + self._seconds:
            self.measured_seconds = time.monotonic() - self._stopped_at
            os.kill(self._shop.pid, signal.SIGCONT)


def answered(shop: RunningShop) -> int:
    with urlopen(f"{shop.url}/health", timeout=5) as response:
        return int(json.load(response)["answered"])


@pytest.mark.alone
@pytest.mark.parametrize(
    ("seconds", "frozen"), [(10, 2.0), pytest.param(40, 8.0, marks=prove)], ids=["short", "long"]
)
def test_a_frozen_server_shows_in_the_latency_from_due(seconds: int, frozen: float) -> None:
    """Arrivals come evenly for T seconds; the server stands still for S of them, and answers after d else.

    An arrival x seconds into the standstill waits the rest of it: S - x + d. These latencies are above all
    others, and fall evenly from S + d to d. The 5 % slowest of all arrivals are those of the first 0.05 T
    seconds of the standstill, so the 95th percentile is S - 0.05 T + d. With S = 8, T = 40: 6 s + d.
    Answering the backlog (some hundred requests) takes the shop a few hundredths of a second.
    """
    rate, delay = 100, 0.005
    with running_shop(delay="5ms") as shop:
        freeze = Freeze(shop, after_requests=2 * rate, seconds=frozen)
        run = run_campaign(
            SCENARIOS / "open.py",
            {
                "target.url": shop.url,
                "bench.rate": rate,
                "bench.duration": f"{seconds}s",
                "bench.minions": int(rate * (frozen + 4)),
            },
            while_running=freeze,
        )
    assert_sound(run)
    assert run.report["verdict"]["value"] == "VALID", run.report["verdict"]["reasons"]
    arrivals: dict[str, Any] = run.report["ledger"]["arrivals"]
    assert arrivals == {"planned": rate * seconds, "started": rate * seconds, "dropped": 0}
    expected = freeze.measured_seconds - 0.05 * seconds + delay
    p95 = run.step("get")["latency"]["from_due"]["p95_ms"] / 1000
    assert p95 == pytest.approx(expected, rel=0.05)
