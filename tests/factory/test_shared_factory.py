"""Whole campaigns at once on factories that allow it: real heads, real factories, virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest

from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.engine.runner import WorkerEngine
from qalipsis.factory.kit import Kit
from qalipsis.factory.session import Identity, Session
from qalipsis.factory.worker_task import WorkerTask
from qalipsis.head.campaign_configuration import CampaignConfiguration, ScenarioConfiguration
from qalipsis.head.campaign_list import CampaignRecord, is_terminal
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.office import Office
from qalipsis.head.orchestrator import Orchestrator
from qalipsis.head.reception import Reception
from qalipsis.head.roster import Roster
from qalipsis.head.service import CampaignService
from qalipsis.head.store import MemoryStore
from qalipsis.reports.model import Report
from qalipsis.testing.loop_clock import LoopClock
from qalipsis.testing.virtual_loop import VirtualLoop

from .stage import _NoCollector, play

SHOP = """
    from qalipsis import profile, scenario

    shop = (
        scenario("shop", minions=40, profile=profile.regular("100ms", 2))
        .start().returns(1).delay("50ms").named("basket").iterate(20).returns(2).named("pay")
    )
    search = scenario("search", minions=7).start().returns(1).delay("200ms").named("find").iterate(10)
    watch = scenario("watch", minions=3).start().returns(1).delay("1s").named("look").iterate(100_000)
"""


class Cluster:
    """A head and factories by their nodes, each with the number of its campaigns; they serve within it."""

    def __init__(self, folder: Path, **factories: int) -> None:
        file = folder / "scenarios.py"
        file.write_text(dedent(SHOP))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        clock = LoopClock(loop)
        transport, directory = MemoryTransport(), MemoryDirectory(clock)
        office = Office(
            head="head",
            transport=transport,
            store=MemoryStore(clock),
            directory=directory,
            roster=Roster(directory),
            clock=clock,
            heartbeat_s=1.0,
            lease_s=15.0,
            claim_lease_s=3.0,
        )
        kit = Kit(
            make_clock=lambda offset: clock,
            make_engine=partial(WorkerEngine, drain_seconds=1.0),
            make_collector=_NoCollector,
        )
        self.file = file
        self.service = CampaignService(
            office,
            CampaignRequest(key="", name=None, seed=7, factories_timeout=5.0),
            lambda tenure, asked, watch: Orchestrator(office, tenure, asked, watch),
            is_alone=False,
        )
        self.sessions = {
            node: Session(
                transport,
                clock,
                Identity(node=node, incarnation=1),
                2,
                partial(WorkerTask, kit=kit),
                campaigns=campaigns,
            )
            for node, campaigns in factories.items()
        }
        self.serving: dict[str, asyncio.Task[None]] = {}
        self._transport = transport
        self._reception = Reception(office, 1)

    async def run(self, test: Coroutine[Any, Any, None]) -> None:
        try:
            for node, session in self.sessions.items():
                await session.load([self.file], {})
                self.serving[node] = asyncio.create_task(session.serve(30.0))
            await accompanied(test, self.service.serve(), self._reception.serve())
        finally:
            for task in self.serving.values():
                task.cancel()
            await asyncio.gather(*self.serving.values(), return_exceptions=True)
            for session in self.sessions.values():
                await session.aclose()
            await self._transport.aclose()

    async def start(self, scenario: str, minions: int) -> str:
        await until(lambda: len(self.service.factories()) == len(self.sessions))
        asked = CampaignConfiguration(
            name=scenario, scenarios={scenario: ScenarioConfiguration(minions_count=minions)}
        )
        return (await self.service.start(asked, "alice")).key

    async def until(self, key: str, holds: Callable[[CampaignRecord], bool]) -> CampaignRecord:
        while True:
            record = await self.service.record(key)
            if holds(record):
                return record
            await asyncio.sleep(0.1)

    async def runs(self, *keys: str) -> None:
        for key in keys:
            await self.until(key, lambda record: record.state == "RUNNING")

    async def report(self, key: str) -> Report:
        await self.until(key, lambda record: is_terminal(record.state))
        await until(lambda: key not in self.service.running)
        return await self.service.report(key)

    def shared(self) -> dict[str, tuple[str, ...]]:
        return {each.node: each.campaigns for each in self.service.factories()}


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - on virtual time, a look costs next to nothing
        await asyncio.sleep(0.1)


def cluster_of(folder: Path, test: Callable[[Cluster], Coroutine[Any, Any, None]], **factories: int) -> None:
    async def run() -> None:
        cluster = Cluster(folder, **factories)
        await cluster.run(test(cluster))

    play(run())


def counts(report: Report) -> Any:
    """All that was counted, without what was measured."""
    steps = [(each.name, each.executions) for scenario in report.scenarios for each in scenario.steps]
    nodes = [(each.node, each.ledger) for each in report.factories]
    return msgspec.to_builtins((report.ledger, steps, nodes))


def is_closed(report: Report) -> bool:
    """Whether all its books close: where one does not, the verdict says so."""
    return report.verdict.value == "VALID"


async def solo(cluster: Cluster, asked: Sequence[tuple[str, int]]) -> list[Report]:
    return [await cluster.report(await cluster.start(*each)) for each in asked]


def test_two_campaigns_on_one_factory_report_what_each_reports_alone(tmp_path: Path) -> None:
    asked = (("shop", 40), ("search", 7))

    async def test(cluster: Cluster) -> None:
        alone = await solo(cluster, asked)
        keys = [await cluster.start(*each) for each in asked]
        await cluster.runs(*keys)
        assert cluster.shared() == {"eu": tuple(keys)}
        together = [await cluster.report(key) for key in keys]
        assert all(map(is_closed, [*alone, *together]))
        assert [counts(report) for report in together] == [counts(report) for report in alone]
        assert together[0].ledger.minions.completed == 40
        await until(lambda: cluster.shared() == {"eu": ()})

    cluster_of(tmp_path, test, eu=2)


def test_one_is_aborted_while_the_other_goes_on(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        (alone,) = await solo(cluster, [("shop", 40)])
        endless, other = await cluster.start("watch", 3), await cluster.start("shop", 40)
        await cluster.runs(endless, other)
        await asyncio.sleep(1.5)  # they start a second after they were told to
        await cluster.service.abort(endless, is_hard=True, user="bob")
        aborted = await cluster.report(endless)
        assert (await cluster.service.record(other)).state == "RUNNING"
        assert (aborted.ledger.minions.started, aborted.ledger.minions.aborted) == (3, 3)
        report = await cluster.report(other)
        assert counts(report) == counts(alone)
        assert is_closed(report)

    cluster_of(tmp_path, test, eu=2)


def test_a_third_waits_until_one_ends(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        endless, second = await cluster.start("watch", 3), await cluster.start("shop", 40)
        await cluster.runs(endless, second)
        third = await cluster.start("search", 7)
        await asyncio.sleep(2)
        assert (await cluster.service.record(third)).state == "SCHEDULED"
        assert cluster.service.waiting == 1
        await cluster.report(second)
        await cluster.runs(third)
        assert (await cluster.report(third)).ledger.minions.completed == 7
        assert (await cluster.service.record(endless)).state == "RUNNING"
        await cluster.service.abort(endless, is_hard=True, user="bob")
        await cluster.report(endless)

    cluster_of(tmp_path, test, eu=2)


def test_a_factory_that_works_for_nobody_is_preferred(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        first = await cluster.start("watch", 4)
        await cluster.runs(first)
        second = await cluster.start("watch", 4)  # eu is for one only
        await cluster.runs(second)
        assert cluster.shared() == {"eu": (first,), "us": (first, second)}
        await cluster.service.abort(first, is_hard=True, user="bob")
        await cluster.report(first)
        third = await cluster.start("search", 7)
        assert [each.node for each in (await cluster.report(third)).factories] == ["eu"]
        await cluster.service.abort(second, is_hard=True, user="bob")
        assert [each.node for each in (await cluster.report(second)).factories] == ["us"]

    cluster_of(tmp_path, test, eu=1, us=2)


def test_both_campaigns_name_the_factory_that_they_lost(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        first = await cluster.start("watch", 4)
        await cluster.runs(first)
        second = await cluster.start("watch", 6)
        await cluster.runs(second)
        await asyncio.sleep(3)
        cluster.serving["eu"].cancel()
        for key, minions in ((first, 4), (second, 6)):
            report = await cluster.report(key)
            assert report.verdict.value != "VALID"
            assert "eu" in " ".join(report.verdict.reasons)
            assert report.ledger.minions.lost == minions

    cluster_of(tmp_path, test, eu=2)


@pytest.mark.parametrize("campaigns", [1, 3])
def test_campaigns_that_come_at_once_run_as_many_as_may(tmp_path: Path, campaigns: int) -> None:
    async def test(cluster: Cluster) -> None:
        keys = [await cluster.start("search", 7) for _ in range(5)]
        most = 0
        while len(cluster.service.running) or cluster.service.waiting or not most:
            most = max(most, len(cluster.service.running))
            await asyncio.sleep(0.05)
        assert most == campaigns
        for key in keys:
            assert is_closed(await cluster.report(key))

    cluster_of(tmp_path, test, eu=campaigns)
