"""Which services there are, and how each is had."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tests.services.kafka import Kafka, running_kafka
from tests.services.mosquitto import Mosquitto, running_mosquitto
from tests.services.postgres import Postgres, running_postgres
from tests.services.rabbitmq import Rabbitmq, running_rabbitmq
from tests.services.redis import Redis, RedisCluster, running_redis, running_redis_cluster


class Reachable(Protocol):
    """What every service tells about itself."""

    @property
    def urls(self) -> tuple[str, ...]: ...


Service = TypeVar("Service", bound=Reachable, covariant=True)


@dataclass(frozen=True, slots=True)
class Offer(Generic[Service]):
    """One service: `running` starts it, unless the environment variable `variable` names an existing one."""

    name: str
    variable: str
    existing: Callable[[str], Service]
    running: Callable[[], AbstractContextManager[Service]]

    @contextmanager
    def taken(self) -> Iterator[Service]:
        """The existing service, or one of our own that ends with the block."""
        if address := os.environ.get(self.variable):
            yield self.existing(address)
        else:
            with self.running() as service:
                yield service


POSTGRES = Offer("postgres", "QALIPSIS_TEST_POSTGRES_URL", Postgres.from_url, running_postgres)
REDIS = Offer("redis", "QALIPSIS_TEST_REDIS_URL", Redis.from_url, running_redis)
REDIS_CLUSTER = Offer(
    "redis-cluster", "QALIPSIS_TEST_REDIS_CLUSTER_URLS", RedisCluster.from_urls, running_redis_cluster
)
RABBITMQ = Offer("rabbitmq", "QALIPSIS_TEST_RABBITMQ_URL", Rabbitmq.from_url, running_rabbitmq)
MOSQUITTO = Offer("mosquitto", "QALIPSIS_TEST_MQTT_URL", Mosquitto.from_url, running_mosquitto)
KAFKA = Offer("kafka", "QALIPSIS_TEST_KAFKA_BOOTSTRAP", Kafka.from_bootstrap, running_kafka)

OFFERS: tuple[Offer[Reachable], ...] = (POSTGRES, REDIS, REDIS_CLUSTER, RABBITMQ, MOSQUITTO, KAFKA)
