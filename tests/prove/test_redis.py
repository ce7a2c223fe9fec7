"""Half a minute of all that may happen to Redis and to heads, five times: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from random import Random

import pytest
from redis.asyncio import Redis as Client
from redis.exceptions import RedisError

from qalipsis.cluster import topics
from qalipsis.cluster.codec import Sender
from qalipsis.cluster.inbox import Inbox, Letter
from qalipsis.cluster.messages import SnapshotTaken
from qalipsis.cluster.publisher import Publisher
from qalipsis.cluster.redis.address import from_settings
from qalipsis.cluster.redis.transport import RedisTransport
from qalipsis.config.secret import Secret
from qalipsis.config.settings import Redis as RedisSettings
from qalipsis.errors import ServiceUnavailable
from qalipsis.testing.chaos import ChaosTransport
from tests.services.redis import Redis, running_redis

pytestmark = pytest.mark.prove

SECONDS = 30.0
SETTLED_WITHIN = 40.0
FACTORIES = 4


class Storm:
    """Factories that report, heads that come and go, and a Redis that has a hard time."""

    def __init__(self, redis: Redis, seed: int) -> None:
        self.committed: dict[str, int] = {}
        self.said: dict[str, int] = {}
        self._redis = redis
        self._random = Random(seed)
        self._topic = topics.feedback(f"storm-{seed}")
        self._ends_at = time.monotonic() + SECONDS
        self._opened: list[RedisTransport] = []

    async def rage(self) -> None:
        try:
            heads = asyncio.create_task(self._heads())
            factories = (self._factory(f"factory-{number}") for number in range(FACTORIES))
            await asyncio.gather(*factories, self._faults())
            await asyncio.wait_for(heads, SETTLED_WITHIN)
        finally:
            for transport in self._opened:
                await transport.aclose()

    async def _open(self) -> RedisTransport:
        while True:
            settings = RedisSettings(uri=Secret(self._redis.url), timeout=2.0)
            transport = RedisTransport(from_settings(settings))
            with suppress(ServiceUnavailable):
                await transport.open()
                self._opened.append(transport)
                return transport
            await asyncio.sleep(0.1)

    async def _factory(self, name: str) -> None:
        publisher = Publisher(await self._open(), Sender(name, 1))
        while time.monotonic() < self._ends_at:
            for _ in range(self._random.randint(1, 30)):
                size = self._random.choice((1, 1000, 50_000))
                await publisher.say(self._topic, SnapshotTaken(worker=0, piece=0, pieces=1, data=bytes(size)))
            await asyncio.sleep(self._random.random() * 0.02)
        self.said[name] = publisher.sequence

    async def _heads(self) -> None:
        while len(self.said) < FACTORIES or self.committed != self.said:
            transport = await self._open()
            chaos = ChaosTransport(transport, self._random.randrange(1 << 30))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._random.uniform(0.3, 3.0)):
                    await self._head(Inbox(chaos, self._topic))
            if self._random.random() < 0.5:
                await chaos.aclose()  # the others go on reading until they notice that they are replaced

    async def _head(self, inbox: Inbox) -> None:
        unacknowledged: list[Letter] = []
        async for letter in inbox.letters():
            source, sequence = letter.received.source, letter.received.sequence
            last = self.committed.get(source, 0)
            if sequence > last:
                assert sequence == last + 1
                self.committed[source] = sequence
            unacknowledged.append(letter)
            if self._random.random() < 0.1:
                self._random.shuffle(unacknowledged)
                for each in unacknowledged:
                    each.acknowledge()
                unacknowledged.clear()
            if self._random.random() < 0.0005:
                await asyncio.sleep(0.3)

    async def _faults(self) -> None:
        while time.monotonic() < self._ends_at - 1:
            await asyncio.sleep(self._random.uniform(0.5, 1.5))
            fault = self._random.choice(("wipe", "connections", "crash"))
            if fault == "crash":
                await asyncio.to_thread(self._redis.kill)
                await asyncio.to_thread(self._redis.start)
                continue
            with suppress(RedisError):  # it may still be loading what it had
                async with Client.from_url(self._redis.url) as client:
                    if fault == "wipe":
                        await client.flushall()
                    else:
                        await client.client_kill_filter(skipme=True)


@pytest.mark.parametrize("seed", range(5))
async def test_every_message_takes_effect_once_and_in_order_in_a_storm(seed: int) -> None:
    with running_redis() as redis:
        storm = Storm(redis, seed)
        await storm.rage()
    print(f"seed {seed}: {sum(storm.committed.values())} messages")
    assert storm.committed == storm.said
