from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCENARIO = """
import asyncio
from qalipsis import scenario

async def stubborn(context):
    while True:
        try:
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            pass

ignoring = scenario("ignoring").start().execute(stubborn).named("stubborn").timeout("200ms")
"""


def test_a_coroutine_that_swallows_its_cancellation_does_not_keep_the_command(tmp_path: Path) -> None:
    (tmp_path / "ignoring.py").write_text(SCENARIO)
    command = [sys.executable, "-m", "qalipsis", "run", "ignoring.py", "--workers", "0"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 1
    assert "timeout" in ran.stdout
