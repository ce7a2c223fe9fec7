"""Passwords, rights and certificates: who is let in, and what the messages never show."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qalipsis import scenario
from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import redis
from tests.services.home import find_program, free_port, open_home
from tests.services.redis import Redis, running_redis

from .stage import play, reading

PASSWORD = "s3cr/t@hu:nt%r2?"
ESCAPED = PASSWORD.replace("%", "%25").replace("?", "%3F")


@pytest.fixture(scope="module")
def guarded() -> Iterator[Redis]:
    """A server that wants a password, with a user who may touch the keys below `mine:` only."""
    import redis as driver

    with running_redis(PASSWORD) as server:
        admin = driver.Redis(server.host, server.port, password=PASSWORD)
        admin.execute_command(
            "ACL", "SETUSER", "teller", "on", f">{PASSWORD}", "~mine:*", "+@all", "-xautoclaim", "-del"
        )
        admin.close()
        yield server


def saving(store: Any, key: str) -> Any:
    return scenario("saving").start().returns(1).then(store.save(redis.set(key, 1))).named("it")


async def test_a_password_may_contain_anything(guarded: Redis) -> None:
    store = redis.client(f"redis://:{ESCAPED}@{guarded.address}/0")
    assert (await play(saving(store, "any"))).step("it").successful == 1
    by_option = redis.client(f"redis://{guarded.address}", username="teller", password=PASSWORD)
    assert (await play(saving(by_option, "mine:a"))).step("it").successful == 1


@pytest.mark.parametrize("credentials", ["", ":wrong-word@", "teller:wrong-word@", "nobody:wrong-word@"])
async def test_a_refused_login_ends_the_start_and_is_not_tried_again(
    guarded: Redis, credentials: str
) -> None:
    store = redis.client(f"redis://{credentials}{guarded.address}/0")
    user = credentials.partition(":")[0] or "default"
    began = time.monotonic()
    with pytest.raises(ServiceUnavailable) as raised:
        await play(saving(store, "any"))
    message = str(raised.value)
    assert guarded.address in message
    assert repr(user) in message or "give a user and a password" in message
    assert "wrong-word" not in message
    for source in (store.consume("s"), store.poll("scan")):
        with pytest.raises(ServiceUnavailable):
            async with reading(source):
                pass
    assert time.monotonic() - began < 3


async def test_a_missing_right_names_user_command_and_key(guarded: Redis) -> None:
    store = redis.client(f"redis://teller:{ESCAPED}@{guarded.address}/0")
    played = await play(saving(store, "yours"))
    step = played.step("it")
    assert step.errors == {"denied": 1}
    assert "'teller'" in step.first_error
    assert "SET 'yours'" in step.first_error
    assert PASSWORD not in step.first_error
    assert played.requests == (1, 1, 0)
    deleting = scenario("deleting").start().returns(1).then(store.save(redis.delete("mine:x"))).named("it")
    assert "DEL 'mine:x'" in (await play(deleting)).step("it").first_error


async def test_a_reader_without_rights_ends_the_start(guarded: Redis) -> None:
    store = redis.client(f"redis://teller:{ESCAPED}@{guarded.address}/0")
    for source in (store.consume("yours"), store.poll("sscan", "yours")):
        with pytest.raises(ServiceUnavailable, match=r"'teller'.*'yours'"):
            async with reading(source):
                pass


async def test_a_right_that_is_lost_stops_the_reading_at_once(guarded: Redis) -> None:
    import redis as driver

    admin = driver.Redis(guarded.host, guarded.port, password=PASSWORD)
    admin.execute_command("ACL", "SETUSER", "leaver", "on", ">pw", "~*", "+@all")
    store = redis.client(f"redis://leaver:pw@{guarded.address}/0")
    async with reading(store.poll("sscan", "mine:set", every="20ms")) as reader:
        admin.execute_command("ACL", "SETUSER", "leaver", "-sscan")
        began = time.monotonic()
        with pytest.raises(StepError) as raised:
            await reader.take(1)
        assert raised.value.kind == "denied"
        assert time.monotonic() - began < 2
    admin.close()


async def test_a_database_that_is_not_there_ends_the_start(redis_server: Redis) -> None:
    with pytest.raises(ServiceUnavailable, match="no database 99"):
        await play(saving(redis.client(f"redis://{redis_server.address}/99"), "any"))


async def test_the_database_and_the_name_of_the_client_are_used(redis_server: Redis) -> None:
    import redis as driver

    store = redis.client(f"redis://{redis_server.address}?database=3&clientName=teller-1&timeout=5s")
    admin = driver.Redis(redis_server.host, redis_server.port, db=3, decode_responses=True)
    async with reading(store.poll("scan", "in-three", every="10ms")) as reader:
        admin.set("in-three", "x", ex=30)
        [record] = await reader.take(1)
        assert record.value == "x"
        assert "teller-1" in {client["name"] for client in admin.client_list()}
    admin.close()


async def test_a_right_that_connecting_needs_ends_the_start(guarded: Redis) -> None:
    import redis as driver

    admin = driver.Redis(guarded.host, guarded.port, password=PASSWORD)
    admin.execute_command("ACL", "SETUSER", "nameless", "on", ">pw", "~*", "+@all", "-client")
    admin.close()
    store = redis.client(f"redis://nameless:pw@{guarded.address}")
    assert (await play(saving(store, "any"))).step("it").successful == 1
    named = redis.client(f"redis://nameless:pw@{guarded.address}", client_name="x")
    with pytest.raises(ServiceUnavailable, match=r"'nameless'.*client"):
        await play(saving(named, "any"))


# TLS


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of a server that speaks TLS only, and the certificate it shows for the name localhost."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = make_certificate(folder)
    port = free_port()
    with open_home("redis-tls") as home:
        command = [
            *(find_program("redis-server"), "--bind", "127.0.0.1", "--port", "0", "--tls-port", str(port)),
            *("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--save", ""),
            *("--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no", "--dir", str(folder)),
        ]

        def is_ready() -> bool:
            asked = [find_program("redis-cli"), "-p", str(port), "--tls", "--insecure", "PING"]
            return b"PONG" in subprocess.run(asked, capture_output=True, timeout=5, check=False).stdout

        server = home.server("redis-tls", command, is_ready)
        server.start()
        yield port, certificate


def make_certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    key.chmod(0o644)
    return certificate, key


async def test_a_trusted_certificate_is_accepted(encrypted: tuple[int, Path]) -> None:
    port, certificate = encrypted
    store = redis.client(f"rediss://localhost:{port}", verify=certificate)
    played = await play(saving(store, "any"))
    assert played.step("it").successful == 1


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("rediss://127.0.0.1:{port}?verifyPeer=none", {}),
        ("rediss://127.0.0.1:{port}", {"verify": False}),
        ("rediss://127.0.0.1:{port}?verifyPeer=ca", {"verify": "certificate"}),
    ],
)
async def test_less_can_be_checked(
    encrypted: tuple[int, Path], address: str, options: dict[str, Any]
) -> None:
    port, certificate = encrypted
    if options.get("verify") == "certificate":
        options = {"verify": str(certificate)}
    store = redis.client(address.format(port=port), **options)
    assert (await play(saving(store, "any"))).step("it").successful == 1


@pytest.mark.parametrize("address", ["rediss://localhost:{port}", "rediss://127.0.0.1:{port}"])
async def test_an_unknown_certificate_ends_the_start(encrypted: tuple[int, Path], address: str) -> None:
    port, certificate = encrypted
    options = {} if "localhost" in address else {"verify": str(certificate)}
    with pytest.raises(ServiceUnavailable, match="TLS handshake"):
        await play(saving(redis.client(address.format(port=port), **options), "any"))


async def test_plain_text_to_a_server_that_speaks_tls_ends_the_start(encrypted: tuple[int, Path]) -> None:
    port, _ = encrypted
    with pytest.raises(ServiceUnavailable, match=str(port)):
        await play(saving(redis.client(f"redis://127.0.0.1:{port}", timeout="2s"), "any"))


async def test_tls_to_a_server_that_speaks_plain_text_ends_the_start(redis_server: Redis) -> None:
    store = redis.client(f"rediss://{redis_server.address}", timeout="2s")
    with pytest.raises(ServiceUnavailable, match=str(redis_server.port)):
        await play(saving(store, "any"))
