from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from qalipsis import scenario
from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import redis
from qalipsis.plugins.redis import RedisClient, consumer, patience
from tests.services.home import free_port
from tests.services.redis import running_redis

from .stage import play, reading


def add(admin: Any, stream: str, *numbers: int) -> None:
    pipeline = admin.pipeline(transaction=False)
    for number in numbers:
        pipeline.xadd(stream, {"n": number})
    pipeline.execute()


def numbers(entries: list[Any]) -> list[int]:
    return [int(entry.fields["n"]) for entry in entries]


async def test_a_reader_begins_where_the_stream_ended_when_it_was_opened(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    add(admin, name, 1, 2)
    async with reading(store.consume(name)) as reader:
        add(admin, name, 3)
        [entry] = await reader.take(1)
        add(admin, name, 4, 5)
        assert numbers(await reader.take(2)) == [4, 5]
    assert entry.fields == {"n": "3"}
    assert entry.id == admin.xrange(name)[2][0]
    assert time.time() - 10 < entry.received_at < time.time() + 1


async def test_the_earliest_offset_reads_everything(store: RedisClient[str], admin: Any, name: str) -> None:
    add(admin, name, *range(2500))
    async with reading(store.consume(name, offset="earliest")) as reader:
        assert numbers(await reader.take(2500)) == list(range(2500))


async def test_a_stream_may_come_later(store: RedisClient[str], admin: Any, name: str) -> None:
    async with reading(store.consume(name)) as reader:
        add(admin, name, 1)
        assert numbers(await reader.take(1)) == [1]


async def test_bytes_stay_bytes_where_the_client_does_not_decode(
    redis_server: Any, admin: Any, name: str
) -> None:
    store = redis.client(redis_server.url, decode=False)
    add(admin, name, 1)
    async with reading(store.consume(name, offset="earliest")) as reader:
        [entry] = await reader.take(1)
    assert entry.fields == {b"n": b"1"}
    assert isinstance(entry.id, str)


async def test_text_that_is_no_text_does_not_break_the_reading(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    admin.xadd(name, {"n": b"\xff\x00"})
    add(admin, name, 2)
    async with reading(store.consume(name, offset="earliest")) as reader:
        entries = await reader.take(2)
    assert [entry.fields["n"] for entry in entries] == ["\\xff\x00", "2"]


async def test_readers_without_group_get_everything_and_leave_nothing_behind(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    async with reading(store.consume(name)) as one, reading(store.consume(name)) as other:
        add(admin, name, 1, 2, 3)
        assert numbers(await one.take(3)) == [1, 2, 3]
        assert numbers(await other.take(3)) == [1, 2, 3]
    assert admin.xinfo_groups(name) == []


async def test_readers_of_a_group_share_the_entries_and_the_last_removes_the_group(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    source = store.consume(name)
    async with reading(source, "qalipsis-g") as one:
        async with reading(source, "qalipsis-g") as other:
            add(admin, name, *range(5000))
            first = asyncio.ensure_future(one.take(1))
            second = asyncio.ensure_future(other.take(1))
            taken = [*await first, *await second]
            while len(taken) < 5000:
                taken += await one.take(1)
        assert sorted(numbers(taken)) == list(range(5000))
        [group] = admin.xinfo_groups(name)
        assert (group["name"], group["pending"], group["consumers"]) == ("qalipsis-g", 0, 1)
    assert admin.xinfo_groups(name) == []


async def test_a_group_of_the_author_goes_on_where_it_was_and_stays(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    add(admin, name, 1)
    source = store.consume(name, group="ours", offset="earliest", consumer="bank")
    async with reading(source, "automatic") as reader:
        assert numbers(await reader.take(1)) == [1]
        [consumer_info] = admin.xinfo_consumers(name, "ours")
        assert consumer_info["name"].startswith("bank-")
    add(admin, name, 2)
    async with reading(source, "automatic") as reader:
        assert numbers(await reader.take(1)) == [2]
    [group] = admin.xinfo_groups(name)
    assert (group["name"], group["pending"], group["consumers"]) == ("ours", 0, 0)


async def test_what_a_lost_reader_has_not_acknowledged_is_claimed(
    store: RedisClient[str], admin: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "LEFT_SECONDS", 0.3)
    monkeypatch.setattr(consumer, "CLAIM_SECONDS", 0.1)
    async with reading(store.consume(name), "g") as reader:
        add(admin, name, 1, 2, 3)
        admin.xreadgroup("g", "lost", {name: ">"}, count=2)
        taken = numbers(await reader.take(1))
        while len(taken) < 3:
            taken += numbers(await reader.take(1))
        assert taken == [3, 1, 2]


async def test_entries_others_hold_in_a_group_of_the_author_are_left_alone(
    store: RedisClient[str], admin: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "LEFT_SECONDS", 0.1)
    monkeypatch.setattr(consumer, "CLAIM_SECONDS", 0.1)
    async with reading(store.consume(name, group="ours"), "g") as reader:
        add(admin, name, 1, 2)
        admin.xreadgroup("ours", "theirs", {name: ">"}, count=1)
        assert numbers(await reader.take(1)) == [2]
        await reader.nothing(1.5)


async def test_a_reader_survives_a_restart_without_losing_or_doubling_anything(name: str) -> None:
    import redis as driver

    with running_redis() as server:
        admin = driver.Redis.from_url(server.url)
        store = redis.client(server.url, timeout="2s")
        async with reading(store.consume(name)) as alone, reading(store.consume(name), "g") as grouped:
            add(admin, name, 1, 2)
            assert numbers(await alone.take(2)) == [1, 2]
            assert numbers(await grouped.take(2)) == [1, 2]
            server.stop()
            waiting = asyncio.ensure_future(alone.take(1)), asyncio.ensure_future(grouped.take(1))
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)
            add(admin, name, 3)
            assert [numbers(await task) for task in waiting] == [[3], [3]]
            assert alone.meters.counters["reconnects"] >= 1
        admin.close()


async def test_a_group_that_was_wiped_is_made_again(store: RedisClient[str], admin: Any, name: str) -> None:
    async with reading(store.consume(name), "g") as reader:
        add(admin, name, 1)
        assert numbers(await reader.take(1)) == [1]
        waiting = asyncio.ensure_future(reader.take(1))
        await asyncio.sleep(0.2)
        admin.delete(name)
        add(admin, name, 2)
        assert numbers(await waiting) == [2]
        assert reader.meters.counters["groups-created-again"] >= 1


async def test_a_service_that_stays_away_fails_who_waits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LONGEST_LOSS", 0.5)
    with running_redis() as server:
        store = redis.client(server.url, timeout="1s")
        async with reading(store.consume(name), "g") as reader:
            server.kill()
            with pytest.raises(StepError) as raised:
                await reader.take(1)
    assert raised.value.kind in ("connect-refused", "closed")
    assert str(server.port) in str(raised.value)


async def test_a_key_of_another_type_ends_the_start(store: RedisClient[str], admin: Any, name: str) -> None:
    admin.set(name, 1)
    for group in (None, "g"):
        with pytest.raises(ServiceUnavailable, match="another type"):
            async with reading(store.consume(name), group):
                pass


async def test_a_service_that_is_down_ends_the_start() -> None:
    port = free_port()
    with pytest.raises(ServiceUnavailable, match=str(port)):
        async with reading(redis.client(f"redis://127.0.0.1:{port}").consume("s")):
            pass


async def test_closing_interrupts_nobody_who_waits(store: RedisClient[str], name: str) -> None:
    async with reading(store.consume(name), "g") as reader:
        waiting = asyncio.ensure_future(reader.take(1))
        await asyncio.sleep(0.1)
        await reader.reader.aclose()
        with pytest.raises((StepError, StopAsyncIteration)):
            await waiting


async def test_orders_meet_the_entries_that_tell_of_them(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    pairs: list[Any] = []
    chain = (
        scenario("orders", minions=50)
        .start()
        .returns(1)
        .map_with_context(lambda context, value: str(context.minion.index))
        .then(store.produce(name, lambda id: {"id": id}))
        .inner_join(
            store.consume(name), on=lambda added: added.id, having=lambda entry: entry.id, timeout="10s"
        )
        .on_each(pairs.append)
    )
    await play(chain)
    assert len(pairs) == 50
    assert all(-0.01 < pair.right.received_at - pair.left.sent < 5 for pair in pairs)


async def test_minions_take_the_entries_of_a_stream(store: RedisClient[str], admin: Any, name: str) -> None:
    taken: list[str] = []
    add(admin, name, *range(20))
    chain = (
        scenario("taking", minions=20)
        .start()
        .then(store.consume(name, offset="earliest"))
        .named("take")
        .on_each(lambda entry: taken.append(entry.fields["n"]))
    )
    played = await play(chain)
    assert sorted(map(int, taken)) == list(range(20))
    assert played.step("take").counters["records-read"] == 20
    assert admin.xinfo_groups(name) == []


@pytest.mark.alone
async def test_fifty_thousand_entries_a_second_can_be_read(
    store: RedisClient[str], admin: Any, name: str
) -> None:
    for first in range(0, 100_000, 10_000):
        add(admin, name, *range(first, first + 10_000))
    for group in (None, "g"):
        async with reading(store.consume(name, offset="earliest"), group) as reader:
            began = time.process_time()
            assert len(await reader.take(100_000, seconds=30)) == 100_000
            took = time.process_time() - began
        print(f"{100_000 / took:,.0f} entries per CPU second, group {group}")
        assert 100_000 / took > 50_000
