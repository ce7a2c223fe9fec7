"""Runs `qalipsis run` as a user does, and reads what it reported; shared by benchmarks and tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

SCENARIOS = Path(__file__).with_name("scenarios")
POLL_SECONDS = 0.1
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class CampaignRun:
    """`report` is the report.json; the CPU times are seconds, of the parent alone and of all processes."""

    report: Mapping[str, Any]
    exit_code: int
    output: str
    parent_cpu_seconds: float
    cpu_seconds: float

    @property
    def requests(self) -> int:
        return int(self.report["ledger"]["requests"]["attempted"])

    @property
    def steady_rate(self) -> float:
        """Requests per second: the median of the whole seconds, without the first two and the last two."""
        rates = [second["achieved_per_s"] for second in self.report["timeline"]]
        if len(rates) < 6:
            raise RuntimeError(f"{len(rates)} seconds show no steady rate; ask for more requests")
        return float(median(rates[2:-2]))

    def step(self, name: str) -> Mapping[str, Any]:
        steps = [step for scenario in self.report["scenarios"] for step in scenario["steps"]]
        return next(step for step in steps if step["name"] == name)


def run_campaign(
    scenario: Path,
    properties: Mapping[str, object],
    *,
    workers: int = 1,
    core: int | None = None,
    timeout_seconds: float = 300.0,
    while_running: Callable[[int], None] | None = None,
    arguments: Sequence[str] = (),
) -> CampaignRun:
    """Run the scenarios of one file to their end.

    With `core`, parent and workers share that one core. `while_running` is called every tenth of a second
    with the process id of the parent. A campaign that takes longer than the timeout is killed and raises;
    one that ends without a report raises with what it printed.
    """
    with TemporaryDirectory(prefix="campaign-") as directory:
        settings = {"factory.workers": workers, **properties}
        command = ["taskset", "--cpu-list", str(core)] if core is not None else []
        command += [str(Path(sys.executable).with_name("qalipsis")), "run", str(scenario.resolve())]
        command += ["--report-dir", directory]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        output = Path(directory) / "output.txt"
        with output.open("wb") as printed:
            process = subprocess.Popen(
                [*command, *arguments],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
            used = watch(process, timeout_seconds, while_running)
        report = Path(directory) / "report.json"
        text = output.read_text(errors="replace")
        if not report.exists():
            raise RuntimeError(
                f"{' '.join(command)} ended with code {process.returncode}, no report:\n{text}"
            )
        return CampaignRun(json.loads(report.read_bytes()), process.returncode, text, *used)


def watch(
    process: subprocess.Popen[bytes], timeout_seconds: float, while_running: Callable[[int], None] | None
) -> tuple[float, float]:
    """Wait for the end; returns CPU seconds of the parent alone and of it with its children."""
    deadline = time.monotonic() + timeout_seconds
    parent = 0.0
    try:
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return parent, usage.ru_utime + usage.ru_stime
            if time.monotonic() > deadline:
                raise TimeoutError(f"the campaign was still running after {timeout_seconds:g} s")
            parent = cpu_seconds(process.pid)
            if while_running is not None:
                while_running(process.pid)
            time.sleep(POLL_SECONDS)
    except BaseException:
        end(process)
        raise


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a campaign with its workers."""
    workers = children(process.pid)
    process.kill()
    process.wait()
    for worker in workers:
        try:
            os.kill(worker, 9)
        except ProcessLookupError:
            continue


def cpu_seconds(pid: int) -> float:
    """User and system time of one process, without its children; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid: int) -> int:
    """What the process keeps in memory; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def children(pid: int) -> list[int]:
    """The process ids below `pid`, oldest first."""
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []
