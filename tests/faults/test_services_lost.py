"""Redis and PostgreSQL are restarted, wiped and frozen in mid-run: the load goes on, and nothing is lost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis as RedisClient

from tests.faults.cluster import Cluster
from tests.faults.conftest import OpenCluster
from tests.faults.figures import measured

PLAN = 200
AWAY_SECONDS = 2.0
FROZEN_SECONDS = 4.0
"""Longer than a factory may be silent, and shorter than any request to Redis takes to fail."""
WAYS = ("restarted", "wiped", "restarted and wiped")
SERIES = pytest.mark.parametrize("round", range(20))


def check_exact(cluster: Cluster, report: dict[str, Any], since: float, until: float) -> None:
    """The books are those of the target, nobody was lost, and the load went on all the time."""
    minions, requests = report["ledger"]["minions"], report["ledger"]["requests"]
    assert requests["attempted"] == requests["ok"] == cluster.target.count()
    assert (minions["completed"], minions["lost"], minions["restarted"]) == (20, 0, 0)
    assert {each["state"] for each in report["factories"]} == {"ENDED"}
    assert report["verdict"]["value"] == "VALID", report["verdict"]["reasons"]
    assert report["campaign"]["status"] == "SUCCESSFUL"
    assert cluster.target.rate(since, until) == pytest.approx(PLAN, rel=0.1)


def check_seconds(report: dict[str, Any], requests: int) -> None:
    """Each second was told once: together they are all that was sent."""
    assert sum(each["achieved_per_s"] for each in report["timeline"]) == requests
    moments = [each["t_s"] for each in report["timeline"]]
    assert moments == sorted(set(moments))


async def check_outage(cluster: Cluster, key: str, what: str, at: float) -> None:
    """What was away since then is back, and the campaign, to its end, shows nothing of it."""
    back = time.monotonic()
    await asyncio.sleep(1.0)
    report = await cluster.ended(key)
    check_exact(cluster, report, at, back + 1.0)
    check_seconds(report, cluster.target.count())
    measured(
        what,
        away_s=back - at,
        load_meanwhile_per_cent=100 * cluster.target.rate(at, back + 1.0) / PLAN,
        lost=report["ledger"]["requests"]["attempted"] - cluster.target.count(),
    )


async def lose_redis(opened: OpenCluster, how: str) -> None:
    async with opened(requests=70) as cluster:
        await cluster.head("head")
        await cluster.join("one", "two")
        key = await cluster.start()
        await cluster.until_load(400)
        at = time.monotonic()
        if "wiped" in how:
            async with RedisClient.from_url(cluster.redis_url) as client:
                await client.flushall()
        if "restarted" in how:
            cluster.redis.kill()
            await asyncio.sleep(AWAY_SECONDS)
            cluster.redis.start()
            if "wiped" in how:
                async with RedisClient.from_url(cluster.redis_url) as client:
                    await client.flushall()
        await check_outage(cluster, key, f"Redis {how}", at)
        await cluster.until_free("one", "two")


@pytest.mark.parametrize("how", ["wiped", "restarted and wiped"])
async def test_redis_is_lost_and_nothing_with_it(opened: OpenCluster, how: str) -> None:
    await lose_redis(opened, how)


@pytest.mark.prove
@SERIES
@pytest.mark.parametrize("how", WAYS)
async def test_redis_is_lost_twenty_times(opened: OpenCluster, how: str, round: int) -> None:
    await lose_redis(opened, how)


async def freeze_redis(opened: OpenCluster, seconds: float) -> None:
    """Its connections stay open: no factory is silent, but none is heard."""
    async with opened(requests=int(10 * (seconds + 5))) as cluster:
        await cluster.head("head")
        await cluster.join("one", "two")
        key = await cluster.start()
        await cluster.until_load(400)
        at = time.monotonic()
        cluster.redis.freeze()
        try:
            await asyncio.sleep(seconds)
        finally:
            cluster.redis.thaw()
        await check_outage(cluster, key, f"Redis frozen for {seconds:g} s", at)
        await cluster.until_free("one", "two")


@pytest.mark.parametrize("seconds", [FROZEN_SECONDS, 7.0], ids=["shorter", "longer than a request may take"])
async def test_redis_is_frozen_and_nobody_is_taken_for_lost(opened: OpenCluster, seconds: float) -> None:
    await freeze_redis(opened, seconds)


@pytest.mark.prove
@SERIES
async def test_redis_is_frozen_twenty_times(opened: OpenCluster, round: int) -> None:
    await freeze_redis(opened, FROZEN_SECONDS)


async def lose_postgres(opened: OpenCluster) -> None:
    async with opened(requests=70) as cluster:
        await cluster.head("left")
        await cluster.head("right")
        await cluster.join("one", "two")
        key = await cluster.start()
        await cluster.until_load(400)
        at = time.monotonic()
        cluster.postgres.kill()
        await asyncio.sleep(AWAY_SECONDS)
        cluster.postgres.start()
        await check_outage(cluster, key, "PostgreSQL restarted", at)
        await cluster.until_free("one", "two")


async def test_postgresql_is_restarted_and_nothing_is_lost(opened: OpenCluster) -> None:
    await lose_postgres(opened)


async def test_a_password_that_is_changed_is_an_outage_that_ends_with_it(opened: OpenCluster) -> None:
    """The heads go on, and say in their logs what is to be corrected."""
    async with opened(requests=70) as cluster:
        heads = [await cluster.head("left"), await cluster.head("right")]
        await cluster.join("one", "two")
        key = await cluster.start()
        await cluster.until_load(400)
        at = time.monotonic()
        administrator = await asyncpg.connect(cluster.postgres.url)
        change = f"ALTER ROLE {cluster.postgres.user} PASSWORD"
        try:
            await administrator.execute(f"{change} 'another one'")
            await administrator.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'qalipsis'"
            )
            await asyncio.sleep(AWAY_SECONDS)
        finally:
            await administrator.execute(f"{change} '{cluster.postgres.password}'")
            await administrator.close()
        await check_outage(cluster, key, "the password of PostgreSQL changed", at)
        for head in heads:
            assert "check datasource.username and datasource.password" in head.log
        await cluster.until_free("one", "two")


@pytest.mark.prove
@SERIES
async def test_postgresql_is_restarted_twenty_times(opened: OpenCluster, round: int) -> None:
    await lose_postgres(opened)
