"""Whole scenarios in one worker: records produced by minions meet records that are consumed."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiokafka import AIOKafkaProducer

from qalipsis import Minion, journey, scenario
from qalipsis.errors import ServiceUnavailable
from qalipsis.metrics.ledger import Slot
from qalipsis.plugins import kafka
from tests.services.home import free_port
from tests.services.kafka import Kafka

from .bench import play
from .conftest import MakeTopic

NEEDED = 50_000
"""Records per second that one worker must be able to consume."""


async def test_a_record_meets_the_minion_that_produced_it(kafka_broker: Kafka, topic: str) -> None:
    broker = kafka.cluster(kafka_broker.bootstrap)
    delays: list[float] = []
    chain = (
        scenario("orders", minions=50)
        .start()
        .returns(lambda context, _: f"order-{context.minion.index}")
        .then(broker.produce(topic, key=lambda order: order, value=lambda order: {"id": order}))
        .named("place")
        .inner_join(
            broker.consume(topic, key=str, value="json"),
            on=lambda produced: produced.input,
            having=lambda record: record.key,
            timeout="10s",
        )
        .named("published")
        .on_each(lambda pair: delays.append(pair.right.received_at - pair.left.sent))
        .verify(lambda pair: pair.right.value == {"id": pair.left.input})
        .named("same")
    )
    campaign = await play(chain)
    assert campaign[Slot.PASSES_COMPLETED] == 50
    assert campaign[Slot.REQUESTS_OK] == campaign[Slot.REQUESTS_ATTEMPTED] == 50
    assert campaign.step("same").successful == 50
    assert campaign.step("published").counters["matched"] == 50
    assert campaign.step("place").counters["records-produced"] == 50
    assert all(0 < delay < 5 for delay in delays)


async def test_each_record_goes_to_one_minion(kafka_broker: Kafka, topic: str) -> None:
    taken: list[str] = []
    broker = kafka.cluster(kafka_broker.bootstrap)

    async def produce() -> None:
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
            for number in range(20):
                await producer.send_and_wait(topic, b"%d" % number)

    chain = (
        scenario("takers", minions=20)
        .start()
        .then(broker.consume(topic, value=str).unicast())
        .named("take")
        .on_each(lambda record: taken.append(record.value))
    )
    campaign = await play(chain, started=produce)
    assert sorted(taken, key=int) == [str(number) for number in range(20)]
    assert campaign.step("take").counters["records-delivered"] == 20


async def test_every_minion_gets_what_is_broadcast(kafka_broker: Kafka, topic: str) -> None:
    taken: list[str] = []
    broker = kafka.cluster(kafka_broker.bootstrap)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for number in range(3):
            await producer.send_and_wait(topic, b"%d" % number)
    chain = (
        scenario("listeners", minions=4)
        .start()
        .then(broker.consume(topic, value=str, offset="earliest").broadcast())
        .iterate(3)
        .on_each(lambda record: taken.append(record.value))
    )
    await play(chain)
    assert sorted(taken) == sorted(["0", "1", "2"] * 4)


async def test_a_journey_produces(kafka_broker: Kafka, topic: str) -> None:
    broker = kafka.cluster(kafka_broker.bootstrap)
    offsets: list[int] = []

    @journey("tell", minions=3)
    async def tell(minion: Minion) -> None:
        produced = await minion.do(broker.produce(topic, value=lambda word: word), value="hello")
        offsets.append(produced.offset)

    campaign = await play(tell.chain())
    assert sorted(offsets) == [0, 1, 2]
    assert campaign[Slot.REQUESTS_OK] == 3


async def test_a_campaign_does_not_start_without_its_broker() -> None:
    bootstrap = f"127.0.0.1:{free_port()}"
    produces = scenario("s").start().then(kafka.produce("t", value="x", bootstrap=bootstrap))
    consumes = scenario("s").start().then(kafka.consume("t", bootstrap=bootstrap))
    for chain in (produces, consumes):
        with pytest.raises(ServiceUnavailable, match=bootstrap):
            await play(chain)


@pytest.mark.prove
async def test_a_worker_consumes_fifty_thousand_records_a_second(
    kafka_broker: Kafka, make_topic: MakeTopic
) -> None:
    topic, count = await make_topic(partitions=4), 300_000
    broker = kafka.cluster(kafka_broker.bootstrap)
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, linger_ms=5, max_batch_size=262_144
    ) as producer:
        for first in range(0, count, 10_000):
            sent = [
                await producer.send(topic, b'{"id": %d}' % number, b"%d" % number)
                for number in range(first, first + 10_000)
            ]
            await asyncio.gather(*sent)
    moments: list[float] = []

    def tick(record: object) -> None:
        moments.append(time.perf_counter())

    for name, source in (
        ("bytes", broker.consume(topic, offset="earliest")),
        ("str and json", broker.consume(topic, offset="earliest", key=str, value="json")),
    ):
        moments.clear()
        began = time.process_time()
        chain = scenario("takers").start().then(source.unicast()).iterate(count).on_each(tick)
        campaign = await play(chain, patience=60)
        assert campaign[Slot.PASSES_COMPLETED] == 1
        assert len(moments) == count
        rate = count / (moments[-1] - moments[0])
        per_cpu_second = count / (time.process_time() - began)
        print(f"\n{name}: {rate:,.0f} records/s taken by a minion, {per_cpu_second:,.0f} per CPU-second")
        assert rate >= NEEDED
