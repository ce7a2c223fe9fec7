"""Whole campaigns with two worker processes: each record goes to one of them, nothing stays behind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from textwrap import dedent
from typing import Any

from qalipsis.config.loader import load
from qalipsis.reports.model import Report
from qalipsis.wiring import RunRequest, open_run
from tests.services.redis import Redis


async def run(folder: Path, source: str) -> Report:
    file = folder / "scenarios.py"
    file.write_text(dedent(source))
    configuration = load(folder, {}, ["factory.workers=2"])
    request = RunRequest(
        paths=(file,),
        settings=configuration.settings,
        properties=configuration.properties,
        check_keys=lambda keys: None,
    )
    async with asyncio.timeout(60), open_run(request, lambda live: None) as running:
        return await running.wait()


async def test_two_workers_share_a_stream(tmp_path: Path, redis_server: Redis, admin: Any, name: str) -> None:
    for number in range(400):
        admin.xadd(name, {"n": number})
    report = await run(
        tmp_path,
        f"""
        from qalipsis import profile, scenario
        from qalipsis.plugins import redis

        store = redis.client("{redis_server.url}")
        stages = profile.stages(profile.stage(100, ramp_up="1s", total="20s"))
        taking = (
            scenario("taking", minions=10, profile=stages)
            .start()
            .then(store.consume("{name}", offset="earliest").unicast(idle_timeout="2s"))
            .then(store.save(redis.sadd("{name}:taken", lambda entry: entry.fields["n"])))
        )
        """,
    )
    assert report.campaign.status == "SUCCESSFUL"
    assert admin.smembers(f"{name}:taken") == {str(number) for number in range(400)}
    assert report.ledger.requests.ok == 400, "no entry reached two workers"
    assert admin.xinfo_groups(name) == []


async def test_two_workers_share_what_a_poll_finds(
    tmp_path: Path, redis_server: Redis, admin: Any, name: str
) -> None:
    admin.sadd(name, *range(200))
    report = await run(
        tmp_path,
        f"""
        from qalipsis import scenario
        from qalipsis.plugins import redis

        store = redis.client("{redis_server.url}")
        taking = (
            scenario("taking", minions=400)
            .start()
            .then(store.poll("sscan", "{name}", every="100ms").unicast(idle_timeout="1s"))
            .then(store.save(redis.rpush("{name}:taken", lambda record: record.member)))
        )
        """,
    )
    assert report.campaign.status == "SUCCESSFUL"
    taken = admin.lrange(f"{name}:taken", 0, -1)
    assert sorted(map(int, taken)) == list(range(200))
