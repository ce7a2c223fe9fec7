"""The loop that workers run on, and what the tests of Redis share."""

from __future__ import annotations

import asyncio
import gc
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as driver
import uvloop

from qalipsis.plugins import redis
from qalipsis.plugins.redis import RedisClient
from tests.services.redis import Redis, RedisCluster


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that workers run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def store(redis_server: Redis) -> RedisClient[str]:
    return redis.client(redis_server.url, timeout="5s")


@pytest.fixture
def admin(redis_server: Redis) -> Iterator[Any]:
    """A plain client of the server, to prepare and to look."""
    client = driver.Redis.from_url(redis_server.url, decode_responses=True, socket_timeout=10)
    yield client
    client.close()


@pytest.fixture
def cluster_store(redis_cluster: RedisCluster) -> RedisClient[str]:
    return redis.client(redis_cluster.urls, timeout="15s")


@pytest.fixture
def cluster_admin(redis_cluster: RedisCluster) -> Iterator[Any]:
    client = driver.RedisCluster.from_url(redis_cluster.urls[0], decode_responses=True)
    yield client
    client.close()


@pytest.fixture
def name() -> str:
    """A key of this test alone: the same server serves them all."""
    return f"test:{secrets.token_hex(6)}"


@pytest.fixture(autouse=True)
def leaks_warn() -> Iterator[None]:
    """What was leaked warns now, and warnings are errors."""
    yield
    gc.collect()
