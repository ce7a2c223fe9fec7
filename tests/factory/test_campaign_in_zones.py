"""Whole campaigns of factories that stand in zones: real factories, all in this process."""

import asyncio
import time
from pathlib import Path
from textwrap import dedent

import pytest

from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.factory.session import Identity, Session
from qalipsis.factory.worker_task import WorkerTask
from qalipsis.head.campaign_list import NewCampaign
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.data_series import DataSeries, Filter
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.office import Office
from qalipsis.head.orchestrator import Orchestrator
from qalipsis.head.reception import Reception
from qalipsis.head.roster import Roster
from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.head.store import MemoryStore
from qalipsis.head.tenure import Tenure
from qalipsis.head.time_series_reader import Scope, TimeSeriesReader
from qalipsis.head.zones import Zone
from qalipsis.plan.profile_override import ArrivalRate, PercentageStages, Regular, StageOfShare
from qalipsis.reports.model import Report
from qalipsis.system_clock import SystemClock

SHOP = """
    from qalipsis import scenario

    shop = scenario("shop", minions=10).start().returns(1).named("order").counter("items", lambda it: 3)
    search = scenario("search", minions=6).start().returns(1).named("find")
"""


async def run(
    folder: Path,
    scenarios: dict[str, ScenarioRequest],
    speed_factor: float = 1.0,
    fleet: tuple[tuple[str, str, int], ...] = (("w", "west", 2), ("e", "east", 1)),
    store: MemoryStore | None = None,
) -> Report:
    """The report of a campaign by factories of this node, zone and number of workers."""
    file = folder / "scenarios.py"
    file.write_text(dedent(SHOP))
    transport, store, clock = MemoryTransport(), store or MemoryStore(), SystemClock()
    directory = MemoryDirectory(clock)
    for key in ("west", "east"):
        await store.add_zone(Zone(key=key, title=key))
    sessions = [
        Session(transport, clock, Identity(node=node, incarnation=1, zone=zone), workers, WorkerTask)
        for node, zone, workers in fleet
    ]
    office = Office(
        head="head",
        transport=transport,
        store=store,
        directory=directory,
        roster=Roster(directory),
        clock=clock,
        heartbeat_s=1.0,
        lease_s=None,
        claim_lease_s=60.0,
    )
    reception = Reception(office, 1)
    request = CampaignRequest(
        key="c-1",
        name=None,
        seed=7,
        start_offset=0.05,
        required_factories=len(fleet),
        scenarios=scenarios,
        speed_factor=speed_factor,
    )
    await store.create_campaign(NewCampaign(key="c-1", name="zones"))
    claim = await store.claim("c-1", "head", 60.0)
    assert claim is not None
    orchestrator = Orchestrator(office, Tenure(store, transport, claim), request, lambda live: None)
    try:
        for session in sessions:
            await session.load([file], {})
        return await asyncio.wait_for(
            accompanied(orchestrator.run(), reception.serve(), *(session.serve(5.0) for session in sessions)),
            20,
        )
    finally:
        for session in sessions:
            await session.aclose()
        await transport.aclose()


def completed(report: Report) -> dict[str, int]:
    """Minions that completed, by factory."""
    assert report.verdict.value == "VALID", report.verdict.reasons
    assert report.ledger.minions.completed == report.ledger.minions.scheduled
    return {factory.node: factory.ledger.minions.completed for factory in report.factories}


@pytest.mark.parametrize(("minions", "west", "east"), [(1, 1, 0), (3, 2, 1), (51, 34, 17), (1_000, 670, 330)])
async def test_each_zone_runs_its_share(tmp_path: Path, minions: int, west: int, east: int) -> None:
    report = await run(tmp_path, {"shop": ScenarioRequest(minions=minions, zones={"west": 67, "east": 33})})
    assert completed(report) == {"w": west, "e": east}
    [scenario] = report.scenarios
    assert scenario.zones == {key: own for key, own in (("east", east), ("west", west)) if own}
    assert scenario.steps[0].executions.successful == minions


async def test_each_scenario_has_zones_of_its_own(tmp_path: Path) -> None:
    report = await run(
        tmp_path,
        {"shop": ScenarioRequest(zones={"west": 50, "east": 50}), "search": ScenarioRequest(minions=9)},
    )
    assert completed(report) == {"w": 5 + 6, "e": 5 + 3}
    assert {each.name: each.zones for each in report.scenarios} == {
        "shop": {"east": 5, "west": 5},
        "search": {"east": 3, "west": 6},
    }


async def test_one_factory_in_its_zone_runs_everything(tmp_path: Path) -> None:
    scenarios = {"shop": ScenarioRequest(zones={"west": 100})}
    report = await run(tmp_path, scenarios, fleet=(("w", "west", 1),))
    assert completed(report) == {"w": 10}
    assert report.scenarios[0].zones == {"west": 10}


@pytest.mark.alone
async def test_the_profile_that_is_asked_for_is_walked_at_the_speed_that_is_asked_for(tmp_path: Path) -> None:
    regular = Regular(period_in_ms=400, minions_count_pro_launch=1)
    scenarios = {"shop": ScenarioRequest(minions=5, zones={"west": 50, "east": 50}, profile=regular)}
    began = time.monotonic()
    report = await run(tmp_path, scenarios, speed_factor=4.0)
    assert 0.4 < time.monotonic() - began < 1.6  # four periods of 100 ms
    assert completed(report) == {"w": 2, "e": 3}
    assert report.scenarios[0].profile == "regular: 1 every 400 ms"


@pytest.mark.alone
async def test_stages_that_are_asked_for_replay(tmp_path: Path) -> None:
    stages = PercentageStages(
        stages=(StageOfShare(minions_percentage=100, ramp_up_duration_ms=0, total_duration_ms=900),)
    )
    scenarios = {"shop": ScenarioRequest(minions=4, zones={"west": 75, "east": 25}, profile=stages)}
    report = await run(tmp_path, scenarios)
    assert completed(report) == {"w": 3, "e": 1}
    assert report.ledger.passes.completed > 4


async def test_arrivals_go_where_minions_wait_for_them(tmp_path: Path) -> None:
    arrivals = ArrivalRate(rate_per_second=100, duration_ms=500)
    scenarios = {"shop": ScenarioRequest(minions=10, zones={"west": 96, "east": 4}, profile=arrivals)}
    report = await run(tmp_path, scenarios)
    assert report.verdict.value == "VALID", report.verdict.reasons
    assert report.scenarios[0].zones == {"west": 10}
    assert report.ledger.passes.completed == 50
    passes = {factory.node: factory.ledger.passes.completed for factory in report.factories}
    assert passes == {"w": 50, "e": 0}


async def summed(store: MemoryStore, *zones: str) -> dict[str, float | None]:
    """Sums over the whole campaign in these zones, or in the fleet."""
    series = [
        DataSeries(
            reference=name,
            creator="me",
            display_name=name,
            data_type="METERS",
            value_name=name,
            filters=filters,
            field_name="value",
            aggregation_operation="SUM",
        )
        for name, filters in (
            ("step.executions", (Filter(name="step", operator="IS", value="order"),)),
            ("items", ()),
        )
    ]
    curves = await TimeSeriesReader(store).aggregate(series, Scope(campaigns=("c-1",), zones=zones))
    return {name: curve.summary.value for name, curve in curves.items()}


async def test_meters_over_time_are_told_of_each_zone(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(tmp_path, {"shop": ScenarioRequest(minions=100, zones={"west": 67, "east": 33})}, store=store)
    assert await summed(store) == {"step.executions": 100.0, "items": 300.0}
    assert await summed(store, "west") == {"step.executions": 67.0, "items": 201.0}
    assert await summed(store, "east") == {"step.executions": 33.0, "items": 99.0}
    assert await summed(store, "east", "west", "north") == await summed(store)
    assert await summed(store, "north") == {"step.executions": None, "items": None}


async def test_a_campaign_in_one_zone_is_that_zone(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(tmp_path, {"shop": ScenarioRequest()}, fleet=(("w", "west", 1),), store=store)
    assert await summed(store, "west") == await summed(store) == {"step.executions": 10.0, "items": 30.0}
    assert await summed(store, "east") == {"step.executions": None, "items": None}
