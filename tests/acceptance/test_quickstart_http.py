from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.campaign import run_campaign
from qalipsis.demo.shop_process import running_shop
from tests.plugins.http.certificates import Certificates

pytestmark = pytest.mark.alone  # the example expects latencies of its own, which need the cores of a user

EXAMPLE = Path(__file__).parents[2] / "examples" / "quickstart_http.py"
SPEED = 5


def test_five_hundred_users_shop_over_tls_on_warm_connections(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    arguments = ("--certificate", str(certificates.server))
    with running_shop(arguments=arguments) as shop:
        properties = {"shop.url": shop.url, "shop.ca": str(certificates.ca), "campaign.speed-factor": SPEED}
        run = run_campaign(EXAMPLE, properties)
    assert run.exit_code == 0, run.output
    assert run.report["ledger"]["minions"]["completed"] == 500
    assert run.step("login")["executions"]["successful"] == 500
    assert (
        run.step("add")["executions"]["successful"] == run.step("change")["executions"]["successful"] >= 500
    )
    assert run.step("quantity-is-three")["executions"]["failed"] == 0
    assert "tls" not in run.step("add")["phases"]  # connected before the start
