"""The services as pytest fixtures, each started for the first test that asks for it.

An environment variable points the tests at a server that exists already. What is not installed skips its tests,
and fails them where `CI=true`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest

from tests.services.home import ServiceMissing
from tests.services.mosquitto import Mosquitto, running_mosquitto
from tests.services.postgres import Postgres, running_postgres
from tests.services.rabbitmq import Rabbitmq, running_rabbitmq
from tests.services.redis import Redis, RedisCluster, running_redis, running_redis_cluster

Service = TypeVar("Service")


def provided(
    variable: str, existing: Callable[[str], Service], running: Callable[[], AbstractContextManager[Service]]
) -> Iterator[Service]:
    """The server that the environment variable names, or one of our own."""
    if address := os.environ.get(variable):
        yield existing(address)
        return
    with ExitStack() as stack:
        try:
            service = stack.enter_context(running())
        except ServiceMissing as missing:
            if os.environ.get("CI") == "true":
                pytest.fail(str(missing), pytrace=False)
            pytest.skip(f"{missing}, or set {variable}")
        yield service


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    yield from provided("QALIPSIS_TEST_POSTGRES_URL", Postgres.from_url, running_postgres)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    yield from provided("QALIPSIS_TEST_REDIS_URL", Redis.from_url, running_redis)


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    yield from provided("QALIPSIS_TEST_REDIS_CLUSTER_URLS", RedisCluster.from_urls, running_redis_cluster)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Rabbitmq]:
    yield from provided("QALIPSIS_TEST_RABBITMQ_URL", Rabbitmq.from_url, running_rabbitmq)


@pytest.fixture(scope="session")
def mosquitto() -> Iterator[Mosquitto]:
    yield from provided("QALIPSIS_TEST_MQTT_URL", Mosquitto.from_url, running_mosquitto)
