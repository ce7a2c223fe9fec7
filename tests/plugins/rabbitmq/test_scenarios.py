from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from qalipsis import scenario
from qalipsis.errors import ServiceUnavailable
from qalipsis.metrics.ledger import Slot
from qalipsis.plugins import rabbitmq as plugin
from tests.plugins.brokers.bench import play
from tests.services.rabbitmq import Rabbitmq

from .tools import Tools


async def test_a_message_meets_its_minion_in_whatever_worker_it_lives(
    rabbitmq: Rabbitmq, tools: Tools
) -> None:
    broker, exchange = plugin.client(rabbitmq.url), await tools.exchange()
    chain = (
        scenario("met", minions=40)
        .start()
        .returns(lambda context, _: context.minion.index)
        .then(broker.produce(exchange, routing_key=lambda n: f"orders.{n}", body=lambda n: {"id": n}))
        .named("produce")
        .inner_join(
            broker.subscribe(exchange, "orders.*"),
            on=lambda context, _: context.minion.index,
            having=lambda message: message.body["id"],
            timeout="10s",
        )
        .named("join")
        .verify(lambda pair: pair.right.received_at >= pair.left.sent)
    )
    played = await play(chain, workers=2)
    assert played[Slot.PASSES_COMPLETED] == 40
    assert (played[Slot.REQUESTS_ATTEMPTED], played[Slot.REQUESTS_OK]) == (40, 40)
    assert played.counter("produce", "records-produced") == 40
    assert played.counter("join", "matched") == 40


async def test_workers_share_a_queue(rabbitmq: Rabbitmq, tools: Tools) -> None:
    broker, queue = plugin.client(rabbitmq.url), await tools.queue()
    chain = (
        scenario("dealt", minions=20)
        .start()
        .then(broker.consume(queue, prefetch=2).unicast(idle_timeout="10s"))
        .named("take")
    )
    playing = asyncio.create_task(play(chain, workers=2))
    await asyncio.sleep(0.3)
    await tools.put(queue, *(str(n).encode() for n in range(60)))
    played = await playing
    assert played.counter("take", "records-delivered") == 20
    assert all(played.step("take", worker).counters["records-consumed"] > 0 for worker in range(2))


async def test_a_join_on_a_queue_works_with_one_worker_and_is_refused_with_several(
    rabbitmq: Rabbitmq, tools: Tools
) -> None:
    broker, queue = plugin.client(rabbitmq.url), await tools.queue()
    chain = (
        scenario("queued", minions=10)
        .start()
        .returns(lambda context, _: context.minion.index)
        .then(broker.produce(routing_key=queue, body=lambda n: n, correlation_id=str))
        .inner_join(
            broker.consume(queue),
            on=lambda context, _: str(context.minion.index),
            having=lambda message: message.correlation_id,
            timeout="10s",
        )
        .named("join")
    )
    assert (await play(chain))[Slot.PASSES_COMPLETED] == 10
    with pytest.raises(ServiceUnavailable, match="use one worker"):
        await play(chain, workers=2)


async def test_a_wrong_name_is_one_message_before_the_start(rabbitmq: Rabbitmq) -> None:
    broker = plugin.client(rabbitmq.url)
    chain = scenario("lost").start().then(broker.produce(f"no-{uuid4().hex}", routing_key="k", body="x"))
    with pytest.raises(ServiceUnavailable, match="create it first"):
        await play(chain)
