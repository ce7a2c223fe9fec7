"""What happened behind the API is seen: a message that never came, a row with a wrong amount."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from benchmarks.campaign import CampaignRun, run_campaign
from qalipsis.demo.shop_process import stop, wait_for_address
from tests.services.kafka import Kafka
from tests.services.postgres import Postgres

pytestmark = pytest.mark.alone  # the example expects latencies of its own, which need the cores of a user

EXAMPLE = Path(__file__).parents[2] / "examples" / "distributed_system.py"
SPEED = 5


@contextmanager
def order_service(*arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "qalipsis.demo.orders", "--until-stdin-closes", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield wait_for_address(process, timeout_seconds=20)
    finally:
        stop(process)


def run(postgres: Postgres, kafka_broker: Kafka, *faults: str) -> CampaignRun:
    topic = f"orders-{uuid4().hex}"
    systems = ("--database", postgres.url, "--kafka", kafka_broker.bootstrap, "--topic", topic)
    with order_service(*systems, *faults) as url:
        return run_campaign(
            EXAMPLE,
            {
                "orders.url": url,
                "orders.database": postgres.url,
                "orders.kafka": kafka_broker.bootstrap,
                "orders.topic": topic,
                "orders.patience": "6s",
                "campaign.speed-factor": SPEED,
            },
            workers=2,
        )


def test_every_order_is_published_and_stored_as_it_was_placed(
    postgres: Postgres, kafka_broker: Kafka
) -> None:
    campaign = run(postgres, kafka_broker)
    assert campaign.exit_code == 0, campaign.output
    placed = campaign.step("place-order")["executions"]["successful"]
    assert placed >= 100
    for step in ("published", "message-is-the-order", "stored", "row-is-the-order"):
        executions = campaign.step(step)["executions"]
        assert (executions["successful"], executions["failed"]) == (placed, 0), step
    assert campaign.step("published")["counters"]["matched"] == placed


def test_one_percent_of_planted_faults_fails_the_campaign_and_names_the_steps(
    postgres: Postgres, kafka_broker: Kafka
) -> None:
    campaign = run(postgres, kafka_broker, "--drop", "0.01", "--falsify", "0.01")
    assert campaign.exit_code == 1, campaign.output
    assert campaign.report["campaign"]["status"] == "FAILED"
    failed = {
        step["name"]: step["executions"]["failed"]
        for scenario in campaign.report["scenarios"]
        for step in scenario["steps"]
        if step["executions"]["failed"] and step["name"] != "_split-4"
    }
    placed = campaign.step("place-order")["executions"]["successful"]
    # Each fault shows in its own branch, and nowhere else.
    assert failed == {"published": placed // 100, "row-is-the-order": placed // 100}
    for failing in failed:
        assert f"step {failing} failed" in campaign.output
