"""Records are read from a real broker: each of them, from the start on, alone or in a group."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from qalipsis.engine.step import StepError
from qalipsis.plugins import kafka
from qalipsis.plugins.kafka import Cluster
from tests.services.home import free_port
from tests.services.kafka import Kafka

from .bench import Bench, Reading
from .conftest import MakeTopic

FAST = {"metadata_max_age_ms": 200}
GROUP = "qalipsis-tests-group"


@pytest.fixture
def broker(kafka_broker: Kafka) -> Cluster:
    return kafka.cluster(kafka_broker.bootstrap)


async def send(bench: Bench, broker: Cluster, topic: str, *values: str, partition: int | None = None) -> None:
    spec = broker.produce(topic, value=lambda value: value, partition=partition)
    await asyncio.gather(*(bench.send(spec, value) for value in values))


@pytest.mark.parametrize("group", [None, GROUP])
async def test_nothing_is_missed_from_the_moment_it_is_open(
    bench: Bench, broker: Cluster, make_topic: MakeTopic, group: str | None
) -> None:
    topic = await make_topic(partitions=4)
    await send(bench, broker, topic, *(["old"] * 20))
    reading = await bench.read(broker.consume(topic, value=str), group and f"{group}-{topic}")
    await send(bench, broker, topic, *(["new"] * 20))
    assert await reading.values(20) == ["new"] * 20
    await reading.takes_nothing()
    assert reading.meters.bytes_received == 20 * 3


@pytest.mark.parametrize("group", [None, GROUP])
async def test_earliest_reads_what_is_there(
    bench: Bench, broker: Cluster, make_topic: MakeTopic, group: str | None
) -> None:
    topic = await make_topic(partitions=4)
    await send(bench, broker, topic, *(["old"] * 20))
    reading = await bench.read(
        broker.consume(topic, value=str, offset="earliest"), group and f"{group}-{topic}"
    )
    await send(bench, broker, topic, *(["new"] * 20))
    assert sorted(await reading.values(40)) == ["new"] * 20 + ["old"] * 20


async def test_several_topics_are_read_together(bench: Bench, broker: Cluster, make_topic: MakeTopic) -> None:
    topics = [await make_topic(), await make_topic()]
    reading = await bench.read(broker.consume(topics, value=str))
    for topic in topics:
        await send(bench, broker, topic, topic)
    assert sorted(await reading.values(2)) == sorted(topics)


@pytest.mark.parametrize("group", [None, GROUP])
async def test_a_pattern_finds_topics_that_appear_later_and_reads_them_from_their_beginning(
    bench: Bench, broker: Cluster, make_topic: MakeTopic, group: str | None
) -> None:
    prefix = f"family-{uuid4().hex[:8]}"
    first = await make_topic(f"{prefix}-a")
    await make_topic(f"not-{prefix}-a")
    reading = await bench.read(
        broker.consume(pattern=f"{prefix}-[a-z]", value=str, options=FAST), group and f"{group}-{prefix}"
    )
    await send(bench, broker, first, "first")
    await send(bench, broker, f"not-{prefix}-a", "other")
    assert await reading.values(1) == ["first"]
    second = await make_topic(f"{prefix}-b")
    await send(bench, broker, second, "second")
    await send(bench, broker, first, "third")
    assert sorted(await reading.values(2)) == ["second", "third"]


async def test_a_pattern_may_match_nothing_yet(bench: Bench, broker: Cluster, make_topic: MakeTopic) -> None:
    prefix = f"family-{uuid4().hex[:8]}"
    reading = await bench.read(broker.consume(pattern=f"{prefix}-.*", value=str, options=FAST))
    topic = await make_topic(f"{prefix}-a")
    await send(bench, broker, topic, "first")
    assert await reading.values(1) == ["first"]


@pytest.mark.parametrize("group", [None, GROUP])
async def test_a_new_partition_is_read_from_its_beginning(
    bench: Bench,
    broker: Cluster,
    make_topic: MakeTopic,
    add_partitions: Callable[[str, int], Awaitable[object]],
    group: str | None,
) -> None:
    topic = await make_topic(partitions=1)
    await send(bench, broker, topic, "old")
    reading = await bench.read(broker.consume(topic, value=str, options=FAST), group and f"{group}-{topic}")
    await add_partitions(topic, 2)
    later = Bench()  # its producer learns of both partitions
    await send(later, broker, topic, "new", partition=1)
    await send(later, broker, topic, "newer", partition=0)
    await later.aclose()
    assert sorted(await reading.values(2)) == ["new", "newer"]


async def collect(*readings: Reading, until: int) -> list[str]:
    """The values that readers of a group read together: so many, and then none for a while."""

    async def read(reading: Reading) -> None:
        async for batch in reading.batches:
            reading.records += batch

    tasks = [asyncio.create_task(read(reading)) for reading in readings]
    async with asyncio.timeout(20):
        while sum(len(reading.records) for reading in readings) < until:  # noqa: ASYNC110 (nobody sets an event)
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.7)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=10)
    return sorted(record.value for reading in readings for record in reading.records)


async def test_a_group_deals_each_record_to_one_reader(
    bench: Bench, broker: Cluster, make_topic: MakeTopic
) -> None:
    topic = await make_topic(partitions=4)
    spec = broker.consume(topic, value=str)
    first = await bench.read(spec, f"{GROUP}-{topic}")
    await send(bench, broker, topic, "alone")
    second = await bench.read(spec, f"{GROUP}-{topic}")
    sent = [f"{number}" for number in range(200)]
    await send(bench, broker, topic, *sent)
    assert await collect(first, second, until=201) == sorted([*sent, "alone"])
    assert first.records
    assert second.records


async def test_readers_that_open_together_share_everything_from_then_on(
    bench: Bench, broker: Cluster, make_topic: MakeTopic
) -> None:
    topic = await make_topic(partitions=8)
    await send(bench, broker, topic, *(["old"] * 50))
    spec = broker.consume(topic, value=str)
    readings = await asyncio.gather(*(bench.read(spec, f"{GROUP}-{topic}") for _ in range(4)))
    sent = [f"{number}" for number in range(400)]
    await send(bench, broker, topic, *sent)
    assert await collect(*readings, until=400) == sorted(sent)


async def test_records_that_flow_while_a_reader_joins_are_dealt_once(
    bench: Bench, broker: Cluster, make_topic: MakeTopic
) -> None:
    topic = await make_topic(partitions=4)
    spec = broker.consume(topic, value=str)
    first = await bench.read(spec, f"{GROUP}-{topic}")
    sent = [f"{number}" for number in range(600)]

    async def flow() -> None:
        for begin in range(0, 600, 10):
            await send(bench, broker, topic, *sent[begin : begin + 10])
            await asyncio.sleep(0.03)

    flowing = asyncio.create_task(flow())
    reading = asyncio.create_task(collect(first, until=10))
    second = await bench.read(spec, f"{GROUP}-{topic}")
    await reading
    first.batches = first.reader.batches()
    await flowing
    assert await collect(first, second, until=600) == sorted(sent)


async def test_a_group_goes_on_where_its_last_reader_ended(
    bench: Bench, broker: Cluster, make_topic: MakeTopic
) -> None:
    topic = await make_topic(partitions=2)
    spec = broker.consume(topic, value=str, group=f"own-{topic}")
    reading = await bench.read(spec, "of the engine")
    await send(bench, broker, topic, "1")
    assert await reading.values(1) == ["1"]
    await bench.close(reading)
    await send(bench, broker, topic, "2")
    reading = await bench.read(spec, "of the engine")
    assert await reading.values(1) == ["2"]


async def test_nothing_is_left_behind(
    bench: Bench, broker: Cluster, topic: str, admin: AIOKafkaAdminClient
) -> None:
    spec = broker.consume(topic, value=str)
    alone = await bench.read(spec)
    readings = [await bench.read(spec, f"{GROUP}-{topic}") for _ in range(2)]
    own = await bench.read(broker.consume(topic, group=f"own-{topic}"), "ignored")
    await send(bench, broker, topic, "x")
    assert await alone.values(1) == ["x"]
    for reading in (alone, *readings, own):
        await bench.close(reading)
    groups = [name for name, _ in await admin.list_consumer_groups()]
    assert [name for name in groups if topic in name] == [f"own-{topic}"]


async def test_keys_and_values_are_read_as_wanted(bench: Bench, broker: Cluster, topic: str) -> None:
    specs = {
        "bytes": broker.consume(topic),
        "str": broker.consume(topic, key=str, value=str),
        "json": broker.consume(topic, key="json", value="json"),
        "own": broker.consume(topic, key=int, value=lambda raw: raw[::-1]),
    }
    readings = {name: await bench.read(spec) for name, spec in specs.items()}
    await bench.send(broker.produce(topic, key="12", value="[1]"))
    read = {name: (await reading.take(1))[0] for name, reading in readings.items()}
    assert {name: (record.key, record.value) for name, record in read.items()} == {
        "bytes": (b"12", b"[1]"),
        "str": ("12", "[1]"),
        "json": (12, [1]),
        "own": (12, b"]1["),
    }


async def test_bad_records_are_counted_told_of_once_and_skipped(
    bench: Bench, broker: Cluster, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    reading = await bench.read(broker.consume(topic, value="json"))
    await send(bench, broker, topic, "1", "no json", "{", "2")
    assert await reading.values(2) == [1, 2]
    assert reading.meters.counters["bad-records"] == 2
    assert len([record for record in caplog.records if "cannot be read" in record.message]) == 1


async def test_bad_records_may_end_the_reading(bench: Bench, broker: Cluster, topic: str) -> None:
    reading = await bench.read(broker.consume(topic, value="json", bad_records="fail"))
    await send(bench, broker, topic, "no json")
    with pytest.raises(StepError, match=f"record 0 of '{topic}', partition 0") as caught:
        await reading.take(1)
    assert caught.value.kind == "bad-record"


async def test_a_broker_that_is_down_refuses_the_campaign() -> None:
    bench, port = Bench(), free_port()
    for group in (None, GROUP):
        refused = await bench.unreadable(kafka.consume("t", bootstrap=f"127.0.0.1:{port}"), group)
        assert f"Kafka at 127.0.0.1:{port}" in refused
        assert "test_reader.py" in refused
    await bench.aclose()


async def test_a_missing_topic_refuses_the_campaign_and_is_not_created(
    bench: Bench, broker: Cluster, make_topic: MakeTopic, admin: AIOKafkaAdminClient
) -> None:
    near = await make_topic("payments-done")
    refused = await bench.unreadable(broker.consume("payment-done"))
    assert f"has no topic 'payment-done'; near it: {near}" in refused
    assert "payment-done" not in await admin.list_topics()


async def test_options_that_the_driver_does_not_know_refuse_the_campaign(
    bench: Bench, broker: Cluster, topic: str
) -> None:
    assert "batches" in await bench.unreadable(broker.consume(topic, options={"batches": 3}))


@pytest.mark.parametrize("group", [None, GROUP])
async def test_a_short_loss_of_the_broker_loses_no_record(
    bench: Bench, kafka_broker: Kafka, broker: Cluster, topic: str, group: str | None
) -> None:
    reading = await bench.read(broker.consume(topic, value=str), group and f"{group}-{topic}")
    await send(bench, broker, topic, "before")
    assert await reading.values(1) == ["before"]
    kafka_broker.stop()
    try:
        await reading.takes_nothing(2.5)
    finally:
        kafka_broker.start()
    await send(bench, broker, topic, "after")
    # The generator was interrupted; reading starts again as a pump's would after its reader's.
    reading.batches = reading.reader.batches()
    assert await reading.values(1) == ["after"]
    assert reading.meters.counters["outages"] >= 1


async def test_a_broker_that_stays_away_ends_the_reading(kafka_broker: Kafka, topic: str) -> None:
    bench = Bench()
    spec = kafka.consume(
        topic, bootstrap=kafka_broker.bootstrap, recovery_timeout="1s", options={"metadata_max_age_ms": 200}
    )
    readings = [await bench.read(spec), await bench.read(spec, f"{GROUP}-{topic}")]
    kafka_broker.stop()
    try:
        for reading in readings:
            with pytest.raises(StepError, match=kafka_broker.bootstrap) as caught:
                await reading.take(1)
            assert caught.value.kind == "broker-unavailable"
        began = time.monotonic()
        await bench.aclose()
        assert time.monotonic() - began < 20.0
    finally:
        kafka_broker.start()


async def test_other_topics_are_read_on_when_one_of_a_pattern_is_deleted(
    bench: Bench, broker: Cluster, make_topic: MakeTopic, admin: AIOKafkaAdminClient
) -> None:
    prefix = f"family-{uuid4().hex[:8]}"
    first, second = await make_topic(f"{prefix}-a"), await make_topic(f"{prefix}-b")
    reading = await bench.read(broker.consume(pattern=f"{prefix}-.", value=str, options=FAST))
    await admin.delete_topics([first])
    await reading.takes_nothing(1.0)
    reading.batches = reading.reader.batches()
    await send(bench, broker, second, "x")
    assert await reading.values(1) == ["x"]


async def test_the_reader_of_a_group_keeps_its_place_in_the_broker(
    bench: Bench, broker: Cluster, topic: str
) -> None:
    reading = await bench.read(broker.consume(topic, value=str, group=f"own-{topic}"), "ignored")
    await send(bench, broker, topic, "1", "2", "3")
    await reading.take(3)
    other = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap, group_id=f"own-{topic}", enable_auto_commit=False
    )
    other.assign([TopicPartition(topic, 0)])
    await other.start()
    try:
        async with asyncio.timeout(10):
            while await other.committed(TopicPartition(topic, 0)) != 3:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    finally:
        await other.stop()
