"""What a head and factories say, and how they end, when what they are given cannot work: real processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest

from tests.services.certificates import Certificates
from tests.services.home import HOST, free_port
from tests.services.postgres import Postgres
from tests.services.redis import Redis, running_redis

SECONDS = 40.0
SCENARIO = """
    from qalipsis import scenario

    shop = scenario("shop", minions=2).start().returns({answer})
"""
STRANGER = (
    "import qalipsis.cluster.messages as messages; messages.PROTOCOL = {protocol}; "
    "import sys; from qalipsis.cli.main import main; sys.exit(main(sys.argv[1:]))"
)
"""A factory of a version to come, or of one that is too old."""


@dataclass
class Cluster:
    """A head over services of its own, in a folder with the configuration of all that is started in it."""

    folder: Path
    postgres: Postgres
    database: str
    root: str = ""
    lines: list[str] = field(default_factory=list)
    """What the head told."""

    def start(self, *words: str, code: str = "") -> subprocess.Popen[str]:
        how = ["-c", code] if code else ["-m", "qalipsis"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REDIS_")}
        return subprocess.Popen(
            [sys.executable, *how, *words],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, code: str = "") -> tuple[int, str]:
        """The exit code of a command, and what it told."""
        process = self.start(*words, code=code)
        try:
            _, told = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
        assert "Traceback" not in told
        assert "secret" not in told
        return process.returncode, told

    def head(self, *words: str) -> tuple[int, str]:
        return self.run("head", "-c", "server.port=0", *words)

    @contextmanager
    def factory(self, node: str, *words: str, answer: int = 1, scenarios: str = "") -> Iterator[None]:
        """A factory, from when the head has listed it."""
        (self.folder / f"{node}.py").write_text(dedent(SCENARIO.format(answer=answer)))
        name = ("-c", f"factory.node-id={node}")
        process = self.start("factory", scenarios or f"{node}.py", "--workers", "0", *name, *words)
        try:
            self.until(lambda: any(each["node"] == node for each in self.ask("GET", "/factories")[1]))
            yield
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)
        self.until(lambda: not any(each["node"] == node for each in self.ask("GET", "/factories")[1]))

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the answer."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = Request(self.root + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urlopen(request, timeout=SECONDS) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def campaign(self, scenario: str = "shop", **asked: Any) -> tuple[int, str]:
        """What the head answers to a campaign that cannot be run: the status, and all it says."""
        body = {"name": "bad input", "scenarios": {scenario: {"minionsCount": 2, **asked}}}
        status, answer = self.ask("POST", "/campaigns", body)
        return status, json.dumps(answer)

    def until(self, holds: Any) -> None:
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.05)

    def tells(self, text: str) -> None:
        self.until(lambda: any(text in line for line in self.lines))


@pytest.fixture(scope="module")
def cluster(
    postgres: Postgres, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    database = f"bad_{uuid4().hex[:8]}"
    asyncio.run(_execute(postgres.url, f"create database {database}"))
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "qalipsis.yml").write_text(
        dedent(f"""
            redis.uri: redis://{redis_server.address}/7
            datasource:
              host: {postgres.host}
              port: {postgres.port}
              database: {database}
              username: {postgres.user}
              password: {postgres.password}
        """)
    )
    cluster = Cluster(folder, postgres, database)
    for words in (("db", "upgrade"), ("zones", "add", "west"), ("zones", "add", "east")):
        code, told = cluster.run(*words)
        assert code == 0, told
    process = cluster.start("head", "--insecure", "-c", "server.port=0", "-c", "server.host=127.0.0.1")
    assert process.stdout is not None
    assert process.stderr is not None
    reading = threading.Thread(target=lambda errors: cluster.lines.extend(errors), args=[process.stderr])
    reading.start()
    try:
        found = re.search(r"http://[^\s/]+:\d+/api", process.stdout.readline())
        assert found is not None, cluster.lines
        cluster.root = found[0]
        with cluster.factory("one", "-c", "factory.zone=west"):
            yield cluster
    finally:
        process.terminate()
        process.wait(SECONDS)
        reading.join()
        process.stdout.close()
        process.stderr.close()


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


# What a head or a factory is started with


@pytest.mark.parametrize("command", ["head", "factory"])
def test_a_wrong_password_of_redis_is_told(cluster: Cluster, redis_server: Redis, command: str) -> None:
    words = ("one.py",) if command == "factory" else ("-c", "server.port=0")
    code, told = cluster.run(
        command, *words, "-c", f"redis.uri=redis://somebody:secret@{redis_server.address}"
    )
    assert code == 64
    assert f"Redis at {redis_server.address} refuses the user somebody" in told
    assert "check the user and the password in redis.uri" in told


def test_a_redis_that_is_not_there_is_told(cluster: Cluster) -> None:
    port = free_port()
    code, told = cluster.head("-c", f"redis.uri=redis://{HOST}:{port}")
    assert code == 69
    assert f"Redis at {HOST}:{port} does not answer: Error 111" in told
    assert "correct redis.uri" in told


def test_a_certificate_that_is_not_trusted_is_told(cluster: Cluster, tmp_path: Path) -> None:
    with running_redis(certificates=Certificates(tmp_path)) as redis:
        code, told = cluster.head("-c", f"redis.uri={redis.url}")
    assert code == 69
    assert f"the certificate of Redis at {redis.address} is not trusted" in told
    assert "SSL_CERT_FILE names a file of authorities" in told


def test_a_postgresql_that_is_not_there_is_told(cluster: Cluster) -> None:
    port = free_port()
    code, told = cluster.head("-c", f"datasource.port={port}")
    assert code == 69
    assert f"cannot reach PostgreSQL at {HOST}:{port}, database {cluster.database}" in told
    assert "check that it runs" in told


def test_a_wrong_password_of_postgresql_is_told(cluster: Cluster) -> None:
    code, told = cluster.head("-c", "datasource.password=secret")
    assert code == 64
    assert "refuses the login" in told
    assert "check datasource.username and datasource.password" in told


def test_tables_of_a_later_version_are_told(cluster: Cluster) -> None:
    code, told = cluster.run("db", "upgrade", "-c", "datasource.schema=later")
    assert code == 0, told
    parts = cluster.postgres.url.rpartition("/")
    asyncio.run(
        _execute(f"{parts[0]}/{cluster.database}", "update later.alembic_version set version_num = '9999'")
    )
    code, told = cluster.head("-c", "datasource.schema=later")
    assert code == 64
    assert "the tables are of revision 9999, and the newest that this version of qalipsis knows is" in told


def test_factories_that_do_not_come_are_counted(cluster: Cluster, redis_server: Redis) -> None:
    """A cluster of its own, at the broker as well: the factory of the other one must not come to it."""
    code, told = cluster.head(
        *("--autostart", "-c", "factory.handshake.timeout=1s"),
        *("-c", "datasource.schema=ci", "-c", f"redis.uri=redis://{redis_server.address}/8"),
    )
    assert code == 69
    assert "0 of the 1 required factories came within 1 s: start the others, or lower" in told


# Factories that do not fit


def test_a_second_factory_of_the_same_name_is_refused(cluster: Cluster) -> None:
    code, told = cluster.run("factory", "one.py", "--workers", "0", "-c", "factory.node-id=one")
    assert code == 64
    assert "another factory works as node one already; give each factory a factory.node-id of its own" in told
    cluster.tells("factory one was refused")


@pytest.mark.parametrize("protocol", [3, -1])
def test_a_factory_of_another_protocol_is_refused_by_name(cluster: Cluster, protocol: int) -> None:
    words = ("factory", "one.py", "--workers", "0", "-c", f"factory.node-id=stranger{protocol}")
    code, told = cluster.run(*words, code=STRANGER.format(protocol=protocol))
    assert code == 64
    assert f"factory stranger{protocol} speaks protocol {protocol} (version" in told
    assert "install the same version" in told
    cluster.tells(f"factory stranger{protocol} was refused")


def test_factories_with_different_versions_of_a_scenario_are_named(cluster: Cluster) -> None:
    with cluster.factory("two", answer=2):
        status, told = cluster.campaign()
    assert status == 400
    assert re.search(r"different versions of scenario shop: \w+ on one; \w+ on two; install the same", told)


def test_a_factory_in_an_unknown_zone_is_named_in_the_log_of_the_head(cluster: Cluster) -> None:
    with cluster.factory("lost", "-c", "factory.zone=nowhere"):
        cluster.tells("factory lost is in the zone nowhere, which is not among the zones")


# What the REST API is asked


@pytest.mark.parametrize(
    ("scenario", "asked", "told"),
    [
        ("shop", {"zones": {"west": 99}}, "the shares of the zones sum to 99 percent instead of 100"),
        ("shop", {"zones": {"mars": 100}}, "there is no zone mars; the zones are: east, west"),
        ("shop", {"zones": {"east": 100}}, "zone east has no factory; start one with factory.zone: east"),
        ("shop", {"zones": {"east": 100}}, "the zones and their factories are east: no factory; west: one"),
        ("shop", {"minionsCount": 0}, "the minions must be 1 to 1,000,000"),
        ("shop", {"minionsCount": "many"}, "Expected `int`, got `str`"),
        ("bank", {}, "there is no scenario bank; the scenarios are: shop"),
    ],
)
def test_a_campaign_that_cannot_run_is_refused(
    cluster: Cluster, scenario: str, asked: dict[str, Any], told: str
) -> None:
    status, answer = cluster.campaign(scenario, **asked)
    assert status == 400
    assert told in answer


def test_malformed_json_is_refused_with_its_place(cluster: Cluster) -> None:
    status, answer = cluster.ask("POST", "/campaigns", b'{"name": oops}')
    assert status == 400
    assert "not the JSON that is expected here: JSON is malformed" in answer["errors"][0]
    assert "byte 9" in answer["errors"][0]


def test_a_campaign_that_no_factory_has_in_full_is_refused(cluster: Cluster) -> None:
    other = dedent(SCENARIO.format(answer=1)).replace("shop", "other")
    (cluster.folder / "other.py").write_text(other)
    with cluster.factory("third", scenarios="other.py"):
        both = {"shop": {"minionsCount": 1}, "other": {"minionsCount": 1}}
        status, answer = cluster.ask("POST", "/campaigns", {"name": "both of them", "scenarios": both})
    assert status == 400
    assert answer["errors"] == [
        "no factory has all of the scenarios shop, other: run them in campaigns of their own, or give the "
        "factories the same files"
    ]


def test_while_postgresql_is_away_the_api_says_so_and_comes_back(cluster: Cluster) -> None:
    cluster.postgres.stop()
    try:
        began = time.monotonic()
        status, answer = cluster.ask("GET", "/campaigns")
        assert time.monotonic() - began < 10
        assert status == 503
        assert answer["errors"] == [
            "the head cannot reach its database or its broker now, its log says which: try again later"
        ]
        cluster.tells("cannot reach PostgreSQL")
    finally:
        cluster.postgres.start()
    cluster.until(lambda: cluster.ask("GET", "/campaigns")[0] == 200)
    cluster.until(lambda: cluster.ask("GET", "/factories/states")[1]["idle"] == 1)
