"""Several heads with one store: every campaign is driven by one of them, and served by all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, cast

import pytest

from qalipsis.cluster.accompanied import accompanied
from qalipsis.errors import CampaignRefused, ServiceUnavailable
from qalipsis.head.campaign_configuration import CampaignConfiguration, from_kept
from qalipsis.head.campaign_list import CampaignRecord, NewCampaign, moment
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.live_stream import StateEntered
from qalipsis.head.memory_store import MemoryStore
from qalipsis.head.orchestrator import Orchestrator
from qalipsis.head.ownership import Claim, Commit
from qalipsis.head.reception import Reception
from qalipsis.head.service import CampaignService, UnknownCampaign
from qalipsis.head.zones import Zone
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.reports.live import Live
from tests.head.api.desk import Desk
from tests.head.api.desk import configuration as desk_configuration
from tests.head.stage import LEASE, MortalStore, Stage, WalkingFactory, clock_of_loop, virtual

MINIONS = 12
SHOP = ScenarioDescriptor(name="shop", minions=MINIONS, profile="immediate")


def asked(**changes: Any) -> CampaignConfiguration:
    return from_kept(
        {"name": "a campaign", "scenarios": {"shop": {"minionsCount": MINIONS}}, "startOffsetMs": 0} | changes
    )


class Head:
    """One head of the cluster, which serves from the start."""

    def __init__(self, cluster: Cluster, name: str, incarnation: int) -> None:
        self.name = name
        self.store = MortalStore(cluster.store, 10**9, has_effect=False)
        office = cluster.office_of(name, store=self.store)
        self.service = CampaignService(
            office,
            CampaignRequest(key="", name=None, seed=1, grace=5.0),
            lambda tenure, request, watch: Orchestrator(office, tenure, request, watch),
            is_alone=False,
            now=lambda: cluster.now,
        )
        reception = Reception(office, incarnation)
        self.task = asyncio.ensure_future(accompanied(self.service.serve(), reception.serve()))

    async def die(self) -> None:
        """It ends in the middle of whatever it does."""
        self.store.kill()
        while not self.task.done():
            self.task.cancel()
            await asyncio.wait([self.task], timeout=0.01)

    async def start(self, **changes: Any) -> str:
        return (await self.service.start(asked(**changes), "anna")).key


class Cluster(Stage):
    """Two heads, and the factories `a` in zone east and `b` in zone west."""

    def __init__(self, seconds: int = 6) -> None:
        super().__init__(SHOP, lease=LEASE)
        self.a, self.b = (
            WalkingFactory(self.transport, SHOP, node=node, zone=zone, seconds=seconds)
            for node, zone in (("a", "east"), ("b", "west"))
        )
        self.heads: list[Head] = []

    @property
    def now(self) -> Any:
        return moment(self.clock.epoch(self.clock.now()))

    def open_head(self, name: str) -> Head:
        self.heads.append(Head(self, name, len(self.heads) + 1))
        return self.heads[-1]

    async def record(self, key: str) -> CampaignRecord:
        record = await self.store.campaign(key)
        assert record is not None
        return record

    async def until(self, key: str, *states: str) -> CampaignRecord:
        """Once the campaign is in one of these states."""
        async with asyncio.timeout(120):
            while True:
                if (record := await self.record(key)).state in states:
                    break
                await asyncio.sleep(0.05)
        return record

    async def until_owned(self, key: str, head: str) -> None:
        async with asyncio.timeout(120):
            while True:
                if (await self.record(key)).owner == head:
                    break
                await asyncio.sleep(0.05)

    def owner(self, record: CampaignRecord) -> tuple[Head, Head]:
        """The head that drives it, and the other one."""
        first, second = self.heads
        return (first, second) if record.owner == first.name else (second, first)


@asynccontextmanager
async def open_cluster(seconds: int = 6) -> AsyncIterator[tuple[Cluster, Head, Head]]:
    cluster = Cluster(seconds)
    for key in ("east", "west"):
        await cluster.store.add_zone(Zone(key=key, title=key))
    playing = [asyncio.ensure_future(factory.run()) for factory in (cluster.a, cluster.b)]
    first, second = cluster.open_head("first"), cluster.open_head("second")
    await asyncio.sleep(2)
    try:
        yield cluster, first, second
    finally:
        for task in playing:
            task.cancel()
        await asyncio.wait(playing)
        for head in cluster.heads:
            await head.die()


@virtual
async def test_a_campaign_that_one_head_takes_is_driven_by_one_and_known_to_all() -> None:
    async with open_cluster() as (cluster, first, second):
        key = await first.start()
        await cluster.until(key, "COMPLETED")
        for head in (first, second):
            assert (await head.service.report(key)).ledger.minions.completed == MINIONS
            (details,) = await head.service.details([key])
            assert details.report is not None
            assert details.record.status == "SUCCESSFUL"
        await asyncio.sleep(1)
        assert await cluster.leftovers(key) == []
        assert {each.campaigns for each in await cluster.directory.factories()} == {()}


@pytest.mark.parametrize("state", ["PREPARING", "ASSIGNING", "WARMUP", "RUNNING", "DRAINING"])
@virtual
async def test_the_campaign_of_a_dead_head_goes_on_at_the_other_one(state: str) -> None:
    async with open_cluster() as (cluster, first, second):
        for head in (first, second):
            head.store.fatal = state
        key = await first.start()
        deaths = [asyncio.ensure_future(head.store.died.wait()) for head in (first, second)]
        await asyncio.wait(deaths, return_when=asyncio.FIRST_COMPLETED)
        dying, other = cluster.owner(await cluster.record(key))
        other.store.fatal = None
        await dying.die()
        async with asyncio.timeout(5):
            while True:
                if (await cluster.record(key)).epoch != 1:
                    break
                await asyncio.sleep(0.05)
        await cluster.until(key, "COMPLETED")
        report = await other.service.report(key)
        assert report.ledger.minions.completed == MINIONS
        assert report.ledger.requests.ok == 6 * MINIONS
        assert report.verdict.value == "VALID"


@virtual
async def test_a_campaign_outlives_one_head_after_the_other() -> None:
    async with open_cluster(seconds=40) as (cluster, first, _second):
        key = await first.start()
        for number in range(4):
            record = await cluster.until(key, "RUNNING")
            owner = next(head for head in cluster.heads if head.name == record.owner)
            await asyncio.sleep(2)
            await owner.die()
            cluster.open_head(f"another {number}")
            async with asyncio.timeout(10):
                while True:
                    if (await cluster.record(key)).owner not in (owner.name, None):
                        break
                    await asyncio.sleep(0.05)
        await cluster.until(key, "COMPLETED")
        report = await cluster.heads[-1].service.report(key)
        assert report.ledger.requests.ok == 40 * MINIONS
        assert report.verdict.value == "VALID"


@pytest.mark.parametrize("is_hard", [False, True])
@virtual
async def test_a_campaign_is_aborted_through_a_head_that_does_not_drive_it(is_hard: bool) -> None:
    async with open_cluster(seconds=60) as (cluster, first, _second):
        key = await first.start()
        _, other = cluster.owner(await cluster.until(key, "RUNNING"))
        await asyncio.sleep(2)
        for _ in range(2):
            await other.service.abort(key, is_hard, "bert")
        record = await cluster.until(key, "ABORTED")
        assert (record.status, record.aborter) == ("ABORTED", "bert")
        report = await other.service.report(key)
        how = "at once" if is_hard else "softly"
        assert report.scenarios[0].messages[0].text == f"stopped {how} by bert"
        await other.service.abort(key, is_hard, "bert")  # that is over
        assert await cluster.leftovers(key) == []


@virtual
async def test_the_details_and_the_stream_of_a_campaign_that_is_driven_elsewhere() -> None:
    async with open_cluster() as (cluster, first, _second):
        key = await first.start()
        _, other = cluster.owner(await cluster.until(key, "RUNNING"))
        happened = [each async for each in _until_over(await other.service.follow(key), cluster, other, key)]
        states = [each.state for each in happened if isinstance(each, StateEntered)]
        assert (states[0], states[-1]) == ("RUNNING", "COMPLETED")
        lives = [each for each in happened if isinstance(each, Live)]
        assert len(lives) >= 4
        assert lives[-1].requests > 0
        assert [each.elapsed_s for each in lives] == sorted(each.elapsed_s for each in lives)
        with pytest.raises(UnknownCampaign):
            await other.service.follow("nothing")


async def _until_over(
    stream: AsyncIterator[Any], cluster: Cluster, head: Head, key: str
) -> AsyncIterator[Any]:
    async for each in stream:
        if each is not None:
            yield each
        if (await cluster.record(key)).state == "RUNNING":
            (details,) = await head.service.details([key])
            assert details.live is not None
            assert details.live.minions_scheduled == MINIONS


@virtual
async def test_a_campaign_waits_until_factories_are_free() -> None:
    async with open_cluster() as (cluster, first, second):
        keys = [await head.start(name=head.name) for head in (first, second, first)]
        await cluster.until(keys[0], "RUNNING")
        await asyncio.sleep(2)
        assert [(await cluster.record(key)).status for key in keys] == ["IN_PROGRESS", "QUEUED", "QUEUED"]
        assert {first.service.waiting, second.service.waiting} == {2}
        for key in keys:
            await cluster.until(key, "COMPLETED")
        ends = [(await cluster.record(key)).end for key in keys]
        assert ends == sorted(cast("list[Any]", ends))
        for key in keys:
            assert (await first.service.report(key)).ledger.requests.ok == 6 * MINIONS


@virtual
async def test_a_campaign_that_waits_is_aborted_without_having_run() -> None:
    async with open_cluster() as (cluster, first, second):
        running, waiting = await first.start(), await first.start()
        await cluster.until(running, "RUNNING")
        await second.service.abort(waiting, False, "bert")
        record = await cluster.until(waiting, "ABORTED")
        assert (record.start, record.aborter) == (None, "bert")
        await cluster.until(running, "COMPLETED")
        again = await second.start()
        await cluster.until(again, "COMPLETED")


@virtual
async def test_campaigns_of_different_zones_run_at_once() -> None:
    async with open_cluster() as (cluster, first, second):
        keys = [
            await head.start(scenarios={"shop": {"minionsCount": MINIONS, "zones": {zone: 100}}})
            for head, zone in ((first, "east"), (second, "west"))
        ]
        for key in keys:
            await cluster.until(key, "RUNNING")
        assert [(await cluster.record(key)).state for key in keys] == ["RUNNING", "RUNNING"]
        for key, node in zip(keys, "ab", strict=True):
            await cluster.until(key, "COMPLETED")
            report = await first.service.report(key)
            assert [factory.node for factory in report.factories] == [node]
            assert report.ledger.minions.completed == MINIONS


@virtual
async def test_a_head_that_is_stopped_leaves_its_campaigns_to_the_others_at_once() -> None:
    async with open_cluster(seconds=20) as (cluster, first, _second):
        key, waiting = await first.start(), await first.start()
        leaving, other = cluster.owner(await cluster.until(key, "RUNNING"))
        await asyncio.sleep(2)
        left_at = cluster.clock.now()
        await leaving.service.aclose(is_hard=True)
        await cluster.until_owned(key, other.name)
        assert cluster.clock.now() - left_at < 1
        with pytest.raises(CampaignRefused, match="is being stopped"):
            await leaving.start()
        await cluster.until(key, "COMPLETED")
        assert (await other.service.report(key)).ledger.requests.ok == 20 * MINIONS
        await cluster.until(waiting, "COMPLETED")


@virtual
async def test_factories_are_received_by_the_head_that_is_left() -> None:
    async with open_cluster() as (cluster, _first, _second):
        receiving = cluster.directory._receptionist
        dying = next(head for head in cluster.heads if head.name == receiving)
        (other,) = [head for head in cluster.heads if head is not dying]
        await dying.die()
        late = WalkingFactory(cluster.transport, SHOP, node="late")
        playing = asyncio.ensure_future(late.run())
        await asyncio.sleep(6)
        assert cluster.directory._receptionist == other.name
        await asyncio.sleep(2)
        known = {each.node: each.is_free for each in other.service.factories()}
        assert known == {"a": True, "b": True, "late": True}
        playing.cancel()
        await asyncio.wait([playing])


@virtual
async def test_what_another_version_left_behind_is_given_up_by_name() -> None:
    async with open_cluster() as (cluster, _first, _second):
        await cluster.store.create_campaign(
            NewCampaign(key="old", name="old", configuration={"version": 1, "name": "old", "scenarios": {}})
        )
        claim = await cluster.store.claim("old", "gone", 0.5)
        assert claim is not None
        await cluster.store.commit(claim, Commit(state="RUNNING", at=0.0, checkpoint=b"\x80"))
        record = await cluster.until("old", "FAILED")
        assert "this head cannot go on with it" in str(record.failure_reason)


@virtual
async def test_a_store_that_is_away_for_a_while_costs_nothing() -> None:
    async with open_cluster(seconds=20) as (cluster, first, _second):
        key = await first.start()
        await cluster.until(key, "RUNNING")
        await asyncio.sleep(3)
        before = {head.name: head.store._store for head in cluster.heads}

        class Away:
            def __getattr__(self, name: str) -> Any:
                async def call(*arguments: Any, **more: Any) -> Any:
                    raise ServiceUnavailable("the store is away")

                return call

        for head in cluster.heads:
            head.store._store = cast("Any", Away())
        await asyncio.sleep(8)
        for head in cluster.heads:
            head.store._store = before[head.name]
        await cluster.until(key, "COMPLETED")
        report = await first.service.report(key)
        assert report.ledger.requests.ok == 20 * MINIONS
        assert (report.verdict.value, report.verdict.reasons) == ("VALID", ())


class Slow(MemoryStore):
    """A store whose claims take a second, as when its disk is busy."""

    async def claim(self, campaign: str, head: str, lease_seconds: float) -> Claim | None:
        await asyncio.sleep(1)
        return await super().claim(campaign, head, lease_seconds)


@virtual
async def test_a_campaign_that_is_aborted_just_when_its_factory_is_free_does_not_keep_it() -> None:
    desk = Desk(clock=clock_of_loop(), store=Slow(clock_of_loop()))
    desk.welcome()
    serving = asyncio.ensure_future(desk.service.serve())
    configuration = from_kept(desk_configuration())
    await desk.service.start(configuration, "anna")
    waiting = (await desk.service.start(configuration, "anna")).key
    running = await desk.run_of(0)
    await asyncio.sleep(2)
    aborting = asyncio.ensure_future(desk.service.abort(waiting, False, "anna"))
    await asyncio.sleep(0.2)
    running.go()
    await aborting
    record = await desk.store.campaign(waiting)
    assert record is not None
    assert record.status == "ABORTED"
    await asyncio.sleep(3)
    await desk.service.start(configuration, "anna")
    (await desk.run_of(1)).go()
    serving.cancel()
    await asyncio.wait([serving])


@virtual
async def test_a_campaign_is_listed_with_the_start_and_the_end_of_its_load() -> None:
    async with open_cluster() as (cluster, first, _second):
        key = await first.start(startOffsetMs=5000)
        record = await cluster.until(key, "COMPLETED")
        report = (await first.service.report(key)).campaign
        for listed, told in ((record.start, report.start), (record.end, report.end)):
            assert listed is not None
            assert abs((listed - datetime.fromisoformat(told)).total_seconds()) < 0.001


@virtual
async def test_the_head_that_drives_a_campaign_shows_what_the_others_show() -> None:
    async with open_cluster() as (cluster, first, _second):
        key = await first.start()
        driver, other = cluster.owner(await cluster.until(key, "RUNNING"))
        await asyncio.sleep(3.5)
        shown = [(await head.service.details([key]))[0].live for head in (driver, other)]
        assert shown[0] is not None
        assert shown[1] is not None
        assert shown[0].steps == shown[1].steps
        assert shown[0].errors == shown[1].errors
