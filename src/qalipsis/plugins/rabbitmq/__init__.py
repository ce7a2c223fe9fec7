"""RabbitMQ for authors: `from qalipsis.plugins import rabbitmq`."""

from qalipsis.plugins.rabbitmq.records import Message, Produced
from qalipsis.plugins.rabbitmq.spec import Consume, Produce, RabbitmqClient, Subscribe, client

__all__ = ["Consume", "Message", "Produce", "Produced", "RabbitmqClient", "Subscribe", "client"]
