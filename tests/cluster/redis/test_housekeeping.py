"""What is left in Redis: nothing that somebody does not need."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from redis.asyncio import Redis as Client
from redis.asyncio.cluster import RedisCluster as ClusterClient

from qalipsis.cluster import topics
from qalipsis.cluster.redis import keys, transport
from qalipsis.cluster.redis.group import NAME, Group, GroupGone
from qalipsis.cluster.redis.servers import Servers
from tests.services.redis import Redis, RedisCluster

from .conftest import Opener, address_of


@pytest.fixture
async def client(redis_server: Redis) -> Client:
    async with Client.from_url(redis_server.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def topic() -> str:
    return topics.feedback(uuid4().hex)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(500):
        if await holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{holds.__name__} not")


async def test_a_stream_holds_what_is_not_acknowledged(
    redis_server: Redis, opened: Opener, client: Client, topic: str
) -> None:
    redis = await opened(redis_server)
    for number in range(100):
        await redis.publish(topic, b"%d" % number)
    subscription = redis.subscribe(topic)
    deliveries = [await anext(subscription) for _ in range(100)]
    assert await client.xlen(keys.stream(topic)) == 100
    for delivery in deliveries[:40]:
        delivery.acknowledge()
    deliveries[60].acknowledge()

    async def holds_sixty() -> bool:
        return bool(await client.xlen(keys.stream(topic)) == 60)

    await until(holds_sixty)
    for delivery in deliveries:
        delivery.acknowledge()
    await redis.publish(topic, b"the last, which nobody acknowledges")
    await anext(subscription)

    async def holds_one() -> bool:
        return bool(await client.xlen(keys.stream(topic)) == 1)

    await until(holds_one)


async def test_keys_that_nobody_uses_have_an_end(
    redis_server: Redis, opened: Opener, client: Client, topic: str
) -> None:
    redis = await opened(redis_server)
    await redis.publish(topic, b"1")
    assert 80_000 < await client.ttl(keys.stream(topic)) <= 86_400
    (await anext(redis.subscribe(topic))).set_aside("nobody wants it")

    async def all_have() -> bool:
        lives = [await client.ttl(key(topic)) for key in (keys.stream, keys.receipts, keys.dead)]
        return min(lives) > 80_000

    await until(all_have)


async def test_a_wipe_just_before_the_keys_are_renewed_is_a_loss_and_no_failure(
    redis_server: Redis, client: Client, topic: str
) -> None:
    servers = Servers(address_of(redis_server))
    try:
        group = Group(servers, topic)
        await group.join()
        await group.renew()
        await client.delete(keys.stream(topic))
        with pytest.raises(GroupGone):
            await group.renew()
    finally:
        await servers.aclose()


async def test_a_topic_that_is_removed_leaves_no_key_and_is_forgotten_by_its_publishers(
    redis_server: Redis,
    opened: Opener,
    client: Client,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "REMOVED_SECONDS", 2)
    factory, head = await opened(redis_server), await opened(redis_server)
    for number in range(10):
        await factory.publish(topic, b"%d" % number)
    subscription = head.subscribe(topic)
    (await anext(subscription)).set_aside("it is the first")
    await head.remove(topic)
    with pytest.raises(StopAsyncIteration):
        await anext(subscription)

    async def is_gone() -> bool:
        return not await client.keys(f"*{topic}*")

    await until(is_gone)
    await asyncio.sleep(1.5)  # a publisher that still held something would remind its reader
    assert await is_gone()
    await factory.publish(topic, b"again")
    assert (await anext(head.subscribe(topic))).body == b"again"
    await head.remove(topic)


async def test_what_is_set_aside_can_be_looked_at(
    redis_server: Redis, opened: Opener, client: Client, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    redis = await opened(redis_server)
    await client.xadd(keys.stream(topic), {"colour": "red"})
    await client.xadd(keys.stream(topic), {"p": "me", "n": "one", "f": "1", "b": "x"})
    await redis.publish(topic, b"poison")
    await redis.publish(topic, b"good")
    subscription = redis.subscribe(topic)
    (await anext(subscription)).set_aside("it is poison")
    assert (await anext(subscription)).body == b"good"

    async def three_are_there() -> bool:
        return bool(await client.xlen(keys.dead(topic)) == 3)

    await until(three_are_there)
    letters = [fields for _, fields in await client.xrange(keys.dead(topic))]
    assert [each["reason"] for each in letters] == [
        "it is no entry of a publisher of ours",
        "it is no entry of a publisher of ours",
        "it is poison",
    ]
    assert "red" in letters[0]["b"]
    assert letters[2]["b"] == "poison"
    assert caplog.text.count(topic) == 3


async def test_consumers_that_have_left_are_removed(
    redis_server: Redis, opened: Opener, client: Client, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qalipsis.cluster.redis.group.IDLE_CONSUMER_MS", 300)
    redis = await opened(redis_server)
    for _ in range(5):
        await redis.publish(topic, b"1")
        subscription = redis.subscribe(topic)
        (await anext(subscription)).acknowledge()
        await subscription.aclose()
    await asyncio.sleep(0.4)
    await redis.publish(topic, b"1")
    await anext(redis.subscribe(topic))

    async def one_is_left() -> bool:
        return len(await client.xinfo_consumers(keys.stream(topic), NAME)) == 1

    await until(one_is_left)


async def test_a_stream_that_moves_to_another_node_is_followed(
    redis_cluster: RedisCluster, opened: Opener, topic: str
) -> None:
    redis = await opened(redis_cluster)
    subscription = redis.subscribe(topic)
    sent: list[bytes] = []

    async def passes(count: int) -> None:
        for _ in range(count):
            sent.append(b"%d" % len(sent))
            await redis.publish(topic, sent[-1])
        for expected in sent[-count:]:
            delivery = await asyncio.wait_for(anext(subscription), 15)
            assert delivery.body == expected
            delivery.acknowledge()

    await passes(50)
    stream = keys.stream(topic)
    async with ClusterClient.from_url(redis_cluster.urls[0]) as cluster:
        slot = cluster.keyslot(stream)
        owner = cluster.get_node_from_key(stream)
        assert owner is not None
        ids = {node.port: await node.execute_command("CLUSTER MYID") for node in cluster.get_primaries()}
        other = next(node for node in cluster.get_primaries() if node.port != owner.port)
        primaries = cluster.get_primaries()
    async with (
        Client(host=owner.host, port=owner.port) as source,
        Client(host=other.host, port=other.port) as target,
    ):
        try:
            await target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[owner.port])
            await source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[other.port])
            await passes(50)
            for key in (stream, keys.receipts(topic)):
                await source.execute_command("MIGRATE", other.host, other.port, key, 0, 5000)
            await passes(50)
        finally:
            for node in (other, owner, *primaries):
                async with Client(host=node.host, port=node.port) as each:
                    await each.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[other.port])
        await passes(50)
    await redis.remove(topic)
