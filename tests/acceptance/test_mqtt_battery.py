from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.campaign import run_campaign
from tests.services.mosquitto import Mosquitto

EXAMPLE = Path(__file__).parents[2] / "examples" / "mqtt_battery.py"


@pytest.mark.parametrize("workers", [1, 2])
def test_every_reading_is_published_and_arrives_unchanged(mosquitto: Mosquitto, workers: int) -> None:
    run = run_campaign(EXAMPLE, {"mqtt.broker": mosquitto.secured_url}, workers=workers)
    assert run.exit_code == 0, run.output
    assert run.requests == 30
    for step in ("publish", "arrived", "unchanged"):
        executions = run.step(step)["executions"]
        assert (executions["successful"], executions["failed"]) == (30, 0), step
