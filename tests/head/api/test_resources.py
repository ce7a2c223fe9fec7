"""What surrounds campaigns over the REST API."""

from __future__ import annotations

import asyncio

import pytest

from qalipsis.cluster.messages import Heartbeat
from qalipsis.head.api.resources import iso
from qalipsis.head.directory import Beat
from qalipsis.head.zones import Zone
from tests.head.api.desk import Desk, configuration, open_client


async def test_scenarios_zones_and_factories_are_shown() -> None:
    desk = Desk()
    desk.welcome()
    await desk.store.add_zone(Zone(key="eu", title="Europe", enabled=False))
    async with open_client(desk) as client:
        scenarios = (await client.get("/api/scenarios?sort=name:desc")).json()
        assert [each["name"] for each in scenarios] == ["stages", "browse"]
        assert scenarios[1]["directedAcyclicGraphs"][0]["numberOfSteps"] == 1
        assert (await client.get("/api/scenarios?sort=colour")).status_code == 400
        (zone,) = (await client.get("/api/zones")).json()
        assert zone == {
            "key": "eu",
            "title": "Europe",
            "description": None,
            "imagePath": None,
            "enabled": False,
        }
        states = (await client.get("/api/factories/states")).json()
        assert states == {"idle": 1, "registered": 0, "unhealthy": 0, "offline": 0}
        (factory,) = (await client.get("/api/factories")).json()
        assert (factory["node"], factory["state"], factory["campaign"]) == ("node", "IDLE", None)


async def test_what_a_factory_said_last_is_shown() -> None:
    desk = Desk()
    desk.welcome()
    heartbeat = Heartbeat(
        state="idle", sequence=1, clock=1.5, cpu=0.25, loop_lag_s=0.002, memory_bytes=40_000_000
    )
    async with open_client(desk) as client:
        (factory,) = (await client.get("/api/factories")).json()
        assert (factory["cpu"], factory["loopLagMs"], factory["memoryBytes"]) == (None, None, None)
        await desk.office.directory.hear([Beat("node", 1, heartbeat)])
        await desk.office.roster.refresh()
        (factory,) = (await client.get("/api/factories")).json()
        assert (factory["cpu"], factory["loopLagMs"], factory["memoryBytes"]) == (0.25, 2.0, 40_000_000)


async def test_a_factory_that_works_for_a_campaign_is_shown_with_it() -> None:
    desk = Desk()
    desk.welcome()
    async with open_client(desk) as client:
        key = (await client.post("/api/campaigns", json=configuration())).json()["key"]
        await desk.run_of(0)
        async with asyncio.timeout(5):
            while True:
                if (await client.get("/api/factories/states")).json()["registered"] == 1:
                    break
                await asyncio.sleep(0.01)
        (factory,) = (await client.get("/api/factories")).json()
        assert (factory["state"], factory["campaign"]) == ("REGISTERED", key)


async def test_limits_and_the_user_are_shown() -> None:
    async with open_client(Desk()) as client:
        limits = (await client.get("/api/configuration/campaign")).json()["validation"]
        assert (limits["maxMinionsCount"], limits["maxExecutionDuration"]) == (1_000_000, "PT1H")
        assert limits["stage"]["minResolution"] is None
        profile = (await client.get("/api/users/profile")).json()
        assert profile["user"]["username"] == "local"
        assert len((await client.get("/api/users/permissions")).json()) == 11
        assert (await client.get("/api/configuration/security")).json() == {"strategy": "DISABLED"}


async def test_a_head_is_ready_when_a_factory_has_come() -> None:
    desk = Desk()
    async with open_client(desk) as client:
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503
        desk.welcome()
        assert (await client.get("/health/ready")).json() == {"status": "UP"}
        metrics = (await client.get("/metrics")).text
        assert "\nqalipsis_factories 1\n" in metrics


async def test_a_head_is_not_ready_when_all_its_factories_are_silent() -> None:
    desk = Desk()
    desk.welcome()
    async with open_client(desk) as client:
        await desk.pass_by(60.0)
        answer = await client.get("/health/ready")
        assert (answer.status_code, answer.json()["reason"]) == (503, "no factory is heard any more")
        assert "\nqalipsis_factories 0\n" in (await client.get("/metrics")).text


async def test_a_scenario_is_shown_as_a_factory_offers_it_that_is_there() -> None:
    desk = Desk()
    desk.welcome("vanished", minions=10)
    async with open_client(desk) as client:
        await desk.pass_by(60.0)
        desk.welcome("here", minions=77)
        scenarios = (await client.get("/api/scenarios")).json()
        assert {each["name"]: each["minionsCount"] for each in scenarios} == {"browse": 77, "stages": 4}


async def test_the_api_describes_itself_and_loads_nothing_from_elsewhere() -> None:
    async with open_client(Desk()) as client:
        described = (await client.get("/api/openapi.json")).json()
        assert described["openapi"].startswith("3.1")
        assert "/api/campaigns/{key}/abort" in described["paths"]
        page = await client.get("/api/docs")
        assert page.status_code == 200
        assert "/api/campaigns/{key}/abort" in page.text
        assert "://" not in page.text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "PT0S"), (0.5, "PT0.5S"), (90, "PT1M30S"), (3600, "PT1H"), (90_000, "PT25H")]
)
def test_durations_are_told_as_iso(seconds: float, text: str) -> None:
    assert iso(seconds) == text
