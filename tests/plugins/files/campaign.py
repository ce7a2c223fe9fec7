"""A whole campaign around a scenario that is written into a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from textwrap import dedent
from typing import Any

from qalipsis.config.loader import load
from qalipsis.reports.model import Report
from qalipsis.wiring import RunRequest, open_run


async def run(folder: Path, source: str, *settings: str) -> Report:
    """Run it to its end, and what came of it."""
    file = folder / "scenarios.py"
    file.write_text(dedent(source))
    configuration = load(folder, {}, settings)
    request = RunRequest(paths=(file,), settings=configuration.settings, properties=configuration.properties)
    async with asyncio.timeout(60), open_run(request, lambda live: None) as running:
        return await running.wait()


def step(report: Report, name: str) -> Any:
    return next(each for scenario in report.scenarios for each in scenario.steps if each.name == name)
