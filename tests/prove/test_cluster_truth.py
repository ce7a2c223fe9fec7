"""What the report of a cluster says, against the log of the server and the books of its factories."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from benchmarks.campaign import SCENARIOS
from benchmarks.fleet import FactoryPlan, running_factories, running_head, write_settings
from benchmarks.nginx import Nginx, NginxMissing, find_nginx, run_nginx
from tests.services.fixtures import provided
from tests.services.offer import REDIS
from tests.services.postgres import Postgres
from tests.services.redis import Redis

try:
    find_nginx()
    has_nginx = True
except NginxMissing:
    has_nginx = False

needs_nginx = pytest.mark.skipif(not has_nginx and "CI" not in os.environ, reason="nginx is not installed")
prove = pytest.mark.prove

MINIONS = 100
LOG_SECONDS = 10.0
"""nginx writes its log in batches, once a second at least."""

SPLITS: tuple[Mapping[str, int] | None, ...] = (
    None,
    {"eu": 50, "us": 50},
    {"eu": 67, "us": 33},
    {"eu": 1, "us": 99},
    {"us": 100},
)


@pytest.fixture(scope="module")
def broker() -> Iterator[Redis]:
    """One of our own: no other test's heads and factories are met there."""
    yield from provided(REDIS)


@needs_nginx
@pytest.mark.parametrize(
    ("workers", "requests", "splits"),
    [
        (1, 6_000, SPLITS[2:3]),
        pytest.param(1, 110_000, SPLITS, marks=prove),
        pytest.param(2, 110_000, SPLITS, marks=prove),
    ],
)
def test_two_factories_report_exactly_the_requests_of_the_access_log(
    postgres: Postgres,
    broker: Redis,
    tmp_path: Path,
    workers: int,
    requests: int,
    splits: tuple[Mapping[str, int] | None, ...],
) -> None:
    write_settings(tmp_path, broker, postgres, f"truth_{uuid4().hex[:8]}")
    plans = [FactoryPlan(node=f"{zone}-1", zone=zone, workers=workers) for zone in ("eu", "us")]
    with run_nginx(tmp_path, log=True) as server:
        properties = {"target.url": server.url, "bench.requests-per-minion": requests // MINIONS}
        with (
            running_head(tmp_path) as head,
            running_factories(tmp_path, SCENARIOS / "closed.py", plans, properties),
        ):
            for plan in plans:
                add_zone(tmp_path, str(plan.zone))
            for turn, zones in enumerate(splits):
                before = server.logged()
                head.wait_idle(len(plans))
                wanted: dict[str, Any] = {"minionsCount": MINIONS}
                campaign = head.run(f"truth {turn}", {"closed": wanted | ({"zones": zones} if zones else {})})
                check(campaign, requests, zones, workers)
                wait_logged(server, before + requests)
                print(
                    f"{workers} worker(s), zones {zones}: {requests} = report = log = books of the factories"
                )
    everything = len(splits) * requests
    assert server.logged() == server.logged(b'"GET / HTTP/1.1" 200 ') == everything


def add_zone(folder: Path, key: str) -> None:
    command = [str(Path(sys.executable).with_name("qalipsis")), "zones", "add", key]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


def check(campaign: Mapping[str, Any], requests: int, zones: Mapping[str, int] | None, workers: int) -> None:
    """The books of the factories, the sum over them, and what the steps counted say the same."""
    assert campaign["status"] == "SUCCESSFUL", campaign
    assert campaign["verdict"]["value"] in ("VALID", "DEGRADED"), campaign["verdict"]
    booked, books = campaign["ledger"]["requests"], [each["ledger"] for each in campaign["factories"]]
    assert booked["attempted"] == booked["ok"] == requests
    assert booked["error"] == booked["unknown"] == 0
    for kind in ("requests", "minions", "passes"):
        for figure, total in campaign["ledger"][kind].items():
            assert sum(each[kind][figure] for each in books) == total, (kind, figure)
    minions = campaign["ledger"]["minions"]
    assert minions["started"] == minions["completed"] == MINIONS
    [scenario] = campaign["scenarios"]
    get = next(step for step in scenario["steps"] if step["name"] == "get")
    assert (get["successfulExecutions"], get["failedExecutions"]) == (requests, 0)
    if zones:
        assert scenario["zoneDistribution"] == {zone: share for zone, share in zones.items() if share}
        share = requests // MINIONS
        taken = {each["zone"]: each["ledger"]["requests"]["attempted"] for each in campaign["factories"]}
        assert {zone: taken.get(zone, 0) for zone in zones} == {
            zone: share * percent for zone, percent in zones.items()
        }


def wait_logged(server: Nginx, requests: int) -> None:
    """Until the log of a running server holds so many; whether it holds more is seen at its end."""
    deadline = time.monotonic() + LOG_SECONDS
    while (logged := server.logged()) < requests and time.monotonic() < deadline:
        time.sleep(0.2)
    assert logged == requests
