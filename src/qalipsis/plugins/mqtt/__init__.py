"""MQTT for authors: `from qalipsis.plugins import mqtt`."""

from qalipsis.plugins.mqtt.records import Message, Published
from qalipsis.plugins.mqtt.spec import MqttClient, Publish, Subscribe, client

__all__ = ["Message", "MqttClient", "Publish", "Published", "Subscribe", "client"]
