from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.campaign import run_campaign
from qalipsis.demo.shop_process import running_shop

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
SERVICES = {"mqtt_battery": ("mosquitto", "mqtt.broker")}
"""Examples that need another service than the shop: its fixture, and the property for its address."""


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.stem for example in EXAMPLES])
def test_an_example_runs_as_it_stands(example: Path, request: pytest.FixtureRequest) -> None:
    with running_shop() as shop:
        properties = {"shop.url": shop.url}
        if example.stem in SERVICES:
            fixture, key = SERVICES[example.stem]
            properties = {key: request.getfixturevalue(fixture).url}
        run = run_campaign(example, properties)
    assert run.exit_code == 0, run.output
    assert run.report["campaign"]["status"] == "SUCCESSFUL"
    assert run.requests > 0
