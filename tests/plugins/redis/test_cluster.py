from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis as driver

from qalipsis import profile, scenario
from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import redis
from qalipsis.plugins.redis import RedisClient
from tests.services.home import find_program
from tests.services.redis import Redis, RedisCluster, running_redis_cluster

from .stage import play, reading


async def until(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def say(node: Redis, *words: str) -> str:
    """What a server answers, or the one that it points to."""
    command = [find_program("redis-cli"), "-c", "-e", "-p", str(node.port), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout


def owner(cluster: RedisCluster, key: str) -> Redis:
    """The master of a key, as long as nobody has failed over."""
    slot = int(say(cluster.nodes[0], "CLUSTER", "KEYSLOT", key))
    return cluster.nodes[slot * 3 // 16384]


async def test_commands_go_where_their_keys_live_one_request_per_server(
    cluster_store: RedisClient[str], cluster_admin: Any, name: str
) -> None:
    saved: list[Any] = []
    keys = [f"{name}:{number}" for number in range(30)]
    chain = (
        scenario("around")
        .start()
        .returns(1)
        .then(cluster_store.save(*(redis.set(key, key) for key in keys)))
        .named("it")
        .on_each(saved.append)
    )
    played = await play(chain)
    assert [cluster_admin.get(key) for key in keys] == keys
    assert saved[0].replies == ("OK",) * 30
    assert played.requests == (3, 3, 0)


async def test_one_address_is_enough_when_the_author_says_that_it_is_a_cluster(
    redis_cluster: RedisCluster, cluster_admin: Any, name: str
) -> None:
    store = redis.client(redis_cluster.urls[3], cluster=True)
    chain = scenario("one").start().returns(1).then(store.save(redis.set(name, "x")))
    await play(chain)
    assert cluster_admin.get(name) == "x"


async def test_a_cluster_that_is_not_named_as_one_is_told(redis_cluster: RedisCluster, name: str) -> None:
    store = redis.client(redis_cluster.urls[0])
    keys = [redis.set(f"{name}:{number}", 1) for number in range(30)]
    played = await play(scenario("one").start().returns(1).then(store.save(*keys)).named("it"))
    assert played.step("it").errors == {"moved": 1}
    assert "cluster=True" in played.step("it").first_error


async def test_a_server_that_is_no_cluster_ends_the_start(redis_server: Redis) -> None:
    store = redis.client(redis_server.url, cluster=True)
    with pytest.raises(ServiceUnavailable, match="is no cluster"):
        await play(scenario("one").start().returns(1).then(store.save(redis.set("a", 1))))


async def test_a_scan_looks_at_all_servers(
    cluster_store: RedisClient[str], cluster_admin: Any, name: str
) -> None:
    keys = {f"{name}:{number}" for number in range(100)}
    for key in keys:
        cluster_admin.set(key, "v")
    async with reading(cluster_store.poll("scan", f"{name}:*", every="50ms")) as reader:
        found = await reader.take(100)
        assert {record.key for record in found} == keys
        assert {record.value for record in found} == {"v"}
        cluster_admin.set(f"{name}:new", "w")
        assert [record.key for record in await reader.take(1)] == [f"{name}:new"]


async def test_streams_are_produced_and_consumed(
    cluster_store: RedisClient[str], cluster_admin: Any, name: str
) -> None:
    pairs: list[Any] = []
    chain = (
        scenario("orders", minions=20)
        .start()
        .returns(1)
        .then(cluster_store.produce(name, {"a": 1}))
        .inner_join(
            cluster_store.consume(name),
            on=lambda added: added.id,
            having=lambda entry: entry.id,
            timeout="10s",
        )
        .on_each(pairs.append)
    )
    await play(chain)
    assert len(pairs) == 20
    async with reading(cluster_store.consume(name, offset="earliest"), "g") as reader:
        assert len(await reader.take(20)) == 20
    assert cluster_admin.xinfo_groups(name) == []


async def test_a_slot_on_its_way_is_followed(
    redis_cluster: RedisCluster, cluster_store: RedisClient[str], cluster_admin: Any, name: str
) -> None:
    slot = cluster_admin.keyslot(name)
    owner = cluster_admin.get_node_from_key(name)
    source = driver.Redis(owner.host, owner.port, decode_responses=True)
    other = next(node for node in redis_cluster.nodes[:3] if node.port != owner.port)
    target = driver.Redis(other.host, other.port, decode_responses=True)
    source_id, target_id = source.execute_command("CLUSTER MYID"), target.execute_command("CLUSTER MYID")
    chain = (
        scenario("moving")
        .start()
        .returns(1)
        .then(cluster_store.save(redis.incrby(name)))
        .named("before")
        .on_each(lambda value: target.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source_id))
        .on_each(lambda value: source.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", target_id))
        .on_each(lambda value: source.migrate(other.host, other.port, name, 0, 5000))
        .then(cluster_store.save(redis.incrby(name)))
        .named("asking")
        .on_each(lambda value: target.execute_command("CLUSTER SETSLOT", slot, "NODE", target_id))
        .on_each(lambda value: source.execute_command("CLUSTER SETSLOT", slot, "NODE", target_id))
        .then(cluster_store.save(redis.incrby(name)))
        .named("moved")
        .then(cluster_store.save(redis.incrby(name)))
        .named("after")
    )
    try:
        played = await play(chain)
        assert target.get(name) == "4"
        assert [played.step(step).failed for step in ("before", "asking", "moved", "after")] == [0] * 4
        # Each redirect is one more request: ask and moved.
        assert played.requests == (6, 6, 0)
    finally:
        for node in (source, target):
            node.close()


async def test_a_failover_costs_time_and_neither_a_save_nor_an_entry(name: str) -> None:
    with running_redis_cluster() as cluster:
        store = redis.client(cluster.urls, timeout="15s")
        master = owner(cluster, name)
        say(master, "XADD", name, "*", "n", "0")
        replicas = cluster.nodes[3:]
        await until(lambda: all("link_status:up" in say(node, "INFO", "replication") for node in replicas))
        saved: list[Any] = []
        chain = (
            scenario("failing-over", minions=400, profile=profile.regular("10ms", 1))
            .start()
            .returns(1)
            .map_with_context(lambda context, value: context.minion.index)
            .then(store.save(redis.hset(f"{{{name}}}:hash", lambda index: {str(index): index})))
            .named("it")
            .on_each(saved.append)
        )
        async with reading(store.consume(name)) as reader:

            async def fail_over() -> None:
                await asyncio.sleep(1)
                master.kill()

            played = await play(chain, seconds=40, started=fail_over)
            survivor = replicas[0]
            say(survivor, "XADD", name, "*", "n", "1")
            [entry] = await reader.take(1, seconds=20)
            assert entry.fields == {"n": "1"}
        assert played.step("it").errors == {}
        assert len(saved) == 400
        # What the master had confirmed and not yet told its replica went with it: that is Redis, not us.
        assert int(say(survivor, "HLEN", f"{{{name}}}:hash")) >= 395


async def test_what_may_have_been_done_is_not_done_twice(name: str) -> None:
    with running_redis_cluster() as cluster:
        store = redis.client(cluster.urls, timeout="1s")
        master = owner(cluster, name)
        assert master.server is not None
        pid = master.server.pid
        assert pid is not None
        chain = (
            scenario("frozen")
            .start()
            .returns(1)
            .then(store.produce(name, {"a": 1}))
            .on_each(lambda value: os.kill(pid, signal.SIGSTOP))
            .then(store.produce(name, {"a": 2}))
            .named("it")
        )
        try:
            played = await play(chain)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert played.step("it").errors == {"timeout": 1}
        assert played.requests == (2, 1, 1)
