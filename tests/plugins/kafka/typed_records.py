"""Checked by mypy in test_spec.py, never run: lines marked `# wrong` must be errors, all others must not."""

from dataclasses import dataclass
from typing import Any, assert_type

from qalipsis import Chain, scenario
from qalipsis.plugins import kafka
from qalipsis.plugins.kafka import Produced, Record


@dataclass
class User:
    id: int
    name: str


broker = kafka.cluster("h:1", sasl=kafka.plain("a", "b"))
users = scenario("users").start().returns(User(1, "ann"))
assert_type(users.then(broker.produce("t", value=lambda user: user.name)), Chain[Produced])
users.then(broker.produce("t", value=lambda user: user.nr))  # wrong
users.then(
    broker.produce(lambda user: user.name, value={"a": 1}, key=lambda user: user.id, headers={"a": b"1"})
)
users.then(broker.produce(lambda user: user.name, value={"a": 1}, key=lambda user: user.nr))  # wrong
users.then(kafka.produce("t", value=lambda context, user: (context.iteration, user.id), key=b"1"))
users.then(kafka.produce("t", value=lambda context, user: (context.iteration, user.nr)))  # wrong
kafka.produce("t", value="x", acks=2)  # wrong
kept = kafka.produce("t", value="x")
users.then(kept)
s = scenario("x").start()
assert_type(s.then(kafka.consume("t").unicast()), Chain[Record[bytes, bytes]])
assert_type(s.then(kafka.consume("t")), Chain[Record[bytes, bytes]])
assert_type(s.then(kafka.consume("t", key=str)), Chain[Record[str, bytes]])
assert_type(s.then(kafka.consume(["t"], key=str, value="json")), Chain[Record[str, Any]])
assert_type(s.then(broker.consume(pattern="t", value=str)), Chain[Record[bytes, str]])
assert_type(s.then(broker.consume("t", value="json")), Chain[Record[bytes, Any]])
assert_type(s.then(broker.consume("t", key=int, value=lambda b: [b])), Chain[Record[int, list[bytes]]])
orders = kafka.consume("orders", bootstrap="localhost:9092", key=str)
users.inner_join(orders, on=lambda user: user.name, having=lambda record: record.key, timeout="30s").timer(
    "d", lambda pair: pair.right.received_at - pair.left.id
)
users.inner_join(orders, on=lambda user: user.name, having=lambda record: record.keys, timeout="30s")  # wrong
kafka.consume("t", offset="now")  # wrong
