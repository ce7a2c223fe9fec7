"""The services as pytest fixtures, each started for the first test that asks for it.

What is not installed skips its tests, and fails them where `CI=true`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.services.home import ServiceMissing
from tests.services.kafka import Kafka
from tests.services.mosquitto import Mosquitto
from tests.services.offer import KAFKA, MOSQUITTO, POSTGRES, RABBITMQ, REDIS, REDIS_CLUSTER, Offer, Service
from tests.services.postgres import Postgres
from tests.services.rabbitmq import Rabbitmq
from tests.services.redis import Redis, RedisCluster


def provided(offer: Offer[Service]) -> Iterator[Service]:
    """The body of a fixture."""
    with ExitStack() as stack:
        try:
            service = stack.enter_context(offer.taken())
        except ServiceMissing as missing:
            if os.environ.get("CI") == "true":
                pytest.fail(str(missing), pytrace=False)
            pytest.skip(f"{missing}, or set {offer.variable}")
        yield service


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    yield from provided(POSTGRES)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    yield from provided(REDIS)


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    yield from provided(REDIS_CLUSTER)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Rabbitmq]:
    yield from provided(RABBITMQ)


@pytest.fixture(scope="session")
def mosquitto() -> Iterator[Mosquitto]:
    yield from provided(MOSQUITTO)


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[Kafka]:
    yield from provided(KAFKA)
