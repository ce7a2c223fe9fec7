"""Redis restarts, is wiped, freezes and fails over in the middle of a campaign, and nobody notices."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from redis.asyncio import Redis as Client
from redis.asyncio.cluster import RedisCluster as ClusterClient

from qalipsis.cluster import topics
from qalipsis.cluster.codec import Sender
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.messages import ScenarioEnded, SnapshotTaken
from qalipsis.cluster.publisher import Publisher
from qalipsis.cluster.redis import keys
from qalipsis.cluster.redis.group import Group, GroupGone
from qalipsis.cluster.redis.reader import MOST_AHEAD
from qalipsis.cluster.redis.servers import Servers
from qalipsis.cluster.transport import Transport
from qalipsis.errors import TransportClosed
from qalipsis.testing.chaos import ChaosTransport
from tests.services.redis import Redis, RedisCluster, running_redis_cluster

from .conftest import Opener, address_of

SNAPSHOT = SnapshotTaken(worker=0, piece=0, pieces=1, data=bytes(1000))
FACTORIES = 3


class Campaign:
    """Three factories that report, each over a transport of its own, and a head that listens."""

    def __init__(self, head: Transport, factories: list[Transport], messages: int) -> None:
        self.topic = topics.feedback(uuid4().hex)
        self.messages = messages
        self.inbox = Inbox(head, self.topic)
        self.effects: Counter[tuple[str, int]] = Counter()
        self._has_begun = asyncio.Event()
        self._may_listen = asyncio.Event()
        self._may_listen.set()
        self._publishers = [
            Publisher(transport, Sender(f"factory-{number}", 1)) for number, transport in enumerate(factories)
        ]

    async def run(self, fault: Callable[[], Awaitable[object]]) -> None:
        """Until the head has all messages.

        The fault strikes when the head is so far behind that Redis holds messages nobody has read yet.
        """
        async with asyncio.timeout(60):
            listening = asyncio.create_task(self._listen())
            publishing = [asyncio.create_task(self._report(publisher)) for publisher in self._publishers]
            await self._has_begun.wait()
            self._may_listen.clear()
            await asyncio.sleep(0.8)
            await fault()
            self._may_listen.set()
            await asyncio.gather(*publishing)
            await listening
        assert set(self.effects.values()) == {1}

    async def _report(self, publisher: Publisher) -> None:
        for _ in range(self.messages):
            await publisher.say(self.topic, SNAPSHOT)
            await asyncio.sleep(0.001)

    async def _listen(self) -> None:
        last: dict[str, int] = {}
        async for received in self.inbox.messages():
            assert received.sequence == last.get(received.source, 0) + 1
            last[received.source] = received.sequence
            self.effects[received.source, received.sequence] += 1
            self._has_begun.set()
            await self._may_listen.wait()
            if len(self.effects) == self.messages * FACTORIES:
                return


async def campaign_at(service: Redis | RedisCluster, opened: Opener, messages: int = 800) -> Campaign:
    head, *factories = [await opened(service) for _ in range(1 + FACTORIES)]
    return Campaign(head, factories, messages)


async def test_a_restart_loses_and_doubles_nothing(redis_server: Redis, opened: Opener) -> None:
    async def restart() -> None:
        await asyncio.to_thread(redis_server.stop)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(redis_server.start)

    await (await campaign_at(redis_server, opened)).run(restart)


async def test_a_crash_loses_and_doubles_nothing(redis_server: Redis, opened: Opener) -> None:
    async def crash() -> None:
        await asyncio.to_thread(redis_server.kill)
        await asyncio.to_thread(redis_server.start)

    await (await campaign_at(redis_server, opened)).run(crash)


async def test_a_wipe_loses_and_doubles_nothing(redis_server: Redis, opened: Opener) -> None:
    async def wipe() -> None:
        async with Client.from_url(redis_server.url) as client:
            await client.flushall()

    await (await campaign_at(redis_server, opened)).run(wipe)


async def test_a_restart_without_data_loses_and_doubles_nothing(redis_server: Redis, opened: Opener) -> None:
    async def wipe_and_restart() -> None:
        async with Client.from_url(redis_server.url) as client:
            await client.flushall()
        await asyncio.to_thread(redis_server.kill)
        await asyncio.to_thread(redis_server.start)

    await (await campaign_at(redis_server, opened)).run(wipe_and_restart)


async def test_what_nobody_has_read_survives_a_wipe(redis_server: Redis, opened: Opener) -> None:
    factory, head = await opened(redis_server), await opened(redis_server)
    topic = topics.feedback(uuid4().hex)
    publisher = Publisher(factory, Sender("factory", 1))
    for _ in range(50):
        await publisher.say(topic, SNAPSHOT)
    async with Client.from_url(redis_server.url) as client:
        await client.flushall()
    messages = Inbox(head, topic).messages()
    async with asyncio.timeout(15):
        assert [(await anext(messages)).sequence for _ in range(50)] == list(range(1, 51))


async def test_a_wipe_in_the_middle_of_housekeeping_passes(redis_server: Redis) -> None:
    servers = Servers(address_of(redis_server))
    await servers.open()
    group = Group(servers, topics.feedback(uuid4().hex))
    await group.join()
    async with Client.from_url(redis_server.url) as client:
        await client.flushall()
    with pytest.raises(GroupGone):  # its reader makes it again
        await group.renew()
    await servers.aclose()


async def test_a_frozen_server_is_waited_for(redis_server: Redis, opened: Opener) -> None:
    async def freeze() -> None:
        redis_server.freeze()
        try:
            await asyncio.sleep(4)  # longer than the timeout
        finally:
            redis_server.thaw()

    await (await campaign_at(redis_server, opened)).run(freeze)


async def noticed(transport: Transport, is_connected: bool) -> float:
    """Seconds until it says so."""
    began_at = time.monotonic()
    for _ in range(1000):
        if transport.is_connected is is_connected:
            return time.monotonic() - began_at
        await asyncio.sleep(0.01)
    raise TimeoutError


@pytest.mark.parametrize("seconds", [1.5, 5.0], ids=["within its timeout", "beyond its timeout"])
async def test_a_frozen_server_is_noticed_in_time(
    redis_server: Redis, opened: Opener, seconds: float
) -> None:
    """Before anything has failed, and by who only listens."""
    factory, head = await opened(redis_server), await opened(redis_server)
    topic = topics.feedback(uuid4().hex)
    subscription = head.subscribe(topic)
    await factory.publish(topic, b"0")
    first = await anext(subscription)
    assert first.body == b"0"
    first.acknowledge()
    await asyncio.sleep(1.2)  # an idle reader, at any place of its round
    assert head.is_connected
    redis_server.freeze()
    try:
        publishing = [asyncio.create_task(factory.publish(topic, b"%d" % number)) for number in range(1, 50)]
        assert await noticed(head, False) < 1.1
        # With the timeout of 2 s several tries fail meanwhile, and none of them looks like an answer.
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert not head.is_connected
            await asyncio.sleep(0.005)
    finally:
        redis_server.thaw()
    async with asyncio.timeout(10):
        for number in range(1, 50):
            delivery = await anext(subscription)
            assert delivery.body == b"%d" % number
            delivery.acknowledge()
        await asyncio.gather(*publishing)
    assert await noticed(head, True) < 1.5
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(subscription), 1.0)  # nothing comes twice


async def test_one_frozen_node_of_a_cluster_is_enough(opened: Opener) -> None:
    """Some may be heard only through it."""
    with running_redis_cluster() as cluster:
        head = await opened(cluster)
        busy, idle = topics.feedback(uuid4().hex), ""
        owners = [await owner_of(cluster, busy)]
        while len(owners) < 2 or owners[0].port == owners[-1].port:
            idle = topics.feedback(uuid4().hex)
            owners.append(await owner_of(cluster, idle))
        reading = asyncio.create_task(anext(head.subscribe(idle)))
        subscription = head.subscribe(busy)
        await head.publish(busy, b"0")
        assert (await anext(subscription)).body == b"0"
        owners[-1].freeze()
        try:
            assert await noticed(head, False) < 1.1
            await head.publish(busy, b"1")  # the others answer
            assert (await anext(subscription)).body == b"1"
            assert not head.is_connected
        finally:
            owners[-1].thaw()
        assert await noticed(head, True) < 1.5
        await head.publish(idle, b"2")
        assert (await asyncio.wait_for(reading, 10)).body == b"2"


async def owner_of(cluster: RedisCluster, topic: str) -> Redis:
    async with ClusterClient.from_url(cluster.urls[0]) as client:
        owner = client.get_node_from_key(keys.stream(topic))
        assert owner is not None
        return next(each for each in cluster.nodes if each.port == owner.port)


async def test_a_server_that_freezes_while_a_reader_begins_is_noticed(
    redis_server: Redis, opened: Opener
) -> None:
    """A head that takes over a campaign judges silence before it has read anything."""
    head = await opened(redis_server)
    redis_server.freeze()
    try:
        beginning = asyncio.create_task(anext(head.subscribe(topics.feedback(uuid4().hex))))
        assert await noticed(head, False) < 1.1
    finally:
        redis_server.thaw()
    assert await noticed(head, True) < 1.5
    beginning.cancel()


async def test_a_reader_that_waits_for_its_consumer_is_connected(redis_server: Redis, opened: Opener) -> None:
    factory, head = await opened(redis_server), await opened(redis_server)
    topic = topics.feedback(uuid4().hex)
    subscription = head.subscribe(topic)
    for _ in range(3 * MOST_AHEAD):
        await factory.publish(topic, b"more than is read ahead")
    await anext(subscription)
    for _ in range(150):
        assert head.is_connected
        await asyncio.sleep(0.01)


async def test_a_failover_loses_and_doubles_nothing(opened: Opener) -> None:
    with running_redis_cluster() as cluster:
        campaign = await campaign_at(cluster, opened)
        async with ClusterClient.from_url(cluster.urls[0]) as client:
            master = client.get_node_from_key(keys.stream(campaign.topic))
            assert master is not None
            [victim] = [node for node in cluster.nodes if node.port == master.port]
        await replicas_are_in_step(victim)

        async def crash() -> None:
            """Of a master whose replica does not have its last moments."""
            async with Client(host=victim.host, port=victim.port) as client:
                await client.acl_setuser("default", commands=["-psync", "-sync"])
                await client.client_kill_filter(_type="replica")
            await asyncio.sleep(0.3)
            await asyncio.to_thread(victim.kill)

        began = time.monotonic()
        await campaign.run(crash)
        assert time.monotonic() - began < 20


async def test_a_cluster_is_asked_for_another_home_when_slots_move(opened: Opener) -> None:
    with running_redis_cluster() as cluster:
        campaign = await campaign_at(cluster, opened)

        async def fail_over_in_order() -> None:
            async with ClusterClient.from_url(cluster.urls[0]) as client:
                master = client.get_node_from_key(keys.stream(campaign.topic))
                assert master is not None
                replicas = [(node, await master_of(node.port)) for node in client.get_replicas()]
                [heir] = [node for node, of in replicas if of == master.port]
            async with Client(host=heir.host, port=heir.port) as client:
                await client.execute_command("CLUSTER", "FAILOVER")

        await replicas_are_in_step(cluster.nodes[0])
        await campaign.run(fail_over_in_order)


async def replicas_are_in_step(master: Redis) -> None:
    async with Client(host=master.host, port=master.port) as client, asyncio.timeout(20):
        while True:
            replication = await client.info("replication")
            if replication.get("connected_slaves") and replication["slave0"]["state"] == "online":
                return
            await asyncio.sleep(0.1)


async def master_of(port: int) -> int:
    async with Client(host="127.0.0.1", port=port) as client:
        return int((await client.info("replication"))["master_port"])


async def test_publishing_waits_while_redis_is_away(redis_server: Redis, opened: Opener) -> None:
    transport = await opened(redis_server)
    topic = topics.feedback(uuid4().hex)
    await transport.publish(topic, b"1")
    assert transport.is_connected
    await asyncio.to_thread(redis_server.stop)
    try:
        waiting = asyncio.create_task(transport.publish(topic, b"2"))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        assert not transport.is_connected
    finally:
        await asyncio.to_thread(redis_server.start)
    await asyncio.wait_for(waiting, 10)
    assert transport.is_connected


async def test_a_redis_that_stays_away_closes_the_transport(redis_server: Redis, opened: Opener) -> None:
    transport = await opened(redis_server, patience_seconds=0.6)
    read, published = topics.feedback(uuid4().hex), topics.feedback(uuid4().hex)
    subscription = transport.subscribe(read)
    reading = asyncio.create_task(anext(subscription))
    await transport.publish(published, b"1")
    await asyncio.to_thread(redis_server.stop)
    try:
        named = rf"{redis_server.address}.*{published}"
        with pytest.raises(TransportClosed, match=named):
            await asyncio.wait_for(transport.publish(published, b"2"), 10)
        with pytest.raises(TransportClosed, match=read):
            await asyncio.wait_for(reading, 10)
        with pytest.raises(TransportClosed, match=named):
            await transport.publish(published, b"3")
        with pytest.raises(TransportClosed):
            await anext(transport.subscribe(read))
    finally:
        await asyncio.to_thread(redis_server.start)


async def test_who_stops_waiting_for_redis_does_not_count_as_waiting_for_ever(
    redis_server: Redis, opened: Opener
) -> None:
    head = await opened(redis_server)
    read, published, removed = (topics.feedback(uuid4().hex) for _ in range(3))
    subscription = head.subscribe(read)
    reading = asyncio.create_task(anext(subscription))
    await head.publish(published, b"1")
    await asyncio.to_thread(redis_server.stop)
    try:
        publishing = asyncio.create_task(head.publish(published, b"2"))
        removing = asyncio.create_task(head.remove(removed))
        await asyncio.sleep(0.5)
        assert len(head._away) == 3
        closing = asyncio.create_task(subscription.aclose())
        await asyncio.sleep(0)
        closing.cancel()  # in the middle of it
        await asyncio.wait([closing])
        assert len(head._away) == 2
        await subscription.aclose()
        assert len(head._away) == 2
        removing.cancel()
        await asyncio.wait([removing])
        assert len(head._away) == 1
        leaving = asyncio.create_task(head.remove(published))
        await asyncio.wait([publishing])
    finally:
        await asyncio.to_thread(redis_server.start)
    await asyncio.wait_for(leaving, 10)
    assert head.is_connected
    await asyncio.wait([reading])
    assert isinstance(reading.exception(), StopAsyncIteration)


READER = """
import asyncio, sys
from qalipsis.cluster.redis.address import from_settings
from qalipsis.cluster.redis.transport import RedisTransport
from qalipsis.config.secret import Secret
from qalipsis.config.settings import Redis

async def main(url, topic):
    transport = RedisTransport(from_settings(Redis(uri=Secret(url))))
    await transport.open()
    delivery = await anext(transport.subscribe(topic))
    print(delivery.attempt, flush=True)
    await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_what_a_killed_reader_had_comes_to_the_next(redis_server: Redis, opened: Opener) -> None:
    transport = await opened(redis_server)
    topic = topics.feedback(uuid4().hex)
    for number in range(20):
        await transport.publish(topic, b"%d" % number)
    for attempt in (1, 2):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", READER, redis_server.url, topic), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"%d\n" % attempt
        process.kill()
        await process.wait()
    subscription = transport.subscribe(topic)
    deliveries = [await asyncio.wait_for(anext(subscription), 10) for _ in range(20)]
    assert [each.body for each in deliveries] == [b"%d" % number for number in range(20)]
    assert deliveries[0].attempt == 3


@pytest.mark.parametrize("seed", [1, 2])
async def test_chaos_and_a_wipe_lose_and_double_nothing(
    redis_server: Redis, opened: Opener, seed: int
) -> None:
    async def wipe() -> None:
        async with Client.from_url(redis_server.url) as client:
            await client.flushall()

    head, *factories = [await opened(redis_server) for _ in range(1 + FACTORIES)]
    chaos = ChaosTransport(head, seed, drop=0.1, duplicate=0.1, reorder=0.1)
    await Campaign(chaos, list(factories), 800).run(wipe)
    assert min(chaos.dropped, chaos.duplicated, chaos.reordered) > 50


async def test_a_restart_in_mid_campaign_of_a_head_loses_nothing(redis_server: Redis, opened: Opener) -> None:
    factory = await opened(redis_server)
    topic, publisher = topics.feedback(uuid4().hex), Publisher(factory, Sender("factory", 1))
    committed: list[int] = []

    async def report() -> None:
        for _ in range(300):
            await publisher.say(topic, ScenarioEnded(scenario="a", at=0.0))

    reporting = asyncio.create_task(report())
    async with asyncio.timeout(30):
        while len(committed) < 300:
            head = await opened(redis_server)
            letters = Inbox(head, topic).letters()
            for _ in range(min(60, 300 - len(committed))):
                letter = await anext(letters)
                if letter.received.sequence not in committed:
                    committed.append(letter.received.sequence)
                if (
                    letter.received.sequence % 3
                ):  # the head dies between some commits and their acknowledgement
                    letter.acknowledge()
            await head.aclose()
    await reporting
    assert committed == list(range(1, 301))
