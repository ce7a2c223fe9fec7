"""A broker with topics of each test's own, and the means to drive single steps, readers and scenarios."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
import uvloop
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from tests.services.kafka import Kafka

from .bench import Bench, make_topics

MakeTopic = Callable[..., Awaitable[str]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that workers run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def admin(kafka_broker: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def make_topic(admin: AIOKafkaAdminClient) -> MakeTopic:
    """`name = await make_topic(partitions=3)`; a name of its own, unless the test gives one."""

    async def make(name: str = "", partitions: int = 1, **config: str) -> str:
        name = name or f"topic-{uuid4().hex[:12]}"
        await make_topics(admin, NewTopic(name, partitions, 1, topic_configs=config))
        return name

    return make


@pytest.fixture
async def topic(make_topic: MakeTopic) -> str:
    return await make_topic()


@pytest.fixture
def add_partitions(admin: AIOKafkaAdminClient) -> Callable[[str, int], Awaitable[object]]:
    async def add(topic: str, total: int) -> None:
        await admin.create_partitions({topic: NewPartitions(total)})

    return add


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.aclose()
    attempted, ok, error = bench.books
    assert attempted == ok + error, "the books of the requests do not close"
    gc.collect()  # what was leaked warns now, and warnings are errors
