from __future__ import annotations

import asyncio

import pytest

from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import rabbitmq as plugin
from qalipsis.plugins.brokers import recovery
from tests.plugins.brokers.bench import PATIENCE, Bench, dealt, until
from tests.services.rabbitmq import Rabbitmq

from .tools import Tools


async def test_a_message_is_read_with_all_that_it_has(rabbitmq: Rabbitmq, bench: Bench, tools: Tools) -> None:
    client, exchange = plugin.client(rabbitmq.url), await tools.exchange()
    reading = await bench.read(client.subscribe(exchange, "orders.*"))
    produce = client.produce(
        exchange,
        routing_key="orders.new",
        body={"id": 7},
        headers={"x": 1},
        message_id="m",
        correlation_id="c",
    )
    produced = await bench.ask(produce)
    [message] = await reading.take(1)
    assert (message.body, message.raw) == ({"id": 7}, b'{"id":7}')
    assert (message.exchange, message.routing_key) == (exchange, "orders.new")
    assert (message.headers, message.message_id, message.correlation_id) == ({"x": 1}, "m", "c")
    assert (message.timestamp, message.is_redelivered) == (None, False)
    assert produced.sent <= message.received_at < produced.done + 5
    assert reading.meters.counters == {"records-consumed": 1}


async def test_readers_of_a_group_compete_for_a_queue(rabbitmq: Rabbitmq, bench: Bench, tools: Tools) -> None:
    queue, client = await tools.queue(), plugin.client(rabbitmq.url)
    readings = [await bench.read(client.consume(queue, prefetch=5), group="g") for _ in range(2)]
    await tools.put(queue, *(str(n).encode() for n in range(20)))
    shares = await dealt(readings, 20)
    assert all(shares)
    assert sorted(message.body for share in shares for message in share) == list(range(20))
    assert await tools.waiting(queue) == 0


async def test_a_queue_that_must_be_read_whole_is_read_by_one_only(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    queue, client = await tools.queue(), plugin.client(rabbitmq.url)
    reading = await bench.read(client.consume(queue))
    with pytest.raises(ServiceUnavailable, match=r"(?s)exclusive.*subscribe\(…\)"):
        await bench.read(client.consume(queue))
    with pytest.raises(ServiceUnavailable):
        await bench.read(client.consume(queue), group="g")
    await tools.put(queue, b"1", b"2")
    assert [message.body for message in await reading.take(2)] == [1, 2]


async def test_what_is_not_taken_goes_back_to_the_queue(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    queue = await tools.queue()
    await tools.put(queue, *(str(n).encode() for n in range(3_000)))
    reading = await bench.read(plugin.client(rabbitmq.url).consume(queue, prefetch=2_000), group="g")
    await until(lambda: len(reading.reader._inbox) == 2_000)  # type: ignore[attr-defined]
    assert [message.body for message in await reading.take(1)] == [0]  # of a batch of a thousand
    await reading.reader.aclose()
    assert await tools.waiting(queue) == 2_000


async def test_the_broker_is_not_asked_for_more_than_is_taken(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    queue = await tools.queue()
    reading = await bench.read(plugin.client(rabbitmq.url).consume(queue, prefetch=10), group="g")
    await tools.put(queue, *(str(n).encode() for n in range(50)))
    await until(lambda: len(reading.reader._inbox) == 10)  # type: ignore[attr-defined]
    await asyncio.sleep(0.05)
    assert len(reading.reader._inbox) == 10  # type: ignore[attr-defined]
    assert await tools.waiting(queue) == 40
    assert [message.body for message in await reading.take(50)] == list(range(50))


async def test_without_acknowledgement_a_reader_pauses_when_nobody_takes(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    queue = await tools.queue()
    reading = await bench.read(plugin.client(rabbitmq.url).consume(queue, prefetch=100, ack=False), group="g")
    await tools.put(queue, *(str(n).encode() for n in range(500)))
    await until(lambda: not reading.reader._session.consumer)  # type: ignore[attr-defined]
    await tools.put(queue, *(str(n).encode() for n in range(500, 1_000)))
    await asyncio.sleep(0.05)
    assert await tools.waiting(queue) > 0
    assert [message.body for message in await reading.take(1_000)] == list(range(1_000))


async def test_every_reader_of_an_exchange_gets_everything_and_leaves_nothing(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    client, exchange = plugin.client(rabbitmq.url), await tools.exchange("fanout")
    readings = [await bench.read(client.subscribe(exchange)) for _ in range(2)]
    produce = client.produce(exchange, body=lambda n: n)
    for n in range(20):
        await bench.ask(produce, n)
    for reading in readings:
        assert [message.body for message in await reading.take(20)] == list(range(20))
        queue = reading.reader._own  # type: ignore[attr-defined]
        assert await tools.exists(queue)
        await reading.reader.aclose()
        await reading.reader.aclose()
        assert not await tools.exists(queue)


async def test_readers_of_a_group_share_an_exchange(rabbitmq: Rabbitmq, bench: Bench, tools: Tools) -> None:
    client, exchange = plugin.client(rabbitmq.url), await tools.exchange()
    group = exchange + "-" + "x" * 300  # longer than a queue's name may be
    readings = [await bench.read(client.subscribe(exchange, prefetch=5), group=group) for _ in range(2)]
    produce = client.produce(exchange, routing_key="k", body=lambda n: n)
    for n in range(20):
        await bench.ask(produce, n)
    shares = await dealt(readings, 20)
    assert all(shares)
    assert sorted(message.body for share in shares for message in share) == list(range(20))
    queue = readings[0].reader._own  # type: ignore[attr-defined]
    await readings[0].reader.aclose()
    assert await tools.exists(queue)
    await readings[1].reader.aclose()
    assert not await tools.exists(queue)


async def test_what_is_missing_or_refused_ends_the_start(rabbitmq: Rabbitmq, bench: Bench) -> None:
    client = plugin.client(rabbitmq.url)
    with pytest.raises(ServiceUnavailable, match=r"test_reader.py:\d+: .*no queue 'no-such-queue'"):
        await bench.read(client.consume("no-such-queue"), group="g")
    with pytest.raises(ServiceUnavailable, match="no exchange 'no-such-exchange'"):
        await bench.read(client.subscribe("no-such-exchange"))
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1 refuses"):
        await bench.read(plugin.client("amqp://u:p@127.0.0.1:1").consume("q"))
    with pytest.raises(ServiceUnavailable, match="'anna'") as caught:
        await bench.read(plugin.client(f"amqp://anna:secret@{rabbitmq.address}").consume("q"))
    assert "secret" not in str(caught.value)


async def test_messages_that_cannot_be_decoded_are_counted_told_once_and_left_out(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    queue = await tools.queue()
    # More of them than are prefetched: they must not take the room of good ones.
    await tools.put(queue, *[b"{"] * 10, b"{}")
    reading = await bench.read(plugin.client(rabbitmq.url).consume(queue, prefetch=3), group="g")
    assert [message.body for message in await reading.take(1)] == [{}]
    assert reading.meters.counters == {"bad-records": 10, "records-consumed": 1}
    assert len([record for record in caplog.records if "cannot be decoded" in record.message]) == 1
    await reading.reader.aclose()
    assert await tools.waiting(queue) == 0


async def test_a_lost_connection_loses_and_repeats_nothing(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    queue = await tools.queue()
    reading = await bench.read(plugin.client(rabbitmq.url).consume(queue, prefetch=50), group="g")
    await tools.put(queue, *(str(n).encode() for n in range(20)))
    await until(lambda: len(reading.reader._inbox) == 20)  # type: ignore[attr-defined]
    reading.reader._session.connection._writer_task.cancel()  # type: ignore[attr-defined]
    await until(lambda: reading.meters.counters.get("reconnects") == 1)
    messages = await reading.take(20)
    assert [message.body for message in messages] == list(range(20))
    assert {message.is_redelivered for message in messages} == {True}
    assert await reading.is_silent(0.1)
    await reading.reader.aclose()
    assert await tools.waiting(queue) == 0


@pytest.mark.parametrize("source", ["consume", "subscribe"])
async def test_a_reader_survives_a_restart_of_its_broker(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools, source: str
) -> None:
    client, queue, exchange = plugin.client(rabbitmq.url), await tools.queue(), await tools.exchange()
    await tools.bind(queue, exchange, "#")
    reading = await bench.read(client.consume(queue) if source == "consume" else client.subscribe(exchange))
    produce = client.produce(exchange, routing_key="k", body=lambda n: n, persistent=True)
    await bench.ask(produce, 1)
    await reading.take(1)
    rabbitmq.kill()
    await asyncio.to_thread(rabbitmq.start)
    await bench.ask(produce, 2)
    [message] = await reading.take(1)
    if message.is_redelivered and message.body == 1:  # the broker died before it had noted that it was taken
        [message] = await reading.take(1)
    assert message.body == 2
    await until(lambda: reading.meters.counters.get("reconnects") == 1)


async def test_a_queue_that_is_deleted_fails_who_reads_it(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "RECOVERY_SECONDS", 0.5)
    queue = await tools.queue()
    reading = await bench.read(plugin.client(rabbitmq.url).consume(queue), group="g")
    await tools.channel.queue_delete(queue)
    failure = await reading.fails()
    assert failure.kind == "no-queue"
    assert queue in str(failure)


async def test_a_subscription_whose_queue_is_deleted_makes_it_again(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    client, exchange = plugin.client(rabbitmq.url), await tools.exchange()
    reading = await bench.read(client.subscribe(exchange))
    await tools.channel.queue_delete(reading.reader._own)  # type: ignore[attr-defined]
    await until(lambda: reading.meters.counters.get("reconnects") == 1)
    await bench.ask(client.produce(exchange, body="1"))
    assert [message.body for message in await reading.take(1)] == [1]


async def test_closing_ends_even_when_the_broker_is_gone(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    queue = await tools.queue()
    reading = await bench.read(plugin.client(rabbitmq.url, timeout="1s").consume(queue), group="g")
    rabbitmq.kill()
    try:
        async with asyncio.timeout(PATIENCE):
            await reading.reader.aclose()
    finally:
        await asyncio.to_thread(rabbitmq.start)
