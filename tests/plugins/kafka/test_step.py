"""Records reach a real broker as they were described."""

from __future__ import annotations

import asyncio
import time

import pytest

from qalipsis.plugins import kafka
from qalipsis.plugins.kafka import Cluster
from tests.services.home import free_port
from tests.services.kafka import Kafka

from .bench import Bench
from .conftest import MakeTopic


@pytest.fixture
def broker(kafka_broker: Kafka) -> Cluster:
    return kafka.cluster(kafka_broker.bootstrap)


async def test_a_record_arrives_as_described(bench: Bench, broker: Cluster, make_topic: MakeTopic) -> None:
    topic = await make_topic(partitions=3)
    reading = await bench.read(broker.consume(topic, key=str, value="json"))
    before = time.time()
    spec = broker.produce(
        topic,
        key=lambda order: order["id"],
        value=lambda order: {"order": order},
        headers={"Trace": "a", "empty": None, "raw": b"\xff"},
        partition=2,
        timestamp=1_700_000_000.5,
    )
    produced = await bench.send(spec, {"id": "7"})
    [record] = await reading.take(1)
    assert (record.topic, record.partition, record.offset) == (topic, 2, 0)
    assert (produced.topic, produced.partition, produced.offset) == (topic, 2, 0)
    assert (record.key, record.value) == ("7", {"order": {"id": "7"}})
    assert list(record.headers) == [("Trace", b"a"), ("empty", None), ("raw", b"\xff")]
    assert record.timestamp == produced.timestamp == 1_700_000_000.5
    assert before - 0.1 <= produced.sent <= produced.done <= record.received_at + 0.1
    assert record.received_at <= time.time() + 0.1
    assert produced.input == {"id": "7"}
    assert bench.books == (1, 1, 0)
    assert bench.meters_of(spec).counters["records-produced"] == 1
    assert bench.meters_of(spec).bytes_sent > 10


async def test_functions_may_take_the_context(bench: Bench, broker: Cluster, topic: str) -> None:
    spec = broker.produce(topic, value=lambda context, value: [context.iteration, value])
    reading = await bench.read(broker.consume(topic, value="json"))
    await bench.send(spec, "x")
    assert await reading.values(1) == [[0, "x"]]


async def test_a_record_without_value_deletes_its_key(bench: Bench, broker: Cluster, topic: str) -> None:
    reading = await bench.read(broker.consume(topic, key=str, value=str))
    await bench.send(broker.produce(topic, key="gone", value=None))
    [record] = await reading.take(1)
    assert (record.key, record.value) == ("gone", None)


async def test_a_record_of_nothing_at_all_is_a_failure(bench: Bench, broker: Cluster, topic: str) -> None:
    error = await bench.fails(broker.produce(topic, value=lambda value: None))
    assert error.kind == "no-content"
    assert bench.books == (0, 0, 0)


async def test_a_serialiser_of_the_author_makes_the_bytes(bench: Bench, broker: Cluster, topic: str) -> None:
    reading = await bench.read(broker.consume(topic))
    await bench.send(
        broker.produce(topic, key="k", key_serialiser="json", value=3, value_serialiser=lambda n: b"x" * n)
    )
    [record] = await reading.take(1)
    assert (record.key, record.value) == (b'"k"', b"xxx")


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_what_is_compressed_is_read_again(
    bench: Bench, broker: Cluster, topic: str, compression: str
) -> None:
    reading = await bench.read(broker.consume(topic, value=str))
    await bench.send(broker.produce(topic, value="a" * 1000, compression=compression))  # type: ignore[call-overload]
    assert await reading.values(1) == ["a" * 1000]


@pytest.mark.parametrize("acks", ["all", 1, 0])
async def test_the_broker_confirms_as_much_as_is_asked_for(
    bench: Bench, broker: Cluster, topic: str, acks: object
) -> None:
    produced = await bench.send(broker.produce(topic, value="x", acks=acks))  # type: ignore[call-overload]
    assert produced.offset == (-1 if acks == 0 else 0)


async def test_steps_that_send_alike_share_a_producer(bench: Bench, broker: Cluster, topic: str) -> None:
    bootstrap = broker.bootstrap
    for spec in (
        broker.produce(topic, value="1"),
        broker.produce(topic, value="2"),
        kafka.produce(topic, value="3", bootstrap=bootstrap),
        broker.produce(topic, value="4", linger="5ms"),
    ):
        await bench.send(spec)
    assert len(bench.shared) == 2


async def test_many_records_at_once_go_out_in_batches(bench: Bench, broker: Cluster, topic: str) -> None:
    spec = broker.produce(topic, value=lambda number: str(number), linger="5ms")
    reading = await bench.read(broker.consume(topic, value=int))
    produced = await asyncio.gather(*(bench.send(spec, number) for number in range(500)))
    assert sorted(one.offset for one in produced) == list(range(500))
    assert sorted(await reading.values(500)) == list(range(500))
    assert bench.books == (500, 500, 0)


async def test_a_topic_that_is_missing_is_named_before_the_start_and_not_created(
    bench: Bench, broker: Cluster, make_topic: MakeTopic, admin: object
) -> None:
    near = await make_topic("orders-of-today")
    refused = await bench.refused(broker.produce("order-of-today", value="x"))
    assert f"Kafka at {broker.bootstrap} has no topic 'order-of-today'" in refused
    assert near in refused
    assert "test_step.py" in refused
    assert "order-of-today" not in await admin.list_topics()  # type: ignore[attr-defined]


async def test_a_topic_found_at_run_time_may_be_missing(bench: Bench, broker: Cluster, topic: str) -> None:
    spec = broker.produce(lambda name: name, value="x")
    step = await bench.step(spec)
    await step.reach()
    assert (await bench.send(spec, topic)).topic == topic
    error = await bench.fails(spec, "missing-topic")
    assert error.kind == "no-topic"
    assert bench.books == (1, 1, 0)


async def test_a_partition_that_is_missing_is_a_failure(bench: Bench, broker: Cluster, topic: str) -> None:
    error = await bench.fails(broker.produce(topic, value="x", partition=7))
    assert (error.kind, "0 to 0" in str(error)) == ("no-partition", True)


async def test_a_record_that_is_too_large_is_a_failure(
    bench: Bench, broker: Cluster, make_topic: MakeTopic
) -> None:
    topic = await make_topic(**{"max.message.bytes": "2000"})
    spec = broker.produce(topic, value=lambda size: "x" * size)
    for size in (3_000, 2_000_000):
        assert (await bench.fails(spec, size)).kind == "record-too-large"
    await bench.send(spec, 1_000)
    assert bench.books == (3, 1, 2)


async def test_a_broker_that_is_down_refuses_the_campaign() -> None:
    bench, port = Bench(), free_port()
    refused = await bench.refused(kafka.produce("t", value="x", bootstrap=f"127.0.0.1:{port}"))
    assert f"Kafka at 127.0.0.1:{port}" in refused
    await bench.aclose()


async def test_one_of_several_brokers_is_enough(bench: Bench, broker: Cluster, topic: str) -> None:
    spec = kafka.produce(topic, value="x", bootstrap=[f"127.0.0.1:{free_port()}", broker.bootstrap])
    step = await bench.step(spec)
    await step.reach()
    assert (await bench.send(spec)).offset == 0


async def test_options_that_the_driver_does_not_know_refuse_the_campaign(
    bench: Bench, broker: Cluster, topic: str
) -> None:
    refused = await bench.refused(broker.produce(topic, value="x", options={"batches": 3}))
    assert "batches" in refused


async def test_options_go_to_the_driver(bench: Bench, broker: Cluster, topic: str) -> None:
    spec = broker.produce(topic, value="x", options={"enable_idempotence": True})
    assert (await bench.send(spec)).offset == 0


async def test_a_broker_that_dies_fails_records_in_time_and_serves_again_when_it_is_back(
    bench: Bench, kafka_broker: Kafka, topic: str
) -> None:
    spec = kafka.produce(topic, value="x", bootstrap=kafka_broker.bootstrap, timeout="2s")
    assert (await bench.send(spec)).offset == 0
    kafka_broker.stop()
    try:
        began = time.monotonic()
        failures = await asyncio.gather(*(bench.fails(spec) for _ in range(20)))
        assert time.monotonic() - began < 3.0
        assert {failure.kind for failure in failures} == {"broker-unavailable"}
        assert kafka_broker.bootstrap in str(failures[0])
    finally:
        kafka_broker.start()
    assert (await bench.send(spec)).offset == 1
    assert bench.books == (22, 2, 20)


async def test_a_closed_step_sends_nothing(bench: Bench, broker: Cluster, topic: str) -> None:
    spec = broker.produce(topic, value="x")
    await bench.send(spec)
    await (await bench.step(spec)).aclose()
    assert (await bench.fails(spec)).kind == "closed"


async def test_minions_that_find_no_broker_do_not_queue_up(bench: Bench) -> None:
    spec = kafka.produce(lambda value: "t", value="x", bootstrap=f"127.0.0.1:{free_port()}", timeout="1s")
    began = time.monotonic()
    failures = await asyncio.gather(*(bench.fails(spec) for _ in range(100)))
    assert time.monotonic() - began < 3.0
    assert {failure.kind for failure in failures} <= {"broker-unavailable", "timeout"}
    assert bench.books == (0, 0, 0)


async def test_closing_does_not_wait_for_a_broker_that_is_gone(kafka_broker: Kafka, topic: str) -> None:
    bench = Bench()
    spec = kafka.produce(
        topic,
        value="x",
        bootstrap=kafka_broker.bootstrap,
        timeout="60s",
        options={"enable_idempotence": True},
    )
    await bench.send(spec)
    kafka_broker.stop()
    try:
        sending = asyncio.create_task(bench.send(spec))
        await asyncio.sleep(0.2)
        sending.cancel()
        began = time.monotonic()
        await bench.aclose()
        assert time.monotonic() - began < 12.0
    finally:
        kafka_broker.start()
