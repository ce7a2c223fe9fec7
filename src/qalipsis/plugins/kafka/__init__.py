"""Kafka: `kafka.produce(...)` sends records, `kafka.consume(...)` reads them."""

from qalipsis.plugins.kafka.record import Headers, Produced, Record
from qalipsis.plugins.kafka.security import Plain, Scram, Tls, plain, scram, tls
from qalipsis.plugins.kafka.spec import Cluster, ConsumeSpec, ProduceSpec, cluster, consume, produce

__all__ = [
    "Cluster",
    "ConsumeSpec",
    "Headers",
    "Plain",
    "ProduceSpec",
    "Produced",
    "Record",
    "Scram",
    "Tls",
    "cluster",
    "consume",
    "plain",
    "produce",
    "scram",
    "tls",
]
