"""Factories and their workers are killed and frozen in mid-run."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

import pytest

from tests.faults.cluster import BEATS_PER_SECOND, Cluster
from tests.faults.conftest import OpenCluster
from tests.faults.figures import epoch, measured

DETECTED_WITHIN = 3.0
LEASE = 4.0
SHORT = ("-c", f"head.lease={LEASE}s")
ACCEPTING = ("-c", "campaign.accept-redistribution=true")
PLAN = 20 * BEATS_PER_SECOND
"""Requests in a second while all minions walk."""
HALF = 10
"""Minions of each of two factories."""
SERIES = pytest.mark.parametrize("round", range(20))


def requests_of(report: dict[str, Any]) -> dict[str, int]:
    counts: dict[str, int] = report["ledger"]["requests"]
    return counts


def factory_of(report: dict[str, Any], node: str) -> dict[str, Any]:
    return next(each for each in report["factories"] if each["node"] == node)


async def test_a_killed_worker_is_named_and_its_minions_are_started_again(opened: OpenCluster) -> None:
    async with opened(requests=40) as cluster:
        await cluster.head("head")
        (factory,) = await cluster.join("one", workers=2)
        key = await cluster.start()
        await cluster.until_load(200)
        worker = factory.family[-1]
        killed_at = time.time()
        os.kill(worker, signal.SIGKILL)
        report = await cluster.ended(key)
        minions, requests = report["ledger"]["minions"], requests_of(report)
        assert minions["lost"] == minions["restarted"] == 10
        assert minions["completed"] == 20
        lost = next(each for each in factory_of(report, "one")["worker_details"] if each["pid"] == worker)
        assert lost["state"] == "LOST"
        assert str(worker) in " ".join(report["verdict"]["reasons"])
        assert report["verdict"]["value"] == "DEGRADED"
        # What it counted before it sent is exact, whatever became of the requests under way.
        assert 0 <= requests["attempted"] - cluster.target.count() <= 10
        measured("worker killed", detection_s=epoch(lost["lost_at"]) - killed_at)


async def kill_a_factory(opened: OpenCluster) -> None:
    async with opened(*SHORT, *ACCEPTING, requests=80) as cluster:
        await cluster.head("head")
        _, victim = await cluster.join("one", "two")
        key = await cluster.start()
        await cluster.until_load(400)
        at_epoch = time.time()
        at = victim.kill()
        report = await cluster.ended(key)
        await victim.ended()
        lost = factory_of(report, "two")
        detection = epoch(lost["lost_at"]) - at_epoch
        assert detection <= DETECTED_WITHIN
        minions = report["ledger"]["minions"]
        assert minions["lost"] == minions["restarted"] == 10
        assert minions["completed"] == 20
        assert report["verdict"]["value"] == "VALID"
        assert "two" in " ".join(report["verdict"]["reasons"])
        check_unknown(cluster, report, "two")
        restarted_at = restart_of(cluster, at)
        back = cluster.target.rate(restarted_at + 0.3, restarted_at + 1.3)
        assert back == pytest.approx(PLAN, rel=0.1)
        measured(
            "factory killed",
            detection_s=detection,
            restart_s=restarted_at - at,
            unknown=requests_of(report)["unknown"],
            load_after_per_cent=100 * back / PLAN,
        )


def check_unknown(cluster: Cluster, report: dict[str, Any], lost: str) -> None:
    """What nobody counted is estimated: a second of the lost factory's rate, and what was under way."""
    for factory in report["factories"]:
        node, requests = factory["node"], factory["ledger"]["requests"]
        sent = cluster.target.count(sender=node)
        if node == lost:
            assert requests["unknown"] <= HALF * BEATS_PER_SECOND + HALF
            assert requests["ok"] <= sent <= requests["attempted"] + HALF
        else:
            assert (requests["unknown"], requests["attempted"]) == (0, sent)


def restart_of(cluster: Cluster, killed_at: float) -> float:
    """When the load rose again: a second after the kill only half of the minions walk."""
    moments = (killed_at + 1 + tenth / 10 for tenth in range(150))
    return next(at for at in moments if cluster.target.rate(at, at + 0.2) > 0.75 * PLAN)


async def test_a_factory_that_was_killed_just_before_a_campaign_takes_no_part(opened: OpenCluster) -> None:
    """Nobody knows yet that it is gone when the factories are chosen."""
    async with opened(requests=20) as cluster:
        await cluster.head("head")
        _, victim = await cluster.join("one", "two")
        victim.kill()
        at = time.monotonic()
        key = await cluster.start()
        await cluster.until_load()
        begun = time.monotonic()
        report = await cluster.ended(key)
        requests = requests_of(report)
        assert requests["attempted"] == requests["ok"] == cluster.target.count() > 0
        assert report["ledger"]["minions"]["completed"] == 20
        assert (report["campaign"]["status"], report["verdict"]["value"]) == ("SUCCESSFUL", "VALID")
        assert [each["node"] for each in report["factories"]] == ["one"]
        texts = [each["text"] for each in report["scenarios"][0]["messages"]]
        assert any("factory two was lost" in text and "began anew without it" in text for text in texts)
        measured("factory killed just before a campaign", first_request_s=begun - at)
        await cluster.until_free("one")


async def test_a_killed_factory_is_named_and_its_minions_are_started_elsewhere(opened: OpenCluster) -> None:
    await kill_a_factory(opened)


@pytest.mark.prove
@SERIES
async def test_a_killed_factory_twenty_times(opened: OpenCluster, round: int) -> None:
    await kill_a_factory(opened)


@pytest.mark.parametrize(("choice", "status"), [("continue", "SUCCESSFUL"), ("abort", "ABORTED")])
async def test_the_minions_of_a_lost_factory_stay_lost_where_that_was_chosen(
    opened: OpenCluster, choice: str, status: str
) -> None:
    async with opened("-c", f"campaign.on-factory-loss={choice}", requests=50) as cluster:
        await cluster.head("head")
        _, victim = await cluster.join("one", "two")
        key = await cluster.start()
        await cluster.until_load(400)
        at_epoch, at = time.time(), victim.kill()
        report = await cluster.ended(key)
        minions = report["ledger"]["minions"]
        assert (minions["lost"], minions["restarted"]) == (10, 0)
        assert report["campaign"]["status"] == status
        assert report["verdict"]["value"] == "DEGRADED"
        assert factory_of(report, "two")["state"] == "LOST"
        check_unknown(cluster, report, "two")
        measured(
            f"factory killed, {choice}",
            detection_s=epoch(factory_of(report, "two")["lost_at"]) - at_epoch,
            last_request_s=cluster.target.last - at,
        )


async def freeze_a_factory(opened: OpenCluster, seconds: float, requests: int, *options: str) -> None:
    """Frozen for longer than its lease: by then its minions walk elsewhere."""
    async with opened(*options, requests=requests, seconds=2) as cluster:
        await cluster.head("head")
        _, victim = await cluster.join("one", "two")
        key = await cluster.start()
        await cluster.until_load(400)
        at_epoch, at = time.time(), victim.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        resumed_at = victim.signal(signal.SIGCONT)
        report = await cluster.ended(key)
        late = cluster.target.count(resumed_at, sender="two")
        assert late <= 1
        # A tenth more than planned is what a delay of 100 ms moves from one second into the next.
        peak = cluster.target.peak()
        assert peak <= 1.1 * PLAN
        lost = factory_of(report, "two")
        assert lost["state"] == "LOST"
        minions = report["ledger"]["minions"]
        # It came back, and tells what it interrupted itself.
        assert minions["lost"] + minions["aborted"] == minions["restarted"] == HALF
        assert minions["completed"] == 20
        # What it had sent is known as well, to the last request.
        attempted = lost["ledger"]["requests"]["attempted"]
        assert abs(attempted - cluster.target.count(sender="two")) <= HALF
        restarted_at = restart_of(cluster, at)
        await cluster.until_free("one", "two")
        cluster.target.forget()
        again = await cluster.ended(
            await cluster.start(20, "arrive")
        )  # whoever comes back works again, at once
        assert requests_of(again)["ok"] == cluster.target.count() == 200
        assert again["verdict"]["value"] == "VALID"
        measured(
            f"factory frozen for {seconds:g} s",
            detection_s=epoch(lost["lost_at"]) - at_epoch,
            restart_s=restarted_at - at,
            sends_after=late,
            peak_per_cent=100 * peak / PLAN,
        )


async def test_a_factory_that_was_frozen_sends_nothing_more(opened: OpenCluster) -> None:
    await freeze_a_factory(opened, 6.0, 90, *SHORT)


@pytest.mark.prove
@SERIES
async def test_a_factory_frozen_for_20_s_twenty_times(opened: OpenCluster, round: int) -> None:
    await freeze_a_factory(opened, 20.0, 230)


async def test_a_second_factory_of_the_same_name_is_refused(opened: OpenCluster) -> None:
    async with opened(requests=10) as cluster:
        await cluster.head("head")
        await cluster.join("one")
        at = time.monotonic()
        second = cluster.factory("one", name="second")
        assert await second.ended() == 64
        assert "another factory works as node one already" in second.log
        measured("second factory of a name", refused_s=time.monotonic() - at)
        report = await cluster.ended(await cluster.start())
        assert requests_of(report)["ok"] == cluster.target.count() == 200
