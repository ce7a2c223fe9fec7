from __future__ import annotations

import asyncio
from typing import Any

import pytest

from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import rabbitmq as plugin
from qalipsis.plugins.rabbitmq.step import ProduceStep
from tests.plugins.brokers.bench import Bench
from tests.services.rabbitmq import Rabbitmq

from .tools import Tools


async def test_a_message_arrives_with_all_that_it_has(rabbitmq: Rabbitmq, bench: Bench, tools: Tools) -> None:
    queue = await tools.queue()
    produce = plugin.client(rabbitmq.url).produce(
        routing_key=queue,
        body=lambda n: {"n": n},
        persistent=True,
        headers=lambda n: {"x-n": n, "x-list": [1, "a", None], "x-map": {"y": 1.5}},
        content_type="application/json",
        message_id=lambda n: f"m-{n}",
        correlation_id="c",
        reply_to="r",
        type="t",
        priority=3,
        expiration="1m",
    )
    produced = await bench.ask(produce, 7)
    message = await tools.get(queue)
    properties = message.header.properties
    assert message.body == b'{"n":7}'
    assert properties.headers == {"x-n": 7, "x-list": [1, "a", None], "x-map": {"y": 1.5}}
    assert (properties.content_type, properties.message_id) == ("application/json", "m-7")
    assert (properties.correlation_id, properties.reply_to, properties.message_type) == ("c", "r", "t")
    assert (properties.priority, properties.expiration, properties.delivery_mode) == (3, "60000", 2)
    assert 0 < produced.done - produced.sent < 5
    assert bench.books == (1, 1, 0)
    assert bench.counters(produce) == {"records-produced": 1}


async def test_exchange_and_key_may_come_from_the_input(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    queue, exchange = await tools.queue(), await tools.exchange()
    await tools.bind(queue, exchange, "orders.*")
    produce = plugin.client(rabbitmq.url).produce(
        lambda context, order: exchange, routing_key=lambda context, order: f"orders.{order}", body="x"
    )
    await bench.ask(produce, "new")
    message = await tools.get(queue)
    assert (message.delivery.exchange, message.delivery.routing_key) == (exchange, "orders.new")
    assert message.header.properties.delivery_mode == 1


async def test_a_message_that_no_queue_takes_fails_where_that_is_asked_for(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    client, exchange = plugin.client(rabbitmq.url), await tools.exchange()
    failure = await bench.fails(client.produce(exchange, routing_key="k", body="x", mandatory=True))
    assert failure.kind == "unroutable"
    assert exchange in str(failure)
    await bench.ask(client.produce(exchange, routing_key="k", body="x"))
    # The default exchange leads to one queue by its name.
    assert (await bench.fails(client.produce(routing_key="nowhere", body="x"))).kind == "unroutable"
    await bench.ask(client.produce(routing_key="nowhere", body="x", mandatory=False))
    await bench.ask(client.produce(routing_key="nowhere", body="x", confirm=False))
    assert bench.books == (5, 3, 2)


async def test_a_queue_that_is_full_refuses_and_that_is_no_success(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    queue = await tools.queue(arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    produce = plugin.client(rabbitmq.url).produce(routing_key=queue, body="x")
    await bench.ask(produce)
    assert (await bench.fails(produce)).kind == "refused"
    assert await tools.waiting(queue) == 1


async def test_many_produce_at_once_over_several_connections(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    queue = await tools.queue()
    produce = plugin.client(rabbitmq.url, connections=2).produce(routing_key=queue, body=lambda n: str(n))
    await asyncio.gather(*(bench.ask(produce, n) for n in range(300)))
    assert await tools.waiting(queue) == 300
    step = await bench.step(produce)
    assert step.connections(10_000) == {(rabbitmq.host, rabbitmq.port): 2}
    bench.meters.drain()
    assert step._meters.phases["connect"].count == 2


async def test_steps_of_a_client_share_its_connection_and_not_their_mistakes(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    client, queue = plugin.client(rabbitmq.url), await tools.queue()
    good = client.produce(routing_key=queue, body="x")
    bad = client.produce(lambda value: "no-such-exchange", routing_key="k", body="x")
    for _ in range(5):
        results = await asyncio.gather(
            *(bench.ask(spec) for spec in (good, bad) * 10), return_exceptions=True
        )
        assert [getattr(result, "kind", "ok") for result in results] == ["ok", "no-exchange"] * 10
    assert "no-such-exchange" in str(results[1])
    steps = [await bench.step(spec) for spec in (good, bad)]
    bench.meters.drain()
    assert sum(step._meters.phases["connect"].count for step in steps if step._meters.phases) == 1
    assert await tools.waiting(queue) == 50


async def test_what_is_missing_is_told_before_the_start(rabbitmq: Rabbitmq, bench: Bench) -> None:
    client = plugin.client(rabbitmq.url)
    step = await bench.step(client.produce("no-such-exchange", routing_key="k", body="x"))
    with pytest.raises(ServiceUnavailable, match=r"test_step.py:\d+: .*'no-such-exchange'.*create it"):
        await step.reach()
    step = await bench.step(client.produce(routing_key="no-such-queue", body="x"))
    with pytest.raises(ServiceUnavailable, match="'no-such-queue'"):
        await step.reach()
    step = await bench.step(client.produce(routing_key="no-such-queue", body="x", mandatory=False))
    await step.reach()
    assert bench.books == (0, 0, 0)


async def test_a_broker_that_is_not_there_is_told_before_the_start(bench: Bench) -> None:
    produce = plugin.client("amqp://anna:very%20secret@127.0.0.1:1").produce(routing_key="q", body="x")
    await check_refused(bench, produce, "connect-refused", "127.0.0.1:1 refuses")


async def test_a_login_that_is_refused_names_the_user_and_not_the_password(
    rabbitmq: Rabbitmq, bench: Bench
) -> None:
    url = f"amqp://anna:very%20secret@{rabbitmq.address}"
    await check_refused(bench, plugin.client(url).produce(routing_key="q", body="x"), "auth", "'anna'")


async def test_a_virtual_host_that_is_missing_or_closed_to_the_user_is_told(
    rabbitmq: Rabbitmq, bench: Bench
) -> None:
    login = f"{rabbitmq.user}:{rabbitmq.password}"
    produce = plugin.client(f"amqp://{login}@{rabbitmq.address}/moon").produce(routing_key="q", body="x")
    await check_refused(bench, produce, "no-vhost", "no virtual host 'moon'")
    stranger = f"{rabbitmq.other_user}:{(rabbitmq.other_password or '').replace(' ', '%20')}"
    produce = plugin.client(f"amqp://{stranger}@{rabbitmq.address}").produce(routing_key="q", body="x")
    await check_refused(bench, produce, "denied", "'stranger' access to the virtual host '/'")


async def check_refused(bench: Bench, produce: Any, kind: str, text: str) -> None:
    step: ProduceStep = await bench.step(produce)
    with pytest.raises(ServiceUnavailable) as caught:
        await step.reach()
    assert text in str(caught.value)
    failure = await bench.fails(produce)
    assert failure.kind == kind
    assert text in str(failure)
    for message in (str(failure), str(caught.value), repr(produce)):
        assert "secret" not in message
    assert bench.books == (0, 0, 0)  # nothing was sent


async def test_a_broker_that_dies_fails_what_runs_and_is_connected_to_again(
    rabbitmq: Rabbitmq, bench: Bench, tools: Tools
) -> None:
    queue = await tools.queue()
    # Not mandatory: a broker that is killed may forget a queue it has just confirmed.
    client = plugin.client(rabbitmq.url)
    produce = client.produce(routing_key=queue, body="x", persistent=True, mandatory=False)
    await bench.ask(produce)
    rabbitmq.kill()
    try:
        failure = await bench.fails(produce)
        assert failure.kind in ("closed", "connect-refused")
        assert rabbitmq.address in str(failure)
    finally:
        rabbitmq.start()
    await bench.ask(produce)


async def test_a_broker_that_says_nothing_does_not_hang_anybody(bench: Bench) -> None:
    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    produce = plugin.client(f"amqp://u:p@127.0.0.1:{port}", timeout="100ms").produce(routing_key="q", body="")
    assert (await bench.fails(produce)).kind in ("connect-timeout", "timeout")
    server.close()
    await server.wait_closed()


async def test_what_amqp_cannot_carry_is_the_authors_error_and_sends_nothing(
    rabbitmq: Rabbitmq, bench: Bench
) -> None:
    client = plugin.client(rabbitmq.url)
    for options in (
        {"routing_key": lambda value: "x" * 256, "body": "x"},
        {"routing_key": "q", "body": lambda value: object()},
        {"routing_key": "q", "body": "x", "headers": lambda value: {"a": object()}},
        {"routing_key": "q", "body": "x", "priority": lambda value: 256},
    ):
        with pytest.raises(ValueError):
            await bench.ask(client.produce(**options))
    assert bench.books == (0, 0, 0)
