from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.campaign import run_campaign
from qalipsis.demo.shop_process import running_shop

ROOT = Path(__file__).parents[1]
WITH_A_SHOP = ("first", "http_journey", "open_model")


@pytest.mark.alone  # examples expect latencies of their own: they need the cores that users give them
@pytest.mark.parametrize("example", WITH_A_SHOP)
def test_an_example_runs_as_it_stands(example: str) -> None:
    with running_shop() as shop:
        run = run_campaign(ROOT / "examples" / f"{example}.py", {"shop.url": shop.url})
    assert run.exit_code == 0, run.output
    assert run.report["campaign"]["status"] == "SUCCESSFUL"
    assert run.requests > 0


def test_every_example_is_run_by_a_test() -> None:
    examples = {path.stem for path in (ROOT / "examples").glob("*.py")}
    accepted = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "acceptance").glob("test_*.py")}
    assert examples == {*WITH_A_SHOP, *accepted}
