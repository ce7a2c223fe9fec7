"""A whole campaign over a transport that loses, repeats and reorders, held against the same over a clean one.

Head and factories are the real ones, in one process and on virtual time; the service is played. So everything
that a minion does follows from the seed of the campaign, and two reports can be compared to the last bucket.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from qalipsis import Minion, journey, profile
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.transport import Transport
from qalipsis.engine.runner import WorkerEngine
from qalipsis.factory.kit import Kit
from qalipsis.factory.session import Identity, Session
from qalipsis.factory.worker_task import WorkerTask
from qalipsis.head.campaign_list import NewCampaign
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.office import Office
from qalipsis.head.orchestrator import Orchestrator
from qalipsis.head.reception import Reception
from qalipsis.head.roster import Roster
from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.head.store import MemoryStore
from qalipsis.head.tenure import Tenure
from qalipsis.head.zones import Zone
from qalipsis.plugins import http
from qalipsis.reports.model import Report
from qalipsis.testing import FakeRequest, FakeResponse, fake_http, fake_reset, fake_response
from qalipsis.testing.chaos import ChaosTransport
from qalipsis.testing.fakes import Fakes
from qalipsis.testing.loop_clock import LoopClock
from qalipsis.testing.script import Script
from qalipsis.testing.stage import Stage
from qalipsis.testing.virtual_loop import VirtualLoop

seeds = pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.prove) for seed in range(3, 100))]
)

shop = http.client("http://shop.example")


@journey("browse", minions=40, profile=profile.regular("100ms", 1))
async def browse(visitor: Minion) -> None:
    """Each minion asks for other pages, at other times."""
    for _ in range(visitor.random.randint(5, 25)):
        page = await visitor.do(shop.get(f"/page/{visitor.random.randint(1, 9)}"), name="look")
        visitor.timer("page", page.done - page.sent)
        await visitor.pause(f"{visitor.random.randint(50, 700)}ms")


def answer(request: FakeRequest) -> FakeResponse:
    """Some pages are slow; one breaks the connection for whoever asks late."""
    page = int(request.path.rpartition("/")[2])
    if page == 9 and request.at > 6:
        return fake_reset(after="3ms")
    return fake_response(status=404 if page == 8 else 200, text="a page", after=f"{page * 7}ms")


class Slow(MemoryTransport):
    """Each message takes a while, another one each time."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(seed)

    async def publish(self, topic: str, body: bytes) -> None:
        await asyncio.sleep(self._random.uniform(0.0, 0.04))
        await super().publish(topic, body)


class _NoCollector:
    def open(self, now: float) -> None: ...

    def second(self, started: int, now: float) -> None: ...

    def close(self) -> None: ...


class _Engine(WorkerEngine):
    """Its fakes know when the minions start."""

    def __init__(self, stage: Stage, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, drain_seconds=1.0, **options)
        self._stage = stage

    def start(self, at: float) -> None:
        self._stage.begin(at)
        super().start(at)


@dataclass(frozen=True)
class Fleet:
    """Factories by node: their zone and their workers."""

    nodes: tuple[tuple[str, str, int], ...] = (("eu-1", "eu", 2), ("eu-2", "eu", 1), ("us-1", "us", 2))


def campaign_over(make_transport: Any, fleet: Fleet = Fleet()) -> tuple[Report, Any]:
    """The report of the campaign, and the transport it was run over."""

    async def run() -> tuple[Report, Any]:
        transport = make_transport()
        return await _run(transport, fleet), transport

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(asyncio.wait_for(run(), 600.0))


async def _run(transport: Transport, fleet: Fleet) -> Report:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    clock = LoopClock(loop)
    store, directory = MemoryStore(clock), MemoryDirectory(clock)
    for zone in dict.fromkeys(zone for _, zone, _ in fleet.nodes):
        await store.add_zone(Zone(key=zone, title=zone))
    sessions = [_factory(transport, clock, *each) for each in fleet.nodes]
    office = Office(
        head="head",
        transport=transport,
        store=store,
        directory=directory,
        roster=Roster(directory),
        clock=clock,
        heartbeat_s=1.0,
        lease_s=15.0,
        claim_lease_s=3.0,
    )
    request = CampaignRequest(
        key="c-1",
        name="chaos",
        seed=7,
        required_factories=len(fleet.nodes),
        scenarios={"browse": ScenarioRequest(zones={"eu": 60, "us": 40})},
    )
    await store.create_campaign(NewCampaign(key="c-1", name="chaos"))
    claim = await store.claim("c-1", "head", 3.0)
    assert claim is not None
    orchestrator = Orchestrator(office, Tenure(store, transport, claim), request, lambda live: None)
    try:
        for session in sessions:
            await session.load([__file__], {})
        return await accompanied(
            orchestrator.run(), Reception(office, 1).serve(), *(session.serve(30.0) for session in sessions)
        )
    finally:
        for session in sessions:
            await session.aclose()
        await transport.aclose()


def _factory(transport: Transport, clock: LoopClock, node: str, zone: str, workers: int) -> Session:
    stage = Stage(clock.now)
    fakes = Fakes(fake_http(answer), {}, {}, stage, True)
    kit = Kit(
        load=Script(browse, None, None, {}, fakes.settle).load,
        make_clock=lambda offset: clock,
        make_engine=partial(_Engine, stage, find_step=fakes.find_step, find_source=fakes.find_source),
        make_collector=_NoCollector,
    )
    identity = Identity(node=node, incarnation=1, zone=zone)
    return Session(transport, clock, identity, workers, partial(WorkerTask, kit=kit))


def counts(report: Report) -> dict[str, Any]:
    """Everything that was counted: of the fleet, of each factory, of each step."""
    ledgers = {"all": report.ledger} | {each.node: each.ledger for each in report.factories}
    counted = ("executions", "assertions", "errors", "failures", "statuses", "bytes")
    [scenario] = report.scenarios
    steps = {
        step.name: {name: value for name, value in to_builtins(step).items() if name in counted}
        | {"timed": step.latency.from_due.count if step.latency else 0}
        for step in scenario.steps
    }
    meters = {meter.name: meter.values.get("count") for meter in scenario.meters}
    return {"ledgers": to_builtins(ledgers), "steps": steps, "meters": meters, "status": scenario.status}


def settled(report: Report) -> Report:
    """A request due in the very instant in which a second ends is offered in that one or in the next."""
    timeline = tuple(replace(second, offered_per_s=0.0) for second in report.timeline)
    return replace(report, timeline=timeline)


@pytest.fixture(scope="module")
def clean() -> Report:
    report, _ = campaign_over(MemoryTransport)
    assert report.verdict.value == "VALID", report.verdict.reasons
    assert report.ledger.minions.started == 40
    assert report.ledger.requests.error > 0
    return report


def test_over_a_clean_transport_a_campaign_repeats_to_the_last_bucket(clean: Report) -> None:
    again, _ = campaign_over(MemoryTransport)
    assert again == clean


@seeds
def test_what_is_lost_repeated_and_reordered_leaves_no_trace_in_the_report(clean: Report, seed: int) -> None:
    report, chaos = campaign_over(lambda: ChaosTransport(MemoryTransport(), seed, 0.1, 0.1, 0.1))
    assert min(chaos.dropped, chaos.duplicated, chaos.reordered) > 5
    assert settled(report) == settled(clean)


@seeds
def test_a_slow_transport_besides_changes_no_count(clean: Report, seed: int) -> None:
    """Latencies differ by less than a millisecond, on whose grid minions wait: they start between others."""
    report, chaos = campaign_over(lambda: ChaosTransport(Slow(seed), seed, 0.1, 0.1, 0.1))
    assert min(chaos.dropped, chaos.duplicated, chaos.reordered) > 5
    assert report.verdict == clean.verdict
    assert counts(report) == counts(clean)
    assert sum(second.achieved_per_s for second in report.timeline) == report.ledger.requests.ok
