"""Checked by mypy in test_spec.py, never run: lines marked `# wrong` must be errors, all others must not."""

from dataclasses import dataclass
from typing import Any, assert_type

from qalipsis import Chain, Minion, prop, scenario
from qalipsis.plugins import rabbitmq


@dataclass
class Order:
    id: str
    price: float


def as_order(raw: bytes) -> Order:
    return Order(raw.decode(), 0)


broker = rabbitmq.client(prop("rabbitmq.url", default="amqp://guest:guest@127.0.0.1"), timeout="5s")
rabbitmq.client("amqp://u:p@h", connections="2")  # wrong

orders = scenario("orders").start().returns(Order("a", 7.0))
produced = orders.then(
    broker.produce(
        "orders",
        routing_key=lambda order: order.id,
        body=lambda order: {"price": order.price},
        headers=lambda order: {"x-price": order.price},
        correlation_id=lambda order: order.id,
        priority=1,
    )
)
assert_type(produced, Chain[rabbitmq.Produced])
produced.map(lambda message: message.done - message.sent)
produced.map(lambda message: message.body)  # wrong
orders.then(broker.produce(routing_key="q", body=lambda order: order))
orders.then(broker.produce(routing_key="q", body=lambda order: order.cost))  # wrong
orders.then(broker.produce(routing_key=lambda order: order.price, body="x"))  # wrong
orders.then(broker.produce(routing_key="q", body="x", message_id=lambda order: order.cost))  # wrong
orders.then(broker.produce(routing_key="q", body="x", message_id=lambda context, order: order.id))
orders.then(broker.produce(routing_key="q", body="x", colour="red"))  # wrong
broker.produce(routing_key="q")  # wrong

assert_type(broker.consume("q"), rabbitmq.Consume[rabbitmq.Message[Any]])
assert_type(broker.consume("q", decode=str), rabbitmq.Consume[rabbitmq.Message[str]])
assert_type(broker.consume("q", decode=bytes), rabbitmq.Consume[rabbitmq.Message[bytes]])
assert_type(broker.consume("q", 10, False, decode=as_order), rabbitmq.Consume[rabbitmq.Message[Order]])
assert_type(broker.subscribe("e", "k.*", decode=as_order), rabbitmq.Subscribe[rabbitmq.Message[Order]])
received = scenario("received").start().then(broker.consume("q", decode=as_order).unicast())
received.map(lambda message: message.body.price)
received.map(lambda message: message.body.cost)  # wrong
joined = orders.inner_join(
    broker.subscribe("e", decode=as_order),
    on=lambda order: order.id,
    having=lambda message: message.correlation_id,
    timeout="5s",
)
joined.map(lambda pair: pair.right.received_at + pair.left.price)
joined.map(lambda pair: pair.right.received)  # wrong

always = broker.produce(routing_key="q", body="x")
orders.then(always)


async def walk(minion: Minion) -> None:
    sent = await minion.do(broker.produce(routing_key="q", body=lambda o: {"o": o}), value=Order("a", 1))
    assert_type(sent, rabbitmq.Produced)
