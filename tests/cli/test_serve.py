"""`qalipsis standalone` as users run it: a process, campaigns over HTTP, Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "first.py"
ENDLESS = """
    from qalipsis import profile, scenario

    endless = scenario("endless", minions=4).start().returns(1).delay("20ms").named("nap").iterate(100_000)
    quick = scenario("quick", minions=2).start().returns(1)
    steady = profile.arrival_rate(10, over="90s")
    long = scenario("long", minions=2, profile=steady).start().returns(1)
"""


class Head:
    """The process, and a client of its API."""

    def __init__(self, folder: Path, *words: str) -> None:
        (folder / "endless.py").write_text(dedent(ENDLESS))
        command = [sys.executable, "-m", "qalipsis", "standalone", str(EXAMPLE), "endless.py"]
        self.process = subprocess.Popen(
            [*command, "-c", "server.port=0", *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        found = re.search(r"http://[^\s/]+:\d+/api", self.process.stdout.readline())
        assert found is not None, self.process.communicate(timeout=10)[1]
        self.root = found[0]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.root + path, data, headers, method=method), timeout=10) as answer:
            content: bytes = answer.read()
            return content

    def send(self, path: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(self.root + path, body, headers, method="POST"), timeout=10):
            return

    def pour(self, path: str, length: int, is_chunked: bool) -> tuple[int, Any]:
        """Post so many spaces, and go on when the answer comes before their end."""
        address = urlsplit(self.root)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=10)
        connection.putrequest("POST", address.path + path)
        connection.putheader("Content-Type", "application/json")
        connection.putheader(
            *(("Transfer-Encoding", "chunked") if is_chunked else ("Content-Length", length))
        )
        connection.endheaders()
        block = b" " * (1 << 20)
        with suppress(ConnectionError):
            for _ in range(length >> 20):
                connection.send(b"%x\r\n%b\r\n" % (len(block), block) if is_chunked else block)
        with closing(connection), connection.getresponse() as answer:
            return answer.status, json.loads(answer.read())

    def peak_kilobytes(self) -> int:
        """The most memory that the process ever had."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found is not None
        return int(found[1])

    def get(self, path: str) -> Any:
        return json.loads(self.ask("GET", path))

    def start(self, scenario: str, minions: int) -> str:
        asked = {"name": f"{scenario} by REST", "scenarios": {scenario: {"minionsCount": minions}}}
        answer: dict[str, str] = json.loads(self.ask("POST", "/campaigns", asked))
        return answer["key"]

    def until(self, key: str, *statuses: str) -> dict[str, Any]:
        for _ in range(400):
            details: dict[str, Any] = self.get(f"/campaigns/{key}")[0]
            if details["status"] in statuses:
                return details
            time.sleep(0.05)
        raise AssertionError(f"it stays {details['status']}")


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Head]:
    head = Head(tmp_path)
    yield head
    head.process.kill()
    head.process.communicate()


def ready(head: Head) -> None:
    for _ in range(200):
        if head.get("/factories"):
            return
        time.sleep(0.05)
    raise AssertionError("no factory came")


def test_campaigns_are_run_stopped_and_reported_over_http(head: Head) -> None:
    ready(head)
    assert [each["name"] for each in head.get("/scenarios")] == ["endless", "first", "long", "quick"]
    # There is no shop: it fails, and the next one runs all the same.
    failing = head.start("first", 10)
    running = head.start("endless", 3)
    assert head.until(failing, "FAILED")["failureReason"]
    head.until(running, "IN_PROGRESS")
    for _ in range(100):
        live = head.get(f"/campaigns/{running}")[0]
        if live["successfulExecutions"]:
            break
        time.sleep(0.1)
    assert live["startedMinions"] == 3
    curve = head.get(f"/time-series/aggregate?series=minions.count&campaigns={running}")["minions.count"]
    assert curve["summary"]["value"] == 3.0
    head.ask("POST", f"/campaigns/{running}/abort?hard=true")
    details = head.until(running, "ABORTED")
    assert (details["aborterName"], details["verdict"]["value"]) == ("local", "VALID")
    assert b"endless by REST" in head.ask("GET", f"/campaigns/{running}/report")
    with pytest.raises(HTTPError, match="404"):
        head.get("/campaigns/nothing")


HUGE = 100 * 1024 * 1024
LEEWAY = 16 * 1024
"""Kilobytes of memory that no size of a body may exceed."""


def test_a_body_of_a_hundred_megabytes_is_refused_at_once(head: Head) -> None:
    ready(head)
    before, began = head.peak_kilobytes(), time.monotonic()
    for path in ("/campaigns", "/campaigns/one/abort"):
        for is_chunked in (False, True):
            status, answer = head.pour(path, HUGE, is_chunked)
            assert (status, answer) == (
                413,
                {"errors": ["the body of the request is too large: at most 1 MB is taken"]},
            )
    assert time.monotonic() - began < 10
    assert head.peak_kilobytes() - before < LEEWAY
    assert head.get("/zones") == []


def test_what_is_no_json_is_refused_with_a_sentence(head: Head) -> None:
    deep = (b"[" * 200_000, b'{"a":' * 200_000)
    for path in ("/campaigns", "/campaigns/validate", "/campaigns/one/abort"):
        for body in (b"{", b"\xff\xfe", b'{"name": NaN}', b"{}{}", *deep):
            with pytest.raises(HTTPError) as raised:
                head.send(path, body)
            assert raised.value.code == 400, body[:20]
            (sentence,) = json.loads(raised.value.read())["errors"]
            assert "JSON" in str(sentence)


def test_a_campaign_that_is_refused_leaves_the_factory_free(tmp_path: Path) -> None:
    head = Head(tmp_path, "-c", "campaign.configuration.validation.max-execution-duration=20s")
    try:
        ready(head)
        refused, next_one = head.start("long", 2), head.start("quick", 2)
        assert "the profiles take 90 s" in head.until(refused, "FAILED")["failureReason"]
        assert head.until(next_one, "SUCCESSFUL", "FAILED")["status"] == "SUCCESSFUL"
    finally:
        head.process.kill()
        head.process.communicate()


def test_ctrl_c_ends_the_campaign_and_the_process(head: Head, tmp_path: Path) -> None:
    ready(head)
    key = head.start("endless", 4)
    head.until(key, "IN_PROGRESS")
    head.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    head.process.send_signal(signal.SIGINT)
    _, told = head.process.communicate(timeout=30)
    assert head.process.returncode == 0, told
    assert "Traceback" not in told
    again = Head(tmp_path)
    try:
        assert again.get(f"/campaigns/{key}")[0]["status"] == "ABORTED"
        assert again.get("/campaigns")["totalElements"] == 1
        again.process.send_signal(signal.SIGINT)
        assert again.process.wait(timeout=10) == 0
    finally:
        again.process.kill()
        again.process.communicate()


def test_an_address_that_others_reach_needs_a_key(tmp_path: Path) -> None:
    head = Head(tmp_path, "-c", "server.host=0.0.0.0")
    try:
        with pytest.raises(HTTPError, match="401"):
            head.get("/campaigns")
        made = subprocess.run(
            [sys.executable, "-m", "qalipsis", "keys", "create", "ci", "--role", "reader"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        key = made.stdout.strip()
        assert json.loads(head.ask("GET", "/campaigns", Authorization=f"Bearer {key}"))["elements"] == []
        head.process.send_signal(signal.SIGINT)
        _, told = head.process.communicate(timeout=10)
        assert "qalipsis keys create NAME" in told
        assert key not in told
    finally:
        head.process.kill()
        head.process.communicate()


def test_two_campaigns_run_at_once_where_the_configuration_allows_it(tmp_path: Path) -> None:
    head = Head(tmp_path, "-c", "factory.campaigns=2", "-c", "factory.workers=1")
    try:
        ready(head)
        one, other = head.start("endless", 3), head.start("endless", 2)
        for key in (one, other):
            head.until(key, "IN_PROGRESS")
        (factory,) = head.get("/factories")
        assert (factory["campaign"], factory["campaigns"]) == (one, [one, other])
        waiting = head.start("quick", 2)
        for key, minions in ((one, 3), (other, 2)):
            for _ in range(100):
                if head.get(f"/campaigns/{key}")[0]["startedMinions"] == minions:
                    break
                time.sleep(0.1)
            assert head.get(f"/campaigns/{waiting}")[0]["status"] == "QUEUED"
        head.ask("POST", f"/campaigns/{other}/abort?hard=true")
        assert head.until(other, "ABORTED")["verdict"]["value"] == "VALID"
        assert head.until(waiting, "SUCCESSFUL", "FAILED")["status"] == "SUCCESSFUL"
        assert head.get(f"/campaigns/{one}")[0]["status"] == "IN_PROGRESS"
        head.ask("POST", f"/campaigns/{one}/abort?hard=true")
        assert head.until(one, "ABORTED")["verdict"]["value"] == "VALID"
    finally:
        head.process.kill()
        head.process.communicate()
