"""Transports to real servers, closed at the end of the test whatever happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from qalipsis.cluster.redis.address import Address, from_settings
from qalipsis.cluster.redis.transport import PATIENCE_SECONDS, RedisTransport
from qalipsis.config.secret import Secret
from qalipsis.config.settings import Redis as RedisSettings
from tests.services.redis import Redis, RedisCluster

Opener = Callable[..., Awaitable[RedisTransport]]


def address_of(service: Redis | RedisCluster) -> Address:
    if isinstance(service, Redis):
        return from_settings(RedisSettings(uri=Secret(service.url), timeout=2.0))
    return from_settings(RedisSettings(uris=tuple(map(Secret, service.urls)), timeout=2.0))


@pytest.fixture
async def opened() -> AsyncIterator[Opener]:
    """Opens transports to an address or a service."""
    async with AsyncExitStack() as stack:

        async def open_one(
            where: Address | Redis | RedisCluster, patience_seconds: float = PATIENCE_SECONDS
        ) -> RedisTransport:
            address = where if isinstance(where, Address) else address_of(where)
            transport = RedisTransport(address, patience_seconds)
            await transport.open()
            stack.push_async_callback(transport.aclose)
            return transport

        yield open_one
