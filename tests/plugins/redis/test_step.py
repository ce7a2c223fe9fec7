from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

import pytest

from qalipsis import profile, scenario
from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import redis
from qalipsis.plugins.redis import Added, RedisClient, Saved
from tests.services.home import free_port
from tests.services.redis import Redis, running_redis

from .stage import play


def once(spec: Any, results: list[Any], value: Any = None, minions: int = 1) -> Any:
    return (
        scenario("once", minions=minions)
        .start()
        .returns(value)
        .then(spec)
        .named("it")
        .on_each(results.append)
    )


async def test_a_save_sends_its_commands_in_one_pipeline_and_keeps_its_input(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    results: list[Saved[Any]] = []
    spec = store.save(
        redis.set(f"{name}:text", lambda user: user["name"]),
        redis.set(f"{name}:short", 1, expire="1m"),
        redis.hset(f"{name}:hash", lambda context, user: {"id": user["id"], "minion": context.minion.index}),
        redis.sadd(f"{name}:set", "a", lambda user: ["b", user["name"]]),
        redis.zadd(f"{name}:sorted", {"a": 1.5, "b": 2}),
        redis.rpush(f"{name}:list", "x", 2),
        redis.incrby(f"{name}:count", 5),
    )
    began = time.time()
    played = await play(once(spec, results, {"id": 7, "name": "änn"}))
    [saved] = results
    assert saved.value == {"id": 7, "name": "änn"}
    assert saved.replies == ("OK", "OK", 2, 3, 2, 2, 5)
    assert began - 1 < saved.sent < saved.done < time.time() + 1
    assert admin.get(f"{name}:text") == "änn"
    assert 0 < admin.ttl(f"{name}:short") <= 60
    assert admin.hgetall(f"{name}:hash") == {"id": "7", "minion": "0"}
    assert admin.smembers(f"{name}:set") == {"a", "b", "änn"}
    assert admin.zrange(f"{name}:sorted", 0, -1, withscores=True) == [("a", 1.5), ("b", 2.0)]
    assert admin.lrange(f"{name}:list", 0, -1) == ["x", "2"]
    step = played.step("it")
    assert played.requests == (1, 1, 0)
    assert step.counters == {"records-saved": 7}
    assert step.bytes_sent > 200
    assert step.bytes_received > 20
    assert "connect" not in step.phases, "the connection of the look before the start is used"


async def test_a_function_makes_the_commands(store: RedisClient[str], admin: Any, name: str) -> None:
    results: list[Saved[Any]] = []
    spec = store.save(lambda keys: [redis.set(f"{name}:{key}", key) for key in keys])
    played = await play(once(spec, results, ["a", "b"]))
    assert results[0].replies == ("OK", "OK")
    assert admin.mget(f"{name}:a", f"{name}:b") == ["a", "b"]
    assert played.step("it").counters["records-saved"] == 2


async def test_nothing_is_sent_when_a_function_has_nothing_to_save(store: RedisClient[str]) -> None:
    results: list[Saved[Any]] = []
    played = await play(once(store.save(lambda value: []), results, "in"))
    assert (results[0].value, results[0].replies) == ("in", ())
    assert played.requests == (0, 0, 0)


async def test_what_a_function_returns_wrongly_fails_the_step_and_nothing_is_sent(
    store: RedisClient[str], name: str
) -> None:
    for spec in (
        store.save(lambda value: ["SET"]),
        store.save(redis.set(name, lambda value: None)),
        store.produce(name, lambda value: {}),
    ):
        played = await play(once(spec, []))
        assert played.step("it").errors == {"ValueError": 1}
        assert played.requests == (0, 0, 0)


async def test_an_entry_is_added_with_its_id_and_moments(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    results: list[Added] = []
    spec = store.produce(lambda order: f"{name}:{order['shop']}", lambda order: {"id": order["id"], "p": 1.5})
    played = await play(once(spec, results, {"id": "7", "shop": "a"}))
    assert admin.xrange(f"{name}:a") == [(results[0].id, {"id": "7", "p": "1.5"})]
    assert results[0].sent < results[0].done
    assert played.requests == (1, 1, 0)
    assert played.step("it").counters == {"records-produced": 1}


async def test_a_stream_is_kept_at_about_its_length(store: RedisClient[str], admin: Any, name: str) -> None:
    await play(once(store.produce(name, {"a": 1}, max_length=100), [], minions=1000))
    assert 100 <= admin.xlen(name) < 400


async def test_minions_share_the_connections_of_the_pool(redis_server: Redis, admin: Any, name: str) -> None:
    store = redis.client(redis_server.url, pool_size=3, client_name="qalipsis-pool")
    chain = (
        scenario("sharing", minions=200)
        .start()
        .returns(1)
        .then(store.save(redis.incrby(name)))
        .named("one")
        .then(store.save(redis.incrby(name)))
        .named("two")
    )
    played = await play(chain)
    assert admin.get(name) == "400"
    assert played.requests == (400, 400, 0)
    connects = played.step("one").phases.get("connect"), played.step("two").phases.get("connect")
    assert sum(phase.count for phase in connects if phase is not None) <= 3
    for _ in range(100):  # the server notices a moment later
        left = [client for client in admin.client_list() if client["name"] == "qalipsis-pool"]
        if not left:
            break
        await asyncio.sleep(0.01)
    assert left == []


async def test_a_wrong_type_fails_the_step_though_the_request_was_answered(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    admin.rpush(name, "a")
    chain = once(store.save(redis.set(f"{name}:other", 1), redis.sadd(name, "b")), [])
    played = await play(chain)
    step = played.step("it")
    assert step.errors == {"wrong-type": 1}
    assert "SADD" in step.first_error
    assert name in step.first_error
    assert played.requests == (1, 1, 0)
    assert admin.get(f"{name}:other") == "1"


async def test_a_refused_command_tells_the_words_of_the_service(store: RedisClient[str], name: str) -> None:
    played = await play(once(store.save(redis.command("NOSUCH", name)), []))
    assert played.step("it").errors == {"refused": 1}
    assert "unknown command" in played.step("it").first_error


async def test_a_service_that_is_down_ends_the_start_with_its_address() -> None:
    port = free_port()
    store = redis.client(f"redis://ann:hunter2@127.0.0.1:{port}")
    with pytest.raises(ServiceUnavailable) as raised:
        await play(once(store.produce("s", {"a": 1}), []))
    assert f"127.0.0.1:{port}" in str(raised.value)
    assert "test_step.py" in str(raised.value)
    assert "start the service" in str(raised.value)
    assert "hunter2" not in str(raised.value)


async def test_a_server_that_dies_fails_the_steps_and_is_used_again_when_it_is_back(name: str) -> None:
    with running_redis() as server:
        store = redis.client(server.url, timeout="2s")
        chain = (
            scenario("dying", minions=200, profile=profile.regular("10ms", 1))
            .start()
            .returns(1)
            .then(store.save(redis.incrby(name)))
            .named("it")
        )

        async def restart() -> None:
            await asyncio.sleep(0.5)
            server.kill()
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)

        played = await play(chain, started=restart)
    step = played.step("it")
    assert set(step.errors) <= {"connect-refused", "closed", "loading"}
    assert step.errors["connect-refused"] >= 10
    assert step.successful >= 50
    assert step.successful + step.failed == 200
    assert f"127.0.0.1:{server.port}" in step.first_error


async def test_a_frozen_server_costs_no_more_than_the_timeout(name: str) -> None:
    with running_redis() as server:
        store = redis.client(server.url, timeout="300ms", pool_size=2)
        assert server.server is not None
        pid = server.server.pid
        assert pid is not None

        async def thaw() -> None:
            await asyncio.sleep(1.5)
            os.kill(pid, signal.SIGCONT)

        frozen = (
            scenario("frozen", minions=10)
            .start()
            .returns(1)
            .on_each(lambda value: os.kill(pid, signal.SIGSTOP))
            .then(store.save(redis.incrby(name)))
            .named("it")
        )
        began = time.monotonic()
        played = await play(frozen, started=thaw)
        assert time.monotonic() - began < 4
        assert played.step("it").errors == {"timeout": 10}
        assert played.requests == (1, 0, 1), "who got no connection sent nothing"
