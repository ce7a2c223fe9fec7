"""The promise of a transport, kept by streams of Redis."""

from __future__ import annotations

from itertools import count

import pytest

from qalipsis.cluster.redis.transport import RedisTransport
from qalipsis.cluster.transport import Transport
from qalipsis.testing.chaos import ChaosTransport
from qalipsis.testing.transport import CHECKS, Check, run_check
from tests.services.redis import Redis, RedisCluster

from .conftest import address_of

every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
seeds = count(1)


@every_check
async def test_a_server_keeps_it(redis_server: Redis, check: Check) -> None:
    async def open_redis() -> Transport:
        transport = RedisTransport(address_of(redis_server))
        await transport.open()
        return transport

    await run_check(check, open_redis)


@every_check
async def test_a_cluster_keeps_it(redis_cluster: RedisCluster, check: Check) -> None:
    async def open_redis() -> Transport:
        transport = RedisTransport(address_of(redis_cluster))
        await transport.open()
        return transport

    await run_check(check, open_redis)


@every_check
async def test_a_server_with_chaos_before_it_keeps_it(redis_server: Redis, check: Check) -> None:
    async def open_chaos() -> Transport:
        transport = RedisTransport(address_of(redis_server))
        await transport.open()
        return ChaosTransport(transport, next(seeds))

    await run_check(check, open_chaos)
