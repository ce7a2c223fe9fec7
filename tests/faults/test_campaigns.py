"""Several campaigns at once, aborts in every state, and what CI starts."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import pytest

from tests.faults.cluster import Change, Cluster
from tests.faults.conftest import OpenCluster
from tests.faults.figures import measured
from tests.faults.processes import until

ABORTED_WITHIN = 10.0
QUIET_SECONDS = 1.0


def figures(report: dict[str, Any]) -> dict[str, Any]:
    """What two runs of the same campaign have in common."""
    ledger, scenario = report["ledger"], report["scenarios"][0]
    return {
        "minions": ledger["minions"],
        "passes": ledger["passes"],
        "requests": ledger["requests"],
        "zones": scenario["zones"],
        "executions": scenario["steps"][0]["executions"],
        "verdict": report["verdict"]["value"],
        "factories": [(each["node"], each["ledger"]) for each in report["factories"]],
    }


async def test_two_campaigns_at_once_are_each_as_if_alone_and_a_third_one_waits(opened: OpenCluster) -> None:
    async with opened(requests=20) as cluster:
        await cluster.head("left")
        await cluster.head("right")
        await cluster.watch()
        await cluster.add_zones("east", "west")
        await cluster.join("one", "two", zones=("east", "west"))
        east, west = (partial(cluster.start, zones={zone: 100}) for zone in ("east", "west"))
        alone = [figures(await cluster.ended(await start(15))) for start in (east, west)]
        await cluster.until_free("one", "two")
        cluster.target.forget()
        keys = [await east(15), await west(15)]
        third = await east(10)
        await cluster.until_load(100)
        assert (await cluster.details(third))["status"] == "QUEUED"
        together = [figures(await cluster.ended(key)) for key in keys]
        assert together == alone
        last = figures(await cluster.ended(third))
        assert last["requests"]["ok"] == 200
        assert cluster.target.count(sender="one") == 500
        assert cluster.target.count(sender="two") == 300
        began = {key: first(cluster, key, "RUNNING") for key in (*keys, third)}
        ended = {key: first(cluster, key, "COMPLETED") for key in keys}
        assert max(began[key] for key in keys) < min(ended.values())
        assert began[third] > ended[keys[0]]


def first(cluster: Cluster, key: str, state: str) -> float:
    return next(each.at for each in cluster.changes if each.key == key and each.state == state)


@pytest.mark.parametrize("hard", [False, True])
async def test_an_abort_in_each_state_and_a_second_one_end_it_soon(opened: OpenCluster, hard: bool) -> None:
    async with opened(requests=20) as cluster:
        await cluster.head("head")
        await cluster.watch()
        await cluster.join("one", "two")
        for state in ("SCHEDULED", "ASSIGNING", "WARMUP", "RUNNING", "ABORTING", "DRAINING"):
            await abort_in(cluster, state, hard)


async def abort_in(cluster: Cluster, state: str, hard: bool) -> None:
    """Twice, as soon as the state is heard of."""
    cluster.target.forget()
    tasks: list[asyncio.Task[None]] = []
    at: list[float] = []

    async def abort_twice(key: str) -> None:
        at.append(time.monotonic())
        await cluster.abort(key, hard=hard)
        await cluster.abort(key, hard=hard)

    def hear(change: Change) -> None:
        if change.state == state and not at and not tasks:
            tasks.append(asyncio.create_task(abort_twice(change.key)))

    cluster.on_change = hear
    key = await cluster.start()
    if state == "ABORTING":
        await cluster.until_load(100)
        await cluster.abort(key, hard=False)
    await until(lambda: bool(tasks) and tasks[0].done(), f"{state} should be seen")
    await tasks[0]
    cluster.on_change = None
    await until(lambda: cluster.is_over(key), f"{key} should end")
    took = time.monotonic() - at[0]
    assert took <= ABORTED_WITHIN
    over_at = time.monotonic()
    await asyncio.sleep(QUIET_SECONDS)
    assert cluster.target.count(over_at) == 0
    ended = await cluster.state(key)
    details = await cluster.details(key)
    # Once the last minion has ended there is nothing to abort.
    assert ended == ("COMPLETED" if state == "DRAINING" else "ABORTED"), (state, ended)
    assert details["status"] == ("SUCCESSFUL" if state == "DRAINING" else "ABORTED"), details
    if ended != "ABORTED" or details["verdict"] is not None:
        report = await cluster.ended(key)
        requests = report["ledger"]["requests"]
        sent = cluster.target.count()
        assert requests["ok"] <= sent <= requests["attempted"]
        if not hard:
            assert requests["attempted"] == sent
    measured(f"{'hard' if hard else 'soft'} abort in {state}", took_s=took)
    await cluster.until_free("one", "two")


@pytest.mark.parametrize(("loses", "code"), [(False, 0), (True, 3)])
async def test_ci_gets_the_exit_code_of_the_campaign_and_the_factories_end(
    opened: OpenCluster, loses: bool, code: int
) -> None:
    short = ("-c", "head.lease=4s")
    async with opened(*short, requests=30) as cluster:
        head = cluster.autostart(
            "head", "-c", "campaign.required-factories=2", "-s", "walk", "-c", "campaign.name=nightly"
        )
        factories = [cluster.factory(node) for node in ("one", "two")]
        if loses:
            await cluster.until_load(400)
            factories[1].kill()
        assert await head.ended(60.0) == code
        assert await factories[0].ended() == 0
        if not loses:
            assert await factories[1].ended() == 0
            assert cluster.target.count() == 600
        assert ("two" in head.log) == loses or "nightly" in head.log
        await check_nothing_is_left(cluster)


async def check_nothing_is_left(cluster: Cluster) -> None:
    for process in cluster.processes:
        await process.ended()
