from __future__ import annotations

from pathlib import Path

from benchmarks.campaign import run_campaign

EXAMPLE = Path(__file__).parents[2] / "examples" / "hello_world.py"


def test_fifty_minions_greet_twice_each_and_remember_it() -> None:
    run = run_campaign(EXAMPLE, {})
    assert run.exit_code == 0, run.output
    assert run.report["ledger"]["minions"]["completed"] == 50
    for step in ("greet", "remembered"):
        executions = run.step(step)["executions"]
        assert (executions["successful"], executions["failed"]) == (100, 0)
