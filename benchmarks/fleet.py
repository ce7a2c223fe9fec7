"""A head and its factories as a user starts them, all in one folder; shared by benchmarks and tests."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from benchmarks.campaign import POLL_SECONDS, end
from benchmarks.cores import on_core
from tests.services.postgres import Postgres, running_postgres
from tests.services.redis import Redis, running_redis

START_SECONDS = 60.0
STOP_SECONDS = 20.0
ENDED = ("SUCCESSFUL", "WARNING", "FAILED", "ABORTED")

Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactoryPlan:
    """One factory that is to be started."""

    node: str
    zone: str | None = None
    workers: int = 1


def write_settings(folder: Path, redis: Redis, postgres: Postgres, schema: str) -> None:
    """The `qalipsis.yml` that heads and factories of this folder share."""
    settings = {
        "redis.uri": redis.url,
        "server": {"host": "127.0.0.1", "port": 0},
        "datasource": {
            "host": postgres.host,
            "port": postgres.port,
            "database": postgres.database,
            "schema": schema,
            "username": postgres.user,
            "password": postgres.password,
        },
    }
    (folder / "qalipsis.yml").write_text(json.dumps(settings))  # JSON is YAML


@contextmanager
def folder_with_services(core: int) -> Iterator[Path]:
    """A folder whose settings lead to a Redis and a PostgreSQL, both on this core."""
    with TemporaryDirectory(prefix="cluster-") as name, ExitStack() as stack:
        with on_core(core):
            redis = stack.enter_context(running_redis())
            postgres = stack.enter_context(running_postgres())
        write_settings(Path(name), redis, postgres, "qalipsis")
        yield Path(name)


def qalipsis(
    folder: Path, *words: str, output: str, properties: Mapping[str, object] | None = None, core: int | None
) -> Process:
    """Start a command in the folder; what it prints goes to the file `output` there."""
    command = ["taskset", "--cpu-list", str(core)] if core is not None else []
    command += [str(Path(sys.executable).with_name("qalipsis")), *words]
    for key, value in (properties or {}).items():
        command += ["-c", f"{key}={value}"]
    with (folder / output).open("wb") as printed:
        return subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT
        )


@contextmanager
def running_factories(
    folder: Path,
    scenario: Path,
    plans: Sequence[FactoryPlan],
    properties: Mapping[str, object],
    core: int | None = None,
) -> Iterator[tuple[Process, ...]]:
    """They wait for heads; in the end they are told to end, and killed if they do not.

    With `core`, each factory and its workers share that one core.
    """
    processes: list[Process] = []
    try:
        for plan in plans:
            own = {"factory.node-id": plan.node, "factory.workers": plan.workers}
            if plan.zone is not None:
                own["factory.zone"] = plan.zone
            processes.append(
                qalipsis(
                    folder,
                    "factory",
                    str(scenario.resolve()),
                    output=f"{plan.node}.txt",
                    properties=own | dict(properties),
                    core=core,
                )
            )
        yield tuple(processes)
    finally:
        _end_in_order(processes)


class Api:
    """The REST API of a head on loopback."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        try:
            with urlopen(Request(self._url + path, data, headers, method=method), timeout=30) as answer:
                content = answer.read()
        except HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        return json.loads(content) if content else None

    def wait_idle(self, factories: int) -> None:
        """Until so many factories wait for a campaign."""
        self._wait(
            lambda: sum(each["state"] == "IDLE" for each in self.ask("GET", "/factories")) >= factories,
            START_SECONDS,
            f"there are no {factories} idle factories",
        )

    def run(self, name: str, scenarios: Mapping[str, Any], timeout_seconds: float = 300.0) -> dict[str, Any]:
        """The details of a campaign once it is over."""
        key = self.ask("POST", "/campaigns", {"name": name, "scenarios": scenarios})["key"]
        found: dict[str, Any] = {}

        def is_over() -> bool:
            found.update(self.ask("GET", f"/campaigns/{key}")[0])
            return found["status"] in ENDED

        self._wait(is_over, timeout_seconds, f"campaign {key} is not over")
        return found

    def _wait(self, is_so: Callable[[], bool], seconds: float, trouble: str) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{trouble} after {seconds:g} s")
            time.sleep(POLL_SECONDS)


@contextmanager
def running_head(folder: Path, core: int | None = None) -> Iterator[Api]:
    """A head that serves its REST API."""
    process = qalipsis(folder, "head", output="head.txt", core=core)
    try:
        yield Api(_address(process, folder / "head.txt"))
    finally:
        _end_in_order([process])


def _address(process: Process, output: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"listens on (http://\S+?),", output.read_text())
        if found is not None:
            return found[1]
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"the head did not start:\n{output.read_text()}")


def _end_in_order(processes: Sequence[Process]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            end(process)
