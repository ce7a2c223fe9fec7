"""What the documentation says about Redis works as it is written, with the addresses of real servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis as SyncClient
from redis.asyncio import Redis as Client
from redis.exceptions import NoPermissionError

from qalipsis.cluster import topics
from qalipsis.cluster.redis.address import Address, from_settings
from qalipsis.cluster.redis.transport import RedisTransport
from qalipsis.config.loader import load
from qalipsis.config.secret import Secret
from qalipsis.config.settings import Redis as RedisSettings
from tests.services.certificates import Certificates
from tests.services.redis import Redis, RedisCluster, running_redis, running_redis_cluster

from .conftest import Opener

PAGE = Path(__file__).parents[3] / "docs" / "operations" / "redis.md"

# What users of clusters have in hand; not a word may have to be changed but the addresses.
SERVER = """
redis.uri: redis://redis:6379
"""
CLUSTER = """
redis:
    username: my-redis-username
    password: my-redis-password
    client-name: qalipsis-head # Use a unique identifier for each factory
    timeout: 10s

    uris:
    - "rediss://${redis.username}:${redis.password}@162.19.1.2:6379?verifyPeer=none&clientName=${redis.client-name}&timeout=${redis.timeout}"
    - "rediss://${redis.username}:${redis.password}@162.19.1.3:6379?verifyPeer=none&clientName=${redis.client-name}&timeout=${redis.timeout}"
    - "rediss://${redis.username}:${redis.password}@162.19.1.4:6379?verifyPeer=none&clientName=${redis.client-name}&timeout=${redis.timeout}"
    - "rediss://${redis.username}:${redis.password}@162.19.1.4:6379?verifyPeer=none&clientName=${redis.client-name}&timeout=${redis.timeout}"
    - "rediss://${redis.username}:${redis.password}@162.19.1.5:6379?verifyPeer=none&clientName=${redis.client-name}&timeout=${redis.timeout}"
    - "rediss://${redis.username}:${redis.password}@162.19.1.6:6379?verifyPeer=none&clientName=${redis.client-name}&timeout=${redis.timeout}"
"""
POOL = """
    pool:
        enabled: true
        min-idle: 2
        max-idle: 5
        max-total: 20
"""


def configured(directory: Path, text: str) -> Address:
    (directory / "qalipsis.yml").write_text(text)
    configuration = load(directory, environment={})
    configuration.check_unknown(())
    return from_settings(configuration.settings.redis)


async def carries(transport: RedisTransport) -> None:
    for number in range(20):
        topic = topics.feedback(f"documented-{number}")
        await transport.publish(topic, b"1")
        delivery = await asyncio.wait_for(anext(transport.subscribe(topic)), 10)
        delivery.acknowledge()
        await transport.remove(topic)


async def test_the_block_for_a_server_connects(redis_server: Redis, tmp_path: Path, opened: Opener) -> None:
    address = configured(tmp_path, SERVER.replace("redis:6379", redis_server.address))
    await carries(await opened(address))


@pytest.mark.parametrize("pool", ["", POOL])
async def test_the_block_for_a_cluster_connects(
    tls_cluster: RedisCluster, tmp_path: Path, opened: Opener, pool: str
) -> None:
    text = CLUSTER + pool
    for node, host in zip(tls_cluster.nodes, range(2, 7), strict=False):
        text = text.replace(f"162.19.1.{host}:6379", node.address)
    address = configured(tmp_path, text)
    assert len(address.nodes) == 5  # one of them stands there twice
    assert (address.client_name, address.timeout_seconds, address.verify) == ("qalipsis-head", 10.0, "none")
    await carries(await opened(address))


@pytest.fixture(scope="module")
def tls_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    users = ["my-redis-username on >my-redis-password ~* +@all"]
    with running_redis_cluster(certificates, users) as cluster:
        yield cluster


# The users


def documented(user: str) -> list[str]:
    """The words of the ACL command for a user; what is in brackets is one word."""
    [block] = re.findall(rf"```\nACL SETUSER {user} (.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return [word.replace("\n", " ") for word in re.findall(r"\(.*?\)|\S+", block, re.DOTALL)]


@pytest.fixture(scope="module")
def restricted() -> Iterator[Redis]:
    with running_redis() as redis:
        with SyncClient.from_url(redis.url) as client:
            for user in ("qalipsis-eu-1", "qalipsis-head"):
                client.execute_command("ACL", "SETUSER", user, *documented(user))
        yield redis


def address_for(user: str, redis: Redis) -> Address:
    uri = Secret(f"redis://{user}:PASSWORD@{redis.address}?clientName={user}&timeout=2s")
    return from_settings(RedisSettings(uri=uri))


async def test_a_factory_and_a_head_work_with_the_documented_rights(
    restricted: Redis, opened: Opener
) -> None:
    factory = await opened(address_for("qalipsis-eu-1", restricted))
    head = await opened(address_for("qalipsis-head", restricted))
    to_head = (topics.HANDSHAKE, topics.feedback("c-1"))
    to_factory = (topics.node("eu-1", 1), topics.directives("c-1", "eu-1"))
    for publisher, reader, names in ((factory, head, to_head), (head, factory, to_factory)):
        for topic in names:
            for number in range(300):
                await publisher.publish(topic, b"%d" % number)
            for _ in range(2):  # the second reader claims what the first has left
                subscription = reader.subscribe(topic)
                taken = [await asyncio.wait_for(anext(subscription), 10) for _ in range(100)]
                for delivery in taken[:-1]:
                    delivery.acknowledge()
                taken[0].set_aside("for once")
                await subscription.aclose()
    # A wipe makes everybody use what is seldom used.
    subscriptions = [factory.subscribe(topic) for topic in to_factory]
    for subscription in subscriptions:
        await asyncio.wait_for(anext(subscription), 10)
    async with Client.from_url(restricted.url) as client:
        await client.flushall()
    for subscription in subscriptions:
        await head.publish(subscription.topic, b"last")
        body = b""
        while body != b"last":
            delivery = await asyncio.wait_for(anext(subscription), 10)
            delivery.set_aside("it was only a test")
            body = delivery.body
        await subscription.aclose()
    for topic in (*to_head, *to_factory):
        await head.remove(topic)
    await factory.remove(topics.node("eu-1", 1))


async def test_a_factory_works_at_a_cluster_with_the_documented_rights(
    tls_cluster: RedisCluster, opened: Opener
) -> None:
    for node in tls_cluster.nodes:
        login = {"username": "my-redis-username", "password": "my-redis-password", "ssl_cert_reqs": "none"}
        with SyncClient(host=node.host, port=node.port, ssl=True, **login) as client:
            client.execute_command("ACL", "SETUSER", "qalipsis-eu-1", *documented("qalipsis-eu-1"))
    logins = ("qalipsis-eu-1:PASSWORD", "my-redis-username:my-redis-password")
    factory, head = [
        await opened(
            from_settings(
                RedisSettings(
                    uris=tuple(
                        Secret(f"rediss://{login}@{node.address}?verifyPeer=none")
                        for node in tls_cluster.nodes
                    )
                )
            )
        )
        for login in logins
    ]
    for topic in (topics.HANDSHAKE, topics.feedback("c-1"), topics.feedback("c-2")):
        await factory.publish(topic, b"1")
    for topic in (topics.node("eu-1", 1), topics.directives("c-1", "eu-1")):
        await head.publish(topic, b"1")
        (await asyncio.wait_for(anext(factory.subscribe(topic)), 10)).acknowledge()


@pytest.mark.parametrize(
    "command",
    [
        "GET secret",
        "SET secret 1",
        "KEYS *",
        "SCAN 0",
        "FLUSHALL",
        "CONFIG GET *",
        "ACL LIST",
        "MONITOR",
        "CLIENT LIST",
        "SUBSCRIBE news",
        "XRANGE qalipsis:{c-1}:feedback - +",
        "XREAD STREAMS qalipsis:{c-1}:feedback 0",
        "XREADGROUP GROUP readers me STREAMS qalipsis:{c-1}:feedback >",
        "XAUTOCLAIM qalipsis:{c-1}:feedback readers me 0 0",
        "XACK qalipsis:{c-1}:feedback readers 1-1",
        "XTRIM qalipsis:{c-1}:feedback MAXLEN 0",
        "UNLINK qalipsis:{c-1}:feedback",
        "HSET qalipsis:{c-1}:feedback:receipts a 1",
        "XRANGE qalipsis:handshake - +",
        "XREADGROUP GROUP readers me STREAMS qalipsis:handshake >",
        "HSET {qalipsis:handshake}:receipts a 1",
        "XREADGROUP GROUP readers me STREAMS qalipsis:node:eu-2:1 >",
        "XREADGROUP GROUP readers me STREAMS qalipsis:node:eu-10:1 >",
        "XADD qalipsis:node:eu-2:1 * a 1",
        "HSET {qalipsis:node:eu-2:1}:receipts a 1",
        "XADD qalipsis:{c-1}:dir:eu-2 * a 1",
        "XRANGE qalipsis:{c-1}:dir:eu-2 - +",
    ],
)
async def test_a_factory_can_do_nothing_else(restricted: Redis, command: str) -> None:
    async with Client(
        host=restricted.host,
        port=restricted.port,
        username="qalipsis-eu-1",
        password="PASSWORD",
        protocol=2,
    ) as client:
        with pytest.raises(NoPermissionError):
            await client.execute_command(*command.split())
