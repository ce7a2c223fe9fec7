"""wrk, the yardstick: a C client on one core."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

CONNECTIONS = 32


class WrkMissing(RuntimeError):
    """wrk is not installed on this machine."""


@dataclass(frozen=True, slots=True)
class WrkRun:
    rate: float
    cpu_us: float
    """CPU microseconds per request."""


def run_wrk(url: str, duration_seconds: int, core: int) -> WrkRun:
    """Load `url` over keep-alive connections with one thread pinned to `core`."""
    path = shutil.which("wrk")
    if path is None:
        raise WrkMissing("wrk is not installed; run `sh tests/services/install` as root")
    command = [
        "taskset",
        "--cpu-list",
        str(core),
        path,
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{duration_seconds}",
        url,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}:\n{text}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    count = re.search(r"(\d+) requests in", text)
    if rate is None or count is None:
        raise RuntimeError(f"wrk printed no rate:\n{text}")
    return WrkRun(float(rate[1]), 1e6 * (usage.ru_utime + usage.ru_stime) / int(count[1]))
