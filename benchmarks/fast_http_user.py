"""Locust's FastHttpUser, in a virtual environment of its own that is kept between runs."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import venv
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

VERSION = "2.47.0"
LOCUSTFILE = Path(__file__).with_name("locustfile.py")
USERS = 32


def install() -> Path:
    """The interpreter that has Locust; installs it the first time, which takes some seconds."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = cache / "qalipsis-benchmarks" / f"locust-{VERSION}-python{sys.version_info.minor}"
    interpreter = directory / "bin" / "python"
    if not (directory / "installed").exists():
        venv.create(directory, clear=True, with_pip=True)
        pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"locust=={VERSION}"], check=True, timeout=300)
        (directory / "installed").touch()
    return interpreter


def run_locust(url: str, duration_seconds: int, core: int) -> float:
    """Requests per second, the median of the seconds after all users have started."""
    with TemporaryDirectory(prefix="locust-") as directory:
        command = ["taskset", "--cpu-list", str(core), str(install()), "-m", "locust", "-f", str(LOCUSTFILE)]
        command += ["--headless", "--users", str(USERS), "--spawn-rate", str(USERS), "--host", url]
        command += ["--run-time", f"{duration_seconds}s", "--csv", "locust", "--csv-full-history"]
        done = subprocess.run(
            [*command, "--only-summary", "--loglevel", "ERROR"],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=duration_seconds + 60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"locust ended with code {done.returncode}:\n{done.stdout}{done.stderr}")
        with (Path(directory) / "locust_stats_history.csv").open(newline="") as history:
            return steady_rate(list(csv.DictReader(history)))


def steady_rate(history: list[dict[str, str]]) -> float:
    """The median of the counts per second, between the rows of the history."""
    rows = [row for row in history if row["Name"] == "Aggregated" and int(row["User Count"]) == USERS]
    points = [(int(row["Timestamp"]), int(row["Total Request Count"])) for row in rows]
    rates = [
        (count - earlier) / (at - before)
        for (before, earlier), (at, count) in pairwise(points)
        if at > before
    ]
    return median(rates)
