"""Scheduled campaigns over the REST API, in a time that leaps: it begins with the year 2000, a Saturday."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import httpx
import pytest

from qalipsis.head.api_keys import new_key
from qalipsis.testing.loop_clock import LoopClock
from qalipsis.testing.virtual_loop import VirtualLoop
from tests.head.api.desk import NO_FACTORY, Desk, configuration, open_client

ONE_O_CLOCK, LATER = "2000-01-01T01:00:00Z", "2001-01-01T00:00:00Z"
HOUR = 3600


def on_virtual_time(test: Callable[[Desk, httpx.AsyncClient], Awaitable[None]]) -> Callable[[], None]:
    """The test with a head whose time leaps, and a client of it."""

    async def run() -> None:
        desk = Desk(clock=LoopClock(cast("VirtualLoop", asyncio.get_running_loop())))
        desk.welcome()
        async with open_client(desk) as client:
            await test(desk, client)

    def wrapped() -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(run())

    wrapped.__name__ = test.__name__
    wrapped.__doc__ = test.__doc__
    return wrapped


async def schedule(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/api/campaigns/schedule", json=configuration(**changes))
    assert answer.status_code == 200, answer.text
    campaign: dict[str, Any] = answer.json()
    return campaign


async def listed(client: httpx.AsyncClient) -> list[tuple[str, str, str]]:
    """The end of the key, the status and the start of each campaign, the oldest first."""
    page = (await client.get("/api/campaigns?sort=creation:asc&size=100")).json()["elements"]
    return [(each["key"][22:], each["status"], each["start"]) for each in page]


async def let_run(desk: Desk) -> None:
    """Whatever is started ends."""
    done = 0
    while True:
        while done < len(desk.runs):
            desk.runs[done].go()
            done += 1
        await asyncio.sleep(1)


@on_virtual_time
async def test_a_campaign_starts_when_it_is_due(desk: Desk, client: httpx.AsyncClient) -> None:
    campaign = await schedule(client, scheduledAt="2000-01-01T02:00:00+01:00")
    assert (campaign["status"], campaign["start"]) == ("SCHEDULED", ONE_O_CLOCK)
    later = await schedule(client, scheduledAt="2000-01-01T01:00:00.5Z")
    await asyncio.sleep(HOUR - 0.1)
    assert desk.runs == []
    details = (await client.get(f"/api/campaigns/{campaign['key']}")).json()[0]
    assert (details["status"], details["start"], details["end"]) == ("SCHEDULED", ONE_O_CLOCK, None)
    await asyncio.sleep(0.2)
    assert [run.request.key for run in desk.runs] == [campaign["key"]]
    desk.runs[0].go()
    await desk.until(client, campaign["key"], "SUCCESSFUL")
    await desk.until(client, later["key"], "IN_PROGRESS")
    await asyncio.sleep(HOUR)
    assert len(desk.runs) == 2


@on_virtual_time
async def test_what_recurs_is_a_campaign_of_its_own_each_time(desk: Desk, client: httpx.AsyncClient) -> None:
    running = asyncio.create_task(let_run(desk))
    scheduling = {"scheduling": "hourly", "timeZone": "Asia/Kolkata", "restrictions": [7, 8, 10]}
    await schedule(client, scheduledAt=ONE_O_CLOCK, scheduling=scheduling)  # 06:30 there
    assert await listed(client) == [("", "SCHEDULED", "2000-01-01T02:00:00Z")]
    await asyncio.sleep(6 * HOUR)
    assert [(key, status) for key, status, _ in await listed(client)] == [
        *(("", "SUCCESSFUL"), ("-n2", "SUCCESSFUL"), ("-n3", "SUCCESSFUL"), ("-n4", "SCHEDULED"))
    ]
    assert (await listed(client))[-1][2] == "2000-01-02T02:00:00Z"
    assert len(desk.runs) == 3
    running.cancel()


@on_virtual_time
async def test_the_next_configuration_says_when_it_is_due(desk: Desk, client: httpx.AsyncClient) -> None:
    key = (await schedule(client, scheduledAt=ONE_O_CLOCK, scheduling={"scheduling": "daily"}))["key"]
    await asyncio.sleep(HOUR + 1)
    shown = (await client.get(f"/api/campaigns/{key}-n2/configuration")).json()
    assert shown["scheduledAt"] == "2000-01-02T01:00:00Z"
    assert shown["scheduling"] == {"scheduling": "DAILY", "timeZone": "UTC", "restrictions": []}
    assert shown["scenarios"] == {"browse": {"minionsCount": 10, "executionProfile": None, "zones": None}}
    changed = await client.put(f"/api/campaigns/schedule/{key}-n2", json=shown | {"name": "the second"})
    assert (changed.status_code, changed.json()["start"]) == (200, "2000-01-02T01:00:00Z")


@on_virtual_time
async def test_a_series_whose_campaigns_take_too_long_does_not_pile_up(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    await schedule(client, scheduledAt=ONE_O_CLOCK, scheduling={"scheduling": "HOURLY"})
    await asyncio.sleep(5.5 * HOUR)
    assert [(key, status) for key, status, _ in await listed(client)] == [
        *(("", "IN_PROGRESS"), ("-n2", "SCHEDULED"))
    ]
    desk.runs[0].go()
    await asyncio.sleep(2)
    assert [status for _, status, _ in await listed(client)] == ["SUCCESSFUL", "IN_PROGRESS", "SCHEDULED"]
    assert (await listed(client))[-1][2] == "2000-01-01T06:00:00Z"


@on_virtual_time
async def test_who_aborts_a_scheduled_campaign_ends_its_series(desk: Desk, client: httpx.AsyncClient) -> None:
    key = (await schedule(client, scheduledAt=ONE_O_CLOCK, scheduling={"scheduling": "HOURLY"}))["key"]
    assert (await client.post(f"/api/campaigns/{key}/abort")).status_code == 202
    details = (await client.get(f"/api/campaigns/{key}")).json()[0]
    assert (details["status"], details["aborterName"], details["start"]) == ("ABORTED", "local", None)
    assert (await client.post(f"/api/campaigns/{key}/abort")).status_code == 202
    changed = await client.put(f"/api/campaigns/schedule/{key}", json=due(scheduledAt=LATER))
    assert (changed.status_code, "it is ABORTED" in changed.text) == (400, True)
    await asyncio.sleep(3 * HOUR)
    assert len(await listed(client)) == 1
    assert desk.runs == []


@on_virtual_time
async def test_aborting_what_runs_leaves_the_next_one_scheduled(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    key = (await schedule(client, scheduledAt=ONE_O_CLOCK, scheduling={"scheduling": "HOURLY"}))["key"]
    await asyncio.sleep(HOUR + 1)
    assert (await client.post(f"/api/campaigns/{key}/abort")).status_code == 202
    await desk.until(client, key, "ABORTED")
    assert [status for _, status, _ in await listed(client)] == ["ABORTED", "SCHEDULED"]
    assert (await client.post(f"/api/campaigns/{key}-n2/abort")).status_code == 202
    assert [status for _, status, _ in await listed(client)] == ["ABORTED", "ABORTED"]


@on_virtual_time
async def test_aborting_what_is_due_and_waits_for_its_turn_ends_its_series(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    await client.post("/api/campaigns", json=configuration(name="in the way"))
    key = (await schedule(client, scheduledAt=ONE_O_CLOCK, scheduling={"scheduling": "HOURLY"}))["key"]
    await asyncio.sleep(HOUR + 2)
    assert (await client.post(f"/api/campaigns/{key}/abort")).status_code == 202
    desk.runs[0].go()
    await asyncio.sleep(3 * HOUR)
    # Both are of the same moment here, and then the newest comes first.
    assert [status for _, status, _ in await listed(client)] == ["ABORTED", "SUCCESSFUL"]


@on_virtual_time
async def test_a_scheduled_campaign_is_replaced(desk: Desk, client: httpx.AsyncClient) -> None:
    key = (await schedule(client, scheduledAt=ONE_O_CLOCK, scheduling={"scheduling": "HOURLY"}))["key"]
    other = due(scheduledAt="2000-01-01T00:30:00Z", name="sooner", scenarios={"browse": {"minionsCount": 3}})
    answer = await client.put(f"/api/campaigns/schedule/{key}", json=other)
    assert (answer.status_code, answer.json()["status"], answer.json()["start"]) == (
        *(200, "SCHEDULED", "2000-01-01T00:30:00Z"),
    )
    await asyncio.sleep(HOUR / 2 + 1)
    (run,) = desk.runs
    assert (run.request.key, run.request.name, run.request.scenarios["browse"].minions) == (key, "sooner", 3)
    refused = await client.put(f"/api/campaigns/schedule/{key}", json=due(scheduledAt=LATER))
    assert (refused.status_code, "only one that waits" in refused.text) == (400, True)
    run.go()
    await asyncio.sleep(2 * HOUR)
    assert len(desk.runs) == 1  # it does not recur any more
    unknown = await client.put("/api/campaigns/schedule/nothing", json=due())
    assert (unknown.status_code, unknown.json()) == (404, {"errors": ["there is no campaign nothing"]})


@on_virtual_time
async def test_a_series_outlives_its_failures(desk: Desk, client: httpx.AsyncClient) -> None:
    await schedule(client, scheduledAt=ONE_O_CLOCK, scheduling={"scheduling": "HOURLY"})
    await asyncio.sleep(HOUR + 1)
    desk.runs[0].go(NO_FACTORY)
    desk.see_off()
    await asyncio.sleep(HOUR + 30)  # the second is due, and its factories may still come
    assert [status for _, status, _ in await listed(client)] == ["FAILED", "SCHEDULED"]
    await asyncio.sleep(60)
    page = (await client.get("/api/campaigns?sort=creation:asc")).json()["elements"]
    assert [each["status"] for each in page] == ["FAILED", "FAILED", "SCHEDULED"]
    assert "there is no scenario browse" in page[1]["failureReason"]
    desk.welcome()
    await asyncio.sleep(HOUR)
    assert [status for _, status, _ in await listed(client)][2:] == ["IN_PROGRESS", "SCHEDULED"]


@on_virtual_time
async def test_a_campaign_that_was_scheduled_is_replayed_at_once(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    key = (await schedule(client, scheduledAt=ONE_O_CLOCK, scheduling={"scheduling": "HOURLY"}))["key"]
    answer = await client.post(f"/api/campaigns/{key}/replay")
    assert (answer.status_code, answer.json()["status"]) == (200, "QUEUED")
    shown = (await client.get(f"/api/campaigns/{answer.json()['key']}/configuration")).json()
    assert (shown["scheduledAt"], shown["scheduling"]) == (None, None)


def due(**changes: Any) -> dict[str, Any]:
    return configuration(**{"scheduledAt": "2100-01-01T00:00:00Z"} | changes)


def recurring(**scheduling: Any) -> dict[str, Any]:
    return {"scheduling": {"scheduling": "MONTHLY"} | scheduling}


WRONG = [
    ({"scheduledAt": None}, "campaign.scheduledAt", "say when"),
    ({"scheduledAt": ""}, "campaign.scheduledAt", "such as 2030-01-31T09:00:00Z"),
    ({"scheduledAt": "tomorrow"}, "campaign.scheduledAt", "such as 2030-01-31T09:00:00Z"),
    ({"scheduledAt": "2100-01-01T00:00:00"}, "campaign.scheduledAt", "offset from UTC"),
    ({"scheduledAt": "0001-01-01T00:00:00+12:00"}, "campaign.scheduledAt", "such as"),
    ({"scheduledAt": "2001-01-01T00:00:00Z"}, "campaign.scheduledAt", "must be in the future"),
    ({"scheduledAt": "9999-12-31T23:59:59Z"}, "campaign.scheduledAt", "within ten years"),
    ({"scheduledAt": 5}, "campaign.scheduledAt", "Expected `str"),
    (recurring(scheduling="YEARLY"), "campaign.scheduling.scheduling", "HOURLY, DAILY, MONTHLY"),
    (recurring(timeZone="Mars/Olympus"), "campaign.scheduling.timeZone", "'Mars/Olympus'"),
    (recurring(restrictions=[0]), "campaign.scheduling.restrictions", "-1 (the last one) to -15"),
    (recurring(scheduling="daily", restrictions=9), "campaign.scheduling.restrictions", "9 cannot"),
    (recurring(scheduling="hourly", restrictions=[24]), "campaign.scheduling.restrictions", "0 to 23"),
    (recurring(restrictions=["x"]), "campaign.scheduling.restrictions[0]", "Expected `int`"),
    ({"name": "ab"}, "campaign.name", "3 to 300 characters"),
    ({"scenarios": {"x": {"minionsCount": 1}}}, "campaign.scenarios[x]", "there is no scenario x"),
]


@pytest.mark.parametrize(("changes", "property", "message"), WRONG)
async def test_a_bad_schedule_is_refused_property_by_property(
    changes: dict[str, Any], property: str, message: str
) -> None:
    desk = Desk()
    desk.welcome()
    async with open_client(desk) as client:
        in_a_year = {"scheduledAt": f"{desk.service._scheduler.now().year + 1}-12-31T00:00:00Z"}
        body = configuration(**in_a_year | changes)
        key = (await schedule(client, **in_a_year))["key"]
        answers = [
            await client.post("/api/campaigns/schedule", json=body),
            await client.put(f"/api/campaigns/schedule/{key}", json=body),
        ]
        if changes.get("scheduledAt", "") is not None:  # without, it is one that starts at once
            answers.append(await client.post("/api/campaigns/validate", json=body))
        for answer in answers:
            assert answer.status_code == 400
            (error,) = answer.json()["errors"]
            assert error["property"] == property
            assert message in error["message"]
        assert (await client.get("/api/campaigns")).json()["totalElements"] == 1


async def test_all_that_is_wrong_is_told_at_once() -> None:
    desk = Desk()
    desk.welcome()
    async with open_client(desk) as client:
        body = configuration(name="x", scheduledAt="1999-01-01T00:00:00Z", **recurring(timeZone="?"))
        errors = (await client.post("/api/campaigns/schedule", json=body)).json()["errors"]
        assert [each["property"] for each in errors] == [
            *("campaign.name", "campaign.scheduledAt", "campaign.scheduling.timeZone")
        ]


@pytest.mark.parametrize("changes", [{"scheduledAt": "2100-01-01T00:00:00Z"}, recurring()])
async def test_what_is_to_start_at_once_has_no_schedule(changes: dict[str, Any]) -> None:
    desk = Desk()
    desk.welcome()
    async with open_client(desk) as client:
        answer = await client.post("/api/campaigns", json=configuration(**changes))
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["property"]) == (400, "campaign.scheduledAt")
        assert "/campaigns/schedule" in error["message"]


async def test_a_good_schedule_is_valid_and_schedules_nothing() -> None:
    desk = Desk()
    desk.welcome()
    async with open_client(desk) as client:
        year = desk.service._scheduler.now().year + 1
        body = configuration(scheduledAt=f"{year}-02-28T00:00:00Z", **recurring(restrictions=[-1]))
        assert (await client.post("/api/campaigns/validate", json=body)).status_code == 204
        assert (await client.get("/api/campaigns")).json()["totalElements"] == 0


@pytest.mark.parametrize(("role", "refused"), [("reader", True), ("tester", False), ("administrator", False)])
async def test_a_role_decides_who_schedules(role: str, refused: bool) -> None:
    desk = Desk(needs_key=True)
    key, text = new_key("ci", role)
    desk.ring.keys[key.reference] = key
    async with open_client(desk, Authorization=f"Bearer {text}") as client:
        answers = [
            await client.post("/api/campaigns/schedule", json=due()),
            await client.put("/api/campaigns/schedule/nothing", json=due()),
        ]
        assert [answer.status_code == 403 for answer in answers] == [refused, refused]


async def test_the_description_shows_schedules() -> None:
    async with open_client(Desk()) as client:
        described = (await client.get("/api/openapi.json")).json()
        assert set(described["paths"]["/api/campaigns/schedule"]) == {"post"}
        assert set(described["paths"]["/api/campaigns/schedule/{key}"]) == {"put"}
        assert "/api/campaigns/schedule" in (await client.get("/api/docs")).text
