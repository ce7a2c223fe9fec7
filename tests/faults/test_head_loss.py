"""Heads are killed, one of two or the only one, in every state of a campaign."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.cluster import Change, Cluster
from tests.faults.conftest import OpenCluster
from tests.faults.figures import epoch, measured
from tests.faults.processes import until

TAKEN_OVER_WITHIN = 5.0
LEASE = 4.0
PHASES = ("PREPARING", "ASSIGNING", "WARMUP", "RUNNING", "DRAINING", "ABORTING")


def begins(phase: str, key: Callable[[], str | None]) -> Callable[[Change], bool]:
    """Whether a commit is the first of a phase.

    A campaign is prepared from its claim to its assignment, which is too quick to be committed in between.
    """

    def is_first(change: Change) -> bool:
        if change.key != key():
            return False
        if phase == "PREPARING":
            return change.state == "SCHEDULED" and change.owner is not None
        return change.state == phase

    return is_first


async def kill_in(cluster: Cluster, phase: str) -> None:
    """One of two heads, in the moment in which its campaign enters the phase; then it is started again."""
    cluster.target.forget()
    key: str | None = None
    killed: dict[str, tuple[float, int]] = {}
    is_first = begins(phase, lambda: key)

    def kill(change: Change) -> None:
        if killed or not is_first(change):
            return
        for name, (process, _) in cluster.heads.items():
            if change.owner is not None and f"-{process.pid}-" in change.owner:
                killed[name] = process.kill(), change.epoch

    earlier = len(cluster.changes)
    cluster.on_change = kill
    started = await cluster.start()
    key = started
    for change in cluster.changes[earlier:]:  # it may have been claimed before the answer was here
        kill(change)
    if phase == "ABORTING":
        await cluster.until_load(100)
        await cluster.abort(key, hard=False)
    await until(lambda: bool(killed), f"a head should be caught in {phase}")
    ((name, (at, epoch)),) = killed.items()
    report = await cluster.ended(key)
    own = [each for each in cluster.changes if each.key == key]
    before = {each.commit for each in own if each.epoch <= epoch}
    taken_over = next(each.at for each in own if each.epoch > epoch and each.commit not in before) - at
    assert taken_over <= TAKEN_OVER_WITHIN
    check_totals(cluster, report, is_aborted=phase == "ABORTING")
    measured(f"head killed in {phase}", takeover_s=taken_over)
    cluster.on_change = None
    await cluster.head(name)
    await cluster.until_free("one", "two")


def check_totals(cluster: Cluster, report: dict[str, Any], *, is_aborted: bool = False) -> None:
    """The books are those of the target, to the last request, and nobody was lost."""
    minions, requests = report["ledger"]["minions"], report["ledger"]["requests"]
    assert requests["attempted"] == requests["ok"] == cluster.target.count()
    assert (minions["lost"], minions["restarted"]) == (0, 0)
    assert {each["state"] for each in report["factories"]} == {"ENDED"}
    assert report["campaign"]["status"] == ("ABORTED" if is_aborted else "SUCCESSFUL")
    if not is_aborted:
        assert minions["completed"] == 20
        assert report["verdict"]["value"] == "VALID", report["verdict"]["reasons"]


@pytest.mark.timeout(300)  # six campaigns, and a head that is started again after each
async def test_one_of_two_heads_is_killed_in_every_state(opened: OpenCluster) -> None:
    async with opened(requests=20) as cluster:
        await cluster.head("left")
        await cluster.head("right")
        await cluster.watch()
        await cluster.join("one", "two")
        for phase in PHASES:
            await kill_in(cluster, phase)


@pytest.mark.prove
@pytest.mark.parametrize("phase", PHASES)
async def test_one_of_two_heads_is_killed_twenty_times(opened: OpenCluster, phase: str) -> None:
    async with opened(requests=20) as cluster:
        await cluster.head("left")
        await cluster.head("right")
        await cluster.watch()
        await cluster.join("one", "two")
        for _ in range(20):
            await kill_in(cluster, phase)


async def test_a_head_that_was_frozen_finds_its_campaign_in_other_hands(opened: OpenCluster) -> None:
    async with opened(requests=60) as cluster:
        await cluster.head("left")
        await cluster.head("right")
        await cluster.watch()
        await cluster.join("one", "two")
        key = await cluster.start()
        await cluster.until_load(200)
        owner = next(each.owner for each in cluster.changes if each.key == key and each.owner)
        frozen = next(process for process, _ in cluster.heads.values() if f"-{process.pid}-" in owner)
        at = frozen.signal(signal.SIGSTOP)
        (other,) = (name for name, (process, _) in cluster.heads.items() if process is not frozen)
        cluster.heads = {other: cluster.heads[other], **cluster.heads}  # the one that answers is asked
        await until(lambda: any(each.key == key and each.epoch > 1 for each in cluster.changes), "a takeover")
        taken_over = cluster.changes[-1].at - at
        assert taken_over <= TAKEN_OVER_WITHIN
        await asyncio.sleep(1.0)
        frozen.signal(signal.SIGCONT)
        report = await cluster.ended(key)
        check_totals(cluster, report)
        assert {each.epoch for each in cluster.changes if each.key == key} == {0, 1, 2}
        measured("head frozen", takeover_s=taken_over)
        await cluster.until_free("one", "two")
        for name, (process, _) in cluster.heads.items():
            assert process.code is None, f"{name} has ended"


async def test_the_only_head_was_frozen_and_takes_nobody_for_lost(opened: OpenCluster) -> None:
    async with opened(requests=70) as cluster:
        head = await cluster.head("head")
        await cluster.join("one", "two")
        key = await cluster.start()
        await cluster.until_load(200)
        at = head.signal(signal.SIGSTOP)
        await asyncio.sleep(4.0)
        away = cluster.target.rate(at, time.monotonic())
        head.signal(signal.SIGCONT)
        check_totals(cluster, await cluster.ended(key))
        measured("only head frozen for 4 s", load_meanwhile_per_cent=100 * away / 200)
        assert away == pytest.approx(200, rel=0.1)


async def test_a_head_and_a_factory_are_killed_together(opened: OpenCluster) -> None:
    """The head that takes over finds out by itself that a factory is gone, and whose minions are left."""
    # Longer than a takeover on a busy machine: the other factory must not stop by itself.
    async with opened("-c", "head.lease=8s", requests=100) as cluster:
        await cluster.head("left")
        await cluster.head("right")
        await cluster.watch()
        _, victim = await cluster.join("one", "two")
        key = await cluster.start()
        await cluster.until_load(400)
        owner = next(each.owner for each in cluster.changes if each.key == key and each.owner)
        head = next(process for process, _ in cluster.heads.values() if f"-{process.pid}-" in owner)
        at, at_epoch = head.kill(), time.time()
        victim.kill()
        report = await cluster.ended(key)
        lost = next(each for each in report["factories"] if each["node"] == "two")
        minions, requests = report["ledger"]["minions"], report["ledger"]["requests"]
        assert lost["state"] == "LOST"
        assert minions["lost"] == minions["restarted"] == 10
        assert minions["completed"] == 20
        assert report["verdict"]["value"] == "DEGRADED"
        assert requests["ok"] <= cluster.target.count() <= requests["attempted"]
        assert requests["unknown"] <= 110
        measured(
            "head and factory killed together",
            takeover_s=next(each.at for each in cluster.changes if each.key == key and each.epoch > 1) - at,
            detection_s=epoch(lost["lost_at"]) - at_epoch,
        )


async def bring_back(opened: OpenCluster, seconds: float, requests: int) -> None:
    async with opened(requests=requests) as cluster:
        head = await cluster.head("head")
        await cluster.watch()
        await cluster.join("one", "two")
        key = await cluster.start()
        await cluster.until_load(200)
        at = head.kill()
        await asyncio.sleep(seconds)
        away = cluster.target.rate(at, time.monotonic())
        await cluster.head("head")
        report = await cluster.ended(key)
        check_totals(cluster, report)
        own = [each for each in cluster.changes if each.key == key]
        measured(
            f"only head back after {seconds:g} s",
            load_meanwhile_per_cent=100 * away / 200,
            goes_on_s=next(each.at for each in own if each.epoch > 1) - at,
        )
        assert away == pytest.approx(200, rel=0.1)


async def test_the_only_head_comes_back_and_nothing_was_lost(opened: OpenCluster) -> None:
    await bring_back(opened, 3.0, 70)


@pytest.mark.prove
@pytest.mark.parametrize("round", range(20))
async def test_the_only_head_comes_back_within_ten_seconds_twenty_times(
    opened: OpenCluster, round: int
) -> None:
    await bring_back(opened, 8.5, 150)  # and a head takes 1.4 s to start


async def leave_alone(opened: OpenCluster, lease: float, requests: int) -> None:
    async with opened("-c", f"head.lease={lease}s", requests=requests) as cluster:
        head = await cluster.head("head")
        factories = await cluster.join("one", "two")
        await cluster.start()
        await cluster.until_load(200)
        at = head.kill()
        await asyncio.sleep(lease + 1.0)
        assert cluster.target.count(at + lease + 1.0) == 0
        measured("only head never back", lease_s=lease, last_request_s=cluster.target.last - at)
        await asyncio.sleep(2.0)
        assert cluster.target.count(at + lease + 1.0) == 0
        assert all(each.code is None for each in factories)  # they wait for another head


async def test_factories_without_a_head_stop_by_themselves(opened: OpenCluster) -> None:
    await leave_alone(opened, LEASE, 150)


@pytest.mark.prove
@pytest.mark.parametrize("round", range(20))
async def test_factories_without_a_head_stop_by_themselves_twenty_times(
    opened: OpenCluster, round: int
) -> None:
    await leave_alone(opened, 15.0, 300)


async def test_meters_of_each_zone_are_what_its_factory_sent_although_a_head_was_killed(
    opened: OpenCluster,
) -> None:
    async with opened(requests=20) as cluster:
        for name in ("left", "right"):
            await cluster.head(name)
        await cluster.watch()
        await cluster.add_zones("east", "west")
        await cluster.join("one", "two", zones=("east", "west"))
        key = await cluster.start(20, zones={"east": 60, "west": 40})
        await cluster.until_load(100)
        owner = next(each.owner for each in reversed(cluster.changes) if each.key == key)
        assert owner is not None
        next(each for each, _ in cluster.heads.values() if f"-{each.pid}-" in owner).kill()
        await cluster.ended(key)
        offered = {
            zones: await offered_in(cluster, key, zones) for zones in ("", "east", "west", "east,west")
        }
        sent = {zone: cluster.target.count(sender=node) for zone, node in (("east", "one"), ("west", "two"))}
        assert sent == {"east": 240, "west": 160}
        assert offered == {**sent, "": 400, "east,west": 400}


async def offered_in(cluster: Cluster, key: str, zones: str) -> float | None:
    """The requests of all seconds, in these zones or everywhere."""
    series = {
        "displayName": "offered",
        "dataType": "METERS",
        "valueName": "requests.offered",
        "fieldName": "count",
        "aggregationOperation": "SUM",
    }
    made = await asyncio.to_thread(cluster.ask, "POST", "/data-series", series)
    reference = made["reference"]
    path = f"/time-series/aggregate?series={reference}&campaigns={key}&zones={zones}"
    answer = await asyncio.to_thread(cluster.ask, "GET", path)
    value: float | None = answer[reference]["summary"]["value"]
    return value
