from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis import scenario
from qalipsis.engine.pump import Shard
from qalipsis.engine.source import Numbered
from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import redis
from qalipsis.plugins.redis import Field, KeyValue, Member, RedisClient, Scored
from qalipsis.plugins.redis.poller import Seen, digest_of, number_of
from tests.services.home import free_port
from tests.services.redis import running_redis

from .stage import play, reading

WORDS = st.one_of(st.text(max_size=5), st.binary(max_size=5))


async def test_a_scan_emits_keys_with_their_values_and_then_what_is_new(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    admin.set(f"{name}:a", 1)
    admin.rpush(f"{name}:b", "x")
    admin.set(f"other:{name}", 1)
    async with reading(store.poll("scan", f"{name}:*", every="50ms")) as reader:
        first: list[KeyValue[str]] = await reader.take(2)
        assert {record.key: record.value for record in first} == {f"{name}:a": "1", f"{name}:b": None}
        admin.set(f"{name}:c", 3)
        [record] = await reader.take(1)
        assert (record.key, record.value) == (f"{name}:c", "3")
        assert record.received_at >= first[0].received_at
        await reader.nothing(0.3)
        assert reader.meters.counters["polls"] >= 3


async def test_values_are_left_out_when_nobody_wants_them(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    admin.set(name, 1)
    async with reading(store.poll("scan", name, values=False)) as reader:
        [record] = await reader.take(1)
    assert record.value is None


async def test_a_large_set_comes_once_in_batches(store: RedisClient[str], admin: Any, name: str) -> None:
    admin.sadd(name, *range(5000))
    async with reading(store.poll("sscan", name, every="20ms", count=3000)) as reader:
        found: list[Member[str]] = await reader.take(5000)
        assert sorted(int(record.member) for record in found) == list(range(5000))
        admin.sadd(name, "new")
        assert [record.member for record in await reader.take(1)] == ["new"]


async def test_nothing_is_lost_or_doubled_while_the_set_grows(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    async def grow() -> None:
        for first in range(0, 5000, 250):
            await asyncio.to_thread(admin.sadd, name, *range(first, first + 250))

    async with reading(store.poll("sscan", name, every="5ms", count=50)) as reader:
        growing = asyncio.ensure_future(grow())
        found = await reader.take(5000)
        await growing
    assert sorted(int(record.member) for record in found) == list(range(5000))


async def test_a_changed_field_is_emitted_again(store: RedisClient[str], admin: Any, name: str) -> None:
    admin.hset(name, mapping={"status": "new", "id": "7"})
    async with reading(store.poll("hscan", name, every="20ms")) as reader:
        first: list[Field[str]] = await reader.take(2)
        assert {field.name: field.value for field in first} == {"status": "new", "id": "7"}
        admin.hset(name, "status", "paid")
        [changed] = await reader.take(1)
        assert (changed.name, changed.value) == ("status", "paid")


async def test_a_changed_score_is_emitted_again(store: RedisClient[str], admin: Any, name: str) -> None:
    admin.zadd(name, {"a": 1.5})
    async with reading(store.poll("zscan", name, every="20ms")) as reader:
        [scored] = await reader.take(1)
        assert isinstance(scored, Scored)
        assert (scored.member, scored.score) == ("a", 1.5)
        admin.zadd(name, {"a": float("inf")})
        [scored] = await reader.take(1)
        assert scored.score == float("inf")


async def test_with_repeat_each_look_emits_everything(store: RedisClient[str], admin: Any, name: str) -> None:
    admin.sadd(name, "a")
    async with reading(store.poll("sscan", name, every="20ms", repeat=True)) as reader:
        assert [record.member for record in await reader.take(3)] == ["a", "a", "a"]


async def test_bytes_stay_bytes_where_the_client_does_not_decode(
    redis_server: Any, admin: Any, name: str
) -> None:
    admin.hset(name, b"\xff", b"\xfe")
    async with reading(redis.client(redis_server.url, decode=False).poll("hscan", name)) as reader:
        [record] = await reader.take(1)
    assert (record.name, record.value) == (b"\xff", b"\xfe")


async def test_a_poll_survives_a_restart_without_losing_or_doubling_anything(name: str) -> None:
    import redis as driver

    with running_redis() as server:
        admin = driver.Redis.from_url(server.url)
        admin.sadd(name, "a", "b")
        async with reading(redis.client(server.url).poll("sscan", name, every="20ms")) as reader:
            assert {record.member for record in await reader.take(2)} == {"a", "b"}
            server.stop()
            waiting = asyncio.ensure_future(reader.take(1))
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.start)
            admin.sadd(name, "c")
            assert [record.member for record in await waiting] == ["c"]
            assert reader.meters.counters["reconnects"] >= 1
        admin.close()


async def test_a_key_of_another_type_ends_the_start(store: RedisClient[str], admin: Any, name: str) -> None:
    admin.set(name, 1)
    with pytest.raises(ServiceUnavailable, match="another type"):
        async with reading(store.poll("hscan", name)):
            pass


async def test_a_service_that_is_down_ends_the_start() -> None:
    port = free_port()
    with pytest.raises(ServiceUnavailable, match=str(port)):
        async with reading(redis.client(f"redis://127.0.0.1:{port}").poll("scan")):
            pass


async def test_minions_take_what_a_poll_finds(store: RedisClient[str], admin: Any, name: str) -> None:
    admin.sadd(name, *"abc")
    taken: list[str] = []
    chain = (
        scenario("polling", minions=3)
        .start()
        .then(store.poll("sscan", name))
        .on_each(lambda record: taken.append(record.member))
    )
    await play(chain)
    assert sorted(taken) == ["a", "b", "c"]


@given(st.permutations(range(60)), st.integers(2, 5))
def test_workers_that_see_other_orders_still_deal_each_record_once(order: list[int], workers: int) -> None:
    owned: list[str] = []
    for worker in range(workers):
        seen = [str(number) for number in (range(60) if worker % 2 else order)]
        batch = Numbered(seen, [number_of((member,)) for member in seen])
        owned += Shard(lambda row: row % workers, worker).own(batch)
    assert sorted(map(int, owned)) == list(range(60))


def test_all_values_of_an_element_have_one_owner() -> None:
    assert number_of(("status", "new")) == number_of((b"status", b"paid"))


@given(st.lists(st.tuples(WORDS, WORDS)))
def test_an_element_is_new_once(elements: list[tuple[Any, Any]]) -> None:
    seen = Seen()
    found = []
    for element in elements:
        fresh = seen.new([element, element])
        found += fresh.values()
        seen.add(fresh)
    assert len(found) == len({digest_of(element) for element in elements})
    assert seen.new(elements) == {}


@given(st.tuples(st.binary(), st.binary()), st.tuples(st.binary(), st.binary()))
def test_different_elements_have_different_digests(one: Any, other: Any) -> None:
    assert (digest_of(one) == digest_of(other)) == (one == other)
