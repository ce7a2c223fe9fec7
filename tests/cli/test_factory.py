"""`qalipsis factory` as it is started: a process at a real Redis, and a head that the test plays."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from qalipsis.cluster.messages import Farewell, Handshake, HandshakeRefused, Shutdown
from tests.factory.played_head import command, factory_at
from tests.services.home import HOST, free_port
from tests.services.redis import Redis

SECONDS = 30.0
SCENARIO = """
    from qalipsis import scenario

    shop = scenario("shop", minions=2).start().returns(1)
"""


def configured(folder: Path, *lines: str) -> Path:
    (folder / "shop.py").write_text(dedent(SCENARIO))
    (folder / "qalipsis.yml").write_text("\n".join(lines) + "\n")
    return folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*(words or ("shop.py",))), cwd=folder, capture_output=True, text=True, timeout=SECONDS
    )


async def test_a_factory_joins_beats_and_ends_when_a_head_says_so(
    redis_server: Redis, tmp_path: Path
) -> None:
    async with factory_at(redis_server, tmp_path, SCENARIO) as head:
        await head.accepts()
        handshake = head.heard[0].message
        assert isinstance(handshake, Handshake)
        assert (handshake.zone, handshake.workers) == ("west", 1)
        assert [scenario.name for scenario in handshake.scenarios] == ["shop"]
        await head.say(Shutdown(reason="the cluster shrinks"))
        await head.hears(Farewell)
        out, err = await head.output()
        assert head.process.returncode == 0
        assert out.splitlines() == [
            f"Factory {head.node} in zone west, 1 worker, offers shop.",
            f"Looking for a head through Redis at {redis_server.address}; Ctrl-C stops it.",
        ]
        assert "the factory ends, as a head says: the cluster shrinks" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_factory_in_order(redis_server: Redis, tmp_path: Path, number: int) -> None:
    async with factory_at(redis_server, tmp_path, SCENARIO) as head:
        await head.accepts()
        head.process.send_signal(number)
        await head.hears(Farewell)
        await head.output()
        assert head.process.returncode == 0


async def test_a_refused_factory_says_what_to_change(redis_server: Redis, tmp_path: Path) -> None:
    async with factory_at(redis_server, tmp_path, SCENARIO) as head:
        await head.hears(Handshake)
        await head.say(HandshakeRefused(reason=f"another factory is called {head.node}"))
        _, err = await head.output()
        assert head.process.returncode == 64
        assert f"qalipsis: another factory is called {head.node}" in err


async def test_without_a_head_the_broker_and_the_topic_are_named(redis_server: Redis, tmp_path: Path) -> None:
    async with factory_at(redis_server, tmp_path, SCENARIO, "-c", "factory.handshake.timeout=200ms") as head:
        _, err = await head.output()
        assert head.process.returncode == 69
        assert f"`handshake` of Redis at {redis_server.address}" in err
        await head.hears(Farewell)


def test_a_wrong_password_is_told_without_showing_it(redis_server: Redis, tmp_path: Path) -> None:
    uri = f"redis://nobody:wrong-secret@{redis_server.address}"
    ran = run(configured(tmp_path, f"redis.uri: {uri}"))
    assert ran.returncode == 64
    assert "refuses" in ran.stderr
    assert "check the user and the password" in ran.stderr
    assert "wrong-secret" not in ran.stdout + ran.stderr


def test_a_redis_that_is_away_is_named(tmp_path: Path) -> None:
    port = free_port()
    ran = run(configured(tmp_path, f"redis.uri: redis://{HOST}:{port}"))
    assert ran.returncode == 69
    assert f"Redis at {HOST}:{port} does not answer" in ran.stderr


def test_broken_scenarios_are_told_before_any_head_is_asked(redis_server: Redis, tmp_path: Path) -> None:
    configured(tmp_path, f"redis.uri: {redis_server.url}")
    (tmp_path / "shop.py").write_text("from qalipsis import scenarios\n")
    ran = run(tmp_path)
    assert ran.returncode == 65
    assert "shop.py:1" in ran.stderr


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("factory.zone: west", "write for example `redis.uri: redis://host:6379`"),
        ("streaming.platform: redis", "redis.uri is not set"),
        ("streaming.platform: kafka", "high-load cluster"),
        ("redis.uri: redis://127.0.0.1:1\nfactory.node-id: 'a{b}'", "factory.node-id 'a{b}' should be"),
        (
            "redis.uri: redis://127.0.0.1:1\nfactory.metadata-path: shop.py",
            "shop.py/node-id: the identity of this factory cannot be kept there",
        ),
    ],
)
def test_a_configuration_without_a_way_to_the_heads_is_told(tmp_path: Path, line: str, told: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REDIS_")}
    ran = subprocess.run(
        command("shop.py"),
        cwd=configured(tmp_path, line),
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ran.returncode == 64
    assert told in ran.stderr
