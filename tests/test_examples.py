from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.campaign import run_campaign
from qalipsis.demo.shop_process import running_shop

OTHERS = {"tcp_echo"}
"""Examples that need another service than the shop: the tests of their plugins run them."""
EXAMPLES = sorted(
    example for example in (Path(__file__).parents[1] / "examples").glob("*.py") if example.stem not in OTHERS
)


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.stem for example in EXAMPLES])
def test_an_example_runs_as_it_stands(example: Path) -> None:
    with running_shop() as shop:
        run = run_campaign(example, {"shop.url": shop.url})
    assert run.exit_code == 0, run.output
    assert run.report["campaign"]["status"] == "SUCCESSFUL"
    assert run.requests > 0
