from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCENARIO = """
from qalipsis import scenario
checked = scenario("checked", minions=2).start().returns(1).verify(lambda v: v == 2).named("check").monitor()
"""


def test_events_reach_the_log_when_they_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "checked.py").write_text(SCENARIO)
    command = [sys.executable, "-m", "qalipsis", "run", "checked.py", "-c", "events.export.enabled=true"]
    command += ["-c", "events.level.minion=OFF", "-c", "logging.format=json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    logged = [json.loads(line) for line in ran.stderr.splitlines() if '"qalipsis.events"' in line]
    names = [json.loads(record["message"])["event"] for record in logged]
    assert sorted(set(names)) == ["step.assertion.failure", "step.execution.failed", "step.execution.started"]
    assert len(names) == 6
