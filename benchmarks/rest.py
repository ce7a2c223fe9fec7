"""(i) How fast the REST API answers while a campaign runs: 200 requests a second, whatever comes back."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.campaign import SCENARIOS, cpu_seconds, end
from benchmarks.figure import Figure, at_most
from qalipsis.demo.shop_process import running_shop

RATE = 200
LONG_SECONDS = 30
WARM_SECONDS = 3
MIX = (
    "list",
    "details",
    "scenarios",
    "details",
    "zones",
    "list",
    "details",
    "factories",
    "finished",
    "report",
)
"""In turns, so each a tenth of all requests per mention."""

PATHS = {
    "list": "/campaigns?size=20",
    "details": "/campaigns/{running}",
    "finished": "/campaigns/{finished}",
    "report": "/campaigns/{finished}/report",
    "scenarios": "/scenarios",
    "zones": "/zones",
    "factories": "/factories",
}


def measure(is_quick: bool) -> list[Figure]:
    seconds = 8 if is_quick else LONG_SECONDS
    with serving(seconds) as head:
        running, finished = head.prepare()
        paths = {name: path.format(running=running, finished=finished) for name, path in PATHS.items()}
        before = cpu_seconds(head.process.pid)
        time.sleep(WARM_SECONDS)
        idle = cpu_seconds(head.process.pid) - before
        waited = core_wait_seconds(head.process.pid)
        before = cpu_seconds(head.process.pid)
        answers = asyncio.run(Client(head.address, paths).send(seconds))
        used = cpu_seconds(head.process.pid) - before - idle / WARM_SECONDS * seconds
        waited = core_wait_seconds(head.process.pid) - waited
        assert head.ask("GET", f"/campaigns/{running}")[0]["status"] == "IN_PROGRESS"
    for failure, times in answers.failures.items():
        print(f"{times} × {failure}", file=sys.stderr)
    everything = sorted(each for group in answers.latencies.values() for each in group)
    return [
        at_most("p99 of all answers, from due", 1e3 * at(everything, 99), "ms", 50),
        Figure("p50", 1e3 * at(everything, 50), "ms"),
        Figure("the slowest answer", 1e3 * everything[-1], "ms"),
        at_most("answers that were no success", answers.failures.total(), "", 0),
        Figure("requests a second", len(everything) / seconds, "/s"),
        Figure("CPU of the head for each request", 1e3 * used / len(everything), "ms"),
        Figure("share of the time that the head waited for a core", 100 * waited / seconds, "%"),
        *(
            Figure(f"p99 of {name}", 1e3 * at(sorted(group), 99), "ms")
            for name, group in sorted(answers.latencies.items())
        ),
    ]


def at(ordered: list[float], rank: int) -> float:
    return quantiles(ordered, n=100, method="inclusive")[rank - 1]


def core_wait_seconds(pid: int | str) -> float:
    """How long the loop of a process could have run, had other processes not had the cores."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


class Head:
    """`qalipsis standalone` with SQLite, against the shop of the demo."""

    def __init__(self, folder: Path, shop: str, seconds: int) -> None:
        settings = {
            "server.port": 0,
            "factory.workers": 1,
            "target.url": shop,
            "bench.duration": f"{seconds + 60}s",
        }
        command = [sys.executable, "-m", "qalipsis", "standalone", str(SCENARIOS / "steady.py")]
        self.process = subprocess.Popen(
            [*command, *(word for key, value in settings.items() for word in ("-c", f"{key}={value}"))],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        found = re.search(rb"http://([^\s/]+):(\d+)/api", self.process.stdout.readline())
        if found is None:
            raise RuntimeError("the head did not start")
        self.address = (found[1].decode(), int(found[2]))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        host, port = self.address
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(f"http://{host}:{port}/api{path}", data, headers, method=method)
        with urlopen(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def prepare(self) -> tuple[str, str]:
        """The keys of a campaign that runs, with all minions there, and of one that is over."""
        while not self.ask("GET", "/factories"):  # a campaign that nobody can host is refused
            time.sleep(0.1)
        finished = self.start()
        self.until(finished, "IN_PROGRESS")
        time.sleep(5)
        self.ask("POST", f"/campaigns/{finished}/abort", {"hard": True})
        self.until(finished, "ABORTED")
        running = self.start()
        self.until(running, "IN_PROGRESS")
        return running, finished

    def start(self) -> str:
        scenarios = {name: {"minionsCount": 200} for name in ("buy", "browse")}
        key: str = self.ask("POST", "/campaigns", {"name": "steady", "scenarios": scenarios})["key"]
        return key

    def until(self, key: str, status: str) -> None:
        for _ in range(300):
            if self.ask("GET", f"/campaigns/{key}")[0]["status"] == status:
                return
            time.sleep(0.1)
        raise TimeoutError(f"campaign {key} never became {status}")


@contextmanager
def serving(seconds: int) -> Iterator[Head]:
    with running_shop() as shop, TemporaryDirectory(prefix="rest-") as folder:
        head = Head(Path(folder), shop.url, seconds)
        try:
            yield head
        finally:
            end(head.process)


@dataclass(slots=True)
class Answers:
    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds from when a request was due to the last byte of its answer."""
    failures: Counter[str] = field(default_factory=Counter)


class Client:
    """Asks at fixed moments, on as many connections as it takes: no answer holds up the next request."""

    def __init__(self, address: tuple[str, int], paths: dict[str, str]) -> None:
        self._address = address
        self._paths = paths
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self._answers = Answers()

    async def send(self, seconds: int) -> Answers:
        loop = asyncio.get_running_loop()
        began = loop.time() + 0.1
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(islice(cycle(MIX), seconds * RATE)):
                due = began + number / RATE
                await asyncio.sleep(max(0.0, due - loop.time()))
                group.create_task(self._ask(name, due))
        for _, writer in self._idle:
            writer.close()
        return self._answers

    async def _ask(self, name: str, due: float) -> None:
        try:
            async with asyncio.timeout(30):
                status = await self._exchange(self._paths[name])
        except (OSError, EOFError, TimeoutError) as error:
            self._answers.failures[f"{name}: {error!r}"] += 1
            return
        self._answers.latencies[name].append(asyncio.get_running_loop().time() - due)
        if status != 200:
            self._answers.failures[f"{name}: {status}"] += 1

    async def _exchange(self, path: str) -> int:
        host, port = self._address
        # The head closes connections that rest; the one that was used last is the least likely to be one.
        while self._idle and self._idle[0][0].at_eof():
            self._idle.popleft()[1].close()
        connection = self._idle.pop() if self._idle else await asyncio.open_connection(host, port)
        reader, writer = connection
        writer.write(f"GET /api{path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None, head
        await reader.readexactly(int(length[1]))
        self._idle.append(connection)
        return int(head.split(None, 2)[1])
