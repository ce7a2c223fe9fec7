"""Who is let in, over what, and what is said to those who are not."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis as Client
from redis.exceptions import NoPermissionError

from qalipsis.cluster.redis.address import from_settings
from qalipsis.cluster.redis.faults import Words, judged
from qalipsis.cluster.redis.transport import RedisTransport
from qalipsis.config.secret import Secret
from qalipsis.config.settings import Redis as RedisSettings
from qalipsis.config.settings import RedisPool
from qalipsis.errors import ServiceUnavailable
from tests.services.certificates import Certificates
from tests.services.home import HOST, free_port
from tests.services.redis import Redis, RedisCluster, running_redis

from .conftest import Opener

PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls_redis(certificates: Certificates) -> Iterator[Redis]:
    users = [f"alice on >{PASSWORD} ~* +@all", f"bob on >{PASSWORD} ~qalipsis:* +@all -xadd"]
    with running_redis(certificates=certificates, users=users) as redis:
        yield redis


async def carries(transport: RedisTransport) -> bool:
    await transport.publish("news", b"1")
    subscription = transport.subscribe("news")
    delivery = await asyncio.wait_for(anext(subscription), 10)
    delivery.acknowledge()
    await subscription.aclose()
    await transport.remove("news")
    return delivery.body == b"1"


async def refusal(*uris: str, settings: RedisSettings | None = None) -> str:
    """Why a transport cannot be opened; no word of it is a password."""
    if settings is None:
        secrets = tuple(map(Secret, uris))
        settings = RedisSettings(uri=secrets[0]) if len(uris) == 1 else RedisSettings(uris=secrets)
    transport = RedisTransport(from_settings(settings))
    try:
        with pytest.raises(ServiceUnavailable) as caught:
            await asyncio.wait_for(transport.open(), 10)
    finally:
        await transport.aclose()
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


@pytest.mark.parametrize("query", ["verifyPeer=none", "verifyPeer=ca", "verifyPeer=full", ""])
async def test_tls_with_a_user(
    tls_redis: Redis,
    certificates: Certificates,
    opened: Opener,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
) -> None:
    if query != "verifyPeer=none":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    uri = Secret(f"rediss://alice:{PASSWORD}@{tls_redis.address}?clientName=factory-7&{query}")
    transport = await opened(from_settings(RedisSettings(uri=uri)))
    assert await carries(transport)


async def test_a_certificate_that_nobody_knows_is_not_trusted(tls_redis: Redis) -> None:
    for query in ("", "?verifyPeer=ca", "?verifyPeer=full"):
        said = await refusal(f"rediss://alice:{PASSWORD}@{tls_redis.address}{query}")
        assert f"the certificate of Redis at {tls_redis.address} is not trusted" in said
        assert "SSL_CERT_FILE" in said
        assert "verifyPeer=none" in said


async def test_a_certificate_for_another_host_is_trusted_by_those_who_say_so(
    tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Certificates(tmp_path, address="192.0.2.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    with running_redis(certificates=certificates) as redis:
        assert "verifyPeer=ca" in await refusal(f"rediss://{redis.address}")
        uri = Secret(f"rediss://{redis.address}?verifyPeer=ca")
        assert await carries(await opened(from_settings(RedisSettings(uri=uri))))


async def test_tls_is_expected_where_there_is_none_and_the_other_way_round(
    tls_redis: Redis, redis_server: Redis
) -> None:
    said = await refusal(f"rediss://{redis_server.address}?timeout=500ms")
    assert f"Redis at {redis_server.address} does not answer" in said
    assert "a port without TLS wants redis://" in said
    said = await refusal(f"redis://{tls_redis.address}")
    assert f"Redis at {tls_redis.address} does not answer" in said
    assert "a port with TLS wants rediss://" in said


@pytest.mark.parametrize(
    ("login", "who"), [(f"alice:{PASSWORD}x", "the user alice"), (f"eve:{PASSWORD}", "the user eve")]
)
async def test_a_wrong_password_is_refused_by_name(tls_redis: Redis, login: str, who: str) -> None:
    said = await refusal(f"rediss://{login}@{tls_redis.address}?verifyPeer=none")
    assert f"Redis at {tls_redis.address} refuses {who}" in said
    assert "redis.password" in said


async def test_a_login_that_is_missing_is_asked_for() -> None:
    with running_redis(password=PASSWORD) as redis:
        assert "redis.password" in await refusal(f"redis://{redis.address}")
        assert "the default user" in await refusal(f"redis://:{PASSWORD}x@{redis.address}")


async def test_a_server_that_does_not_answer_is_named_with_the_user() -> None:
    port = free_port()
    said = await refusal(f"redis://alice:{PASSWORD}@{HOST}:{port}")
    assert f"{HOST}:{port} does not answer" in said
    assert "alice" in said
    assert "redis.uri" in said
    said = await refusal(f"redis://{HOST}:{port}", f"redis://no-such-host.invalid:{port}")
    assert f"{port} does not answer" in said


async def test_a_host_that_swallows_everything_is_given_up() -> None:
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        said = await refusal(settings=RedisSettings(uri=Secret(f"redis://{HOST}:{port}"), timeout=0.3))
    assert f"{HOST}:{port} does not answer" in said


async def test_a_server_and_a_cluster_are_not_mistaken_for_each_other(
    redis_server: Redis, redis_cluster: RedisCluster, opened: Opener
) -> None:
    said = await refusal(redis_server.url, redis_server.url)
    assert "is no cluster: write its address as redis.uri" in said
    transport = await opened(from_settings(RedisSettings(uri=Secret(redis_cluster.urls[0]))))
    publishing = [transport.publish(f"news-{number}", b"1") for number in range(30)]  # some live elsewhere
    with pytest.raises(ServiceUnavailable, match=r"write the addresses of its nodes under redis.uris"):
        await asyncio.wait_for(asyncio.gather(*publishing), 10)


async def test_a_database_that_does_not_exist_is_told(redis_server: Redis) -> None:
    assert "has no database 99" in await refusal(f"redis://{redis_server.address}/99")


async def test_another_database_keeps_topics_apart(redis_server: Redis, opened: Opener) -> None:
    uri = Secret(f"redis://{redis_server.address}?database=3")
    transport = await opened(from_settings(RedisSettings(uri=uri)))
    await transport.publish("apart", b"1")
    async with Client.from_url(redis_server.url) as client:
        assert await client.exists("qalipsis:apart") == 0
        await client.select(3)
        assert await client.exists("qalipsis:apart") == 1
    await transport.remove("apart")


async def test_a_denial_names_command_and_key_and_is_not_tried_again(
    tls_redis: Redis, opened: Opener
) -> None:
    uri = Secret(f"rediss://bob:{PASSWORD}@{tls_redis.address}?verifyPeer=none")
    transport = await opened(from_settings(RedisSettings(uri=uri)))
    began = asyncio.get_running_loop().time()
    with pytest.raises(ServiceUnavailable, match=r"the user bob .* may not XADD qalipsis:news") as caught:
        await transport.publish("news", b"1")
    assert asyncio.get_running_loop().time() - began < 1
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ServiceUnavailable, match="XADD"):
        await anext(transport.subscribe("other"))


async def test_a_key_that_is_denied_is_named_to_the_reader(tls_redis: Redis, opened: Opener) -> None:
    uri = Secret(f"rediss://bob:{PASSWORD}@{tls_redis.address}?verifyPeer=none")
    transport = await opened(from_settings(RedisSettings(uri=uri)))
    with pytest.raises(ServiceUnavailable, match=r"may not HGETALL \{qalipsis:news\}:receipts"):
        await asyncio.wait_for(anext(transport.subscribe("news")), 10)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("XGROUP", "CREATE", "qalipsis:node:a", "readers", "0", "MKSTREAM"),
            "XGROUP CREATE qalipsis:node:a",
        ),
        (("XINFO", "CONSUMERS", "qalipsis:node:a", "readers"), "XINFO CONSUMERS qalipsis:node:a"),
        (
            ["XREADGROUP", "GROUP", "readers", "me", "COUNT", 1, "STREAMS", "qalipsis:node:a", ">"],
            "XREADGROUP qalipsis:node:a",
        ),
        (("XADD", "qalipsis:handshake", "*"), "XADD qalipsis:handshake"),
    ],
)
def test_the_key_is_named_wherever_it_stands_in_the_command(words: Words, told: str) -> None:
    address = from_settings(RedisSettings(uri=Secret("redis://bob@10.0.0.1")))
    error = judged(NoPermissionError("no access"), address.nodes[0], address, words)
    assert f"may not {told} (no access)" in str(error)


async def test_connections_have_a_name_and_are_as_many_as_the_pool_says(
    redis_server: Redis, opened: Opener
) -> None:
    async def connections(name: str) -> int:
        async with Client.from_url(redis_server.url) as client:
            return sum(each["name"] == name for each in await client.client_list())

    pool = RedisPool(enabled=True, min_idle=2, max_idle=3, max_total=5)
    settings = RedisSettings(uri=Secret(redis_server.url), client_name="head-1", pool=pool)
    transport = await opened(from_settings(settings))
    assert await connections("head-1") == 2
    await asyncio.gather(*(transport.publish(f"pooled-{number}", b"1") for number in range(20)))
    assert 2 <= await connections("head-1") <= 5
    await asyncio.sleep(0.3)
    assert await connections("head-1") <= 5
    for number in range(20):
        await transport.remove(f"pooled-{number}")
    await transport.aclose()
    assert await connections("head-1") == 0

    alone = await opened(from_settings(RedisSettings(uri=Secret(redis_server.url), client_name="head-2")))
    subscription = alone.subscribe("pooled-0")
    await asyncio.gather(*(alone.publish(f"pooled-{number}", b"1") for number in range(20)))
    await anext(subscription)
    assert await connections("head-2") == 2  # one of them waits for messages
    for number in range(20):
        await alone.remove(f"pooled-{number}")
    assert await connections("head-2") == 1
