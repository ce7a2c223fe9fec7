"""Checked by mypy in test_spec.py, never run: lines marked `# wrong` must be errors, all others must not."""

from dataclasses import dataclass
from typing import Any, assert_type

from qalipsis import Chain, Minion, prop, scenario
from qalipsis.plugins import mqtt


@dataclass
class Reading:
    device: str
    level: float


def as_reading(raw: bytes) -> Reading:
    return Reading(raw.decode(), 0)


broker = mqtt.client(prop("mqtt.broker", default="mqtt://127.0.0.1"), version="3.1.1", keep_alive="30s")
mqtt.client("mqtt://h", version=4)  # wrong
mqtt.client("mqtt://h", connections="pool")  # wrong

readings = scenario("readings").start().returns(Reading("a", 7.0))
published = readings.then(
    broker.publish(lambda r: f"devices/{r.device}", lambda r: {"level": r.level}, qos=1)
)
assert_type(published, Chain[mqtt.Published])
published.map(lambda message: message.done - message.sent)
published.map(lambda message: message.payload)  # wrong
readings.then(broker.publish("devices", lambda r: r))
readings.then(broker.publish("devices", lambda r: r.volume))  # wrong
readings.then(broker.publish(lambda r: r.volume, "x"))  # wrong
readings.then(broker.publish(lambda context, r: f"{context.iteration}/{r.device}", "x"))
readings.then(broker.publish("t", "x", qos=3))  # wrong

assert_type(broker.subscribe("t"), mqtt.Subscribe[mqtt.Message[Any]])
assert_type(broker.subscribe("t", decode="json"), mqtt.Subscribe[mqtt.Message[Any]])
assert_type(broker.subscribe("t", decode=str), mqtt.Subscribe[mqtt.Message[str]])
assert_type(broker.subscribe("t", decode=bytes), mqtt.Subscribe[mqtt.Message[bytes]])
assert_type(broker.subscribe("t", decode=as_reading), mqtt.Subscribe[mqtt.Message[Reading]])
received = scenario("received").start().then(broker.subscribe("t", decode=as_reading).unicast())
received.map(lambda message: message.payload.level)
received.map(lambda message: message.payload.volume)  # wrong
joined = readings.inner_join(
    broker.subscribe("t", decode=as_reading),
    on=lambda r: r.device,
    having=lambda message: message.payload.device,
    timeout="5s",
)
joined.map(lambda pair: pair.right.received_at + pair.left.level)
joined.map(lambda pair: pair.right.received)  # wrong

always = broker.publish("t", "x")
readings.then(always)


async def walk(minion: Minion) -> None:
    sent = await minion.do(broker.publish("t", lambda r: {"r": r}), value=Reading("a", 1))
    assert_type(sent, mqtt.Published)
