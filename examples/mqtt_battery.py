"""Devices report their battery over MQTT: each reading of a file is published, and must arrive.

Run it against a broker of yours:

    qalipsis run examples/mqtt_battery.py -c mqtt.broker=mqtt://user:password@host:1883
"""

from qalipsis import profile, prop, scenario
from qalipsis.plugins import files, mqtt

broker = mqtt.client(prop("mqtt.broker", default="mqtt://127.0.0.1:1883"))

battery = (
    scenario("mqtt-battery", minions=30, profile=profile.regular("100ms", 5))
    .start()
    .then(files.csv("battery.csv", types={"level": int, "charging": bool}).unicast())
    .shelve("reading")
    # The row as it stands, as JSON. With QoS 1 the broker confirms that it has the message.
    .then(broker.publish(lambda row: f"devices/{row['device']}/battery", lambda row: row, qos=1))
    .named("publish")
    # Every worker reads the whole subscription, so that a message meets the minion that waits for it.
    .inner_join(
        broker.subscribe("devices/+/battery", qos=1),
        on=lambda context, _: context.minion["reading"]["device"],
        having=lambda message: message.payload["device"],
        timeout="5s",
    )
    .named("arrived")
    .verify(lambda context, pair: pair.right.payload == context.minion["reading"])
    .named("unchanged")
    .timer("delivery", lambda pair: pair.right.received_at - pair.left.sent)
    .should_satisfy(lambda timer: timer.percentile(95).is_less_than("1s"))
)
