"""Campaigns over the REST API: what clients can do, and what they are told when they cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from qalipsis.head.live_stream import StateEntered
from qalipsis.head.ownership import Fenced
from qalipsis.head.service import LEFT_BEHIND
from tests.head.api.desk import NO_FACTORY, Desk, configuration, open_client


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.welcome()
    return desk


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(desk) as client:
        yield client


UPSIDE_DOWN = {"profile": "time_frame", "periodInMs": 9, "timeFrameInMs": 1}


async def start(client: httpx.AsyncClient, **changes: Any) -> str:
    answer = await client.post("/api/campaigns", json=configuration(**changes))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["key"])


async def test_a_campaign_is_started_watched_and_reported(desk: Desk, client: httpx.AsyncClient) -> None:
    key = await start(client, speedFactor=2, startOffsetMs=300, somethingElse=1)
    run = await desk.run_of(0)
    assert (list(run.request.scenarios), run.request.speed_factor, run.request.start_offset) == (
        ["browse"],
        2.0,
        0.3,
    )
    details = await desk.until(client, key, "IN_PROGRESS")
    assert (details["startedMinions"], details["successfulExecutions"], details["failedExecutions"]) == (
        7,
        28,
        2,
    )
    assert details["completedMinions"] == 1, "one of the two that ended has failed"
    assert details["scenarios"][0]["steps"][0]["totalExecutions"] == 30
    assert details["verdict"] is None
    run.go()
    details = await desk.until(client, key, "SUCCESSFUL")
    assert details["verdict"]["value"]
    report = await client.get(f"/api/campaigns/{key}/report")
    assert report.headers["content-disposition"] == f'attachment; filename="{key}.html"'
    assert report.headers["content-type"] == "text/html; charset=utf-8"
    assert "<!doctype html>" in report.text.lower()


async def test_the_second_campaign_waits_for_the_first(desk: Desk, client: httpx.AsyncClient) -> None:
    first, second = await start(client), await start(client, name="the second")
    (await desk.run_of(0)).go()
    assert (await desk.until(client, first, "SUCCESSFUL"))["end"] is not None
    await desk.until(client, second, "IN_PROGRESS")
    assert len(desk.runs) == 2


async def test_a_campaign_that_waits_is_aborted_before_it_ran(desk: Desk, client: httpx.AsyncClient) -> None:
    first, second = await start(client), await start(client)
    run = await desk.run_of(0)
    assert (await client.post(f"/api/campaigns/{second}/abort")).status_code == 202
    details = await desk.until(client, second, "ABORTED")
    assert details["aborterName"] == "local"
    run.go()
    await desk.until(client, first, "SUCCESSFUL")
    assert len(desk.runs) == 1


@pytest.mark.parametrize(
    ("query", "body", "is_hard"),
    [("", None, False), ("?hard=true", None, True), ("", {"hard": True}, True), ("", {"hard": False}, False)],
)
async def test_a_campaign_is_stopped_softly_or_hard(
    desk: Desk, client: httpx.AsyncClient, query: str, body: Any, is_hard: bool
) -> None:
    key = await start(client)
    run = await desk.run_of(0)
    await desk.until(client, key, "IN_PROGRESS")
    answer = await client.post(
        f"/api/campaigns/{key}/abort{query}", **({} if body is None else {"json": body})
    )
    assert answer.status_code == 202
    await desk.until(client, key, "ABORTED")
    assert run.stops == [(is_hard, "by local")]
    assert (await client.post(f"/api/campaigns/{key}/abort")).status_code == 202


async def test_a_campaign_that_fails_says_why_and_the_next_one_runs(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    keys = [await start(client) for _ in range(3)]
    (await desk.run_of(0)).go(NO_FACTORY)
    (await desk.run_of(1)).go(RuntimeError("a secret of ours"))
    (await desk.run_of(2)).go()
    reasons = [(await desk.until(client, key, "FAILED"))["failureReason"] for key in keys[:2]]
    assert reasons == [
        "no factory could do it",
        "an unexpected error occurred, the log of the head says more",
    ]
    await desk.until(client, keys[2], "SUCCESSFUL")


async def test_a_timeout_is_asked_for(desk: Desk, client: httpx.AsyncClient) -> None:
    await start(client, timeout="PT0.05S", hardTimeout=True)
    request = (await desk.run_of(0)).request
    assert (request.timeout, request.is_hard_timeout) == (0.05, True)


async def test_a_campaign_is_replayed_as_it_was_configured(desk: Desk, client: httpx.AsyncClient) -> None:
    profile = {"executionProfile": {"profile": "default"}, "minionsCount": 25}
    key = await start(client, scenarios={"browse": profile})
    shown = (await client.get(f"/api/campaigns/{key}/configuration")).json()
    assert shown["scenarios"]["browse"]["minionsCount"] == 25
    assert shown["scenarios"]["browse"]["executionProfile"] == {"profile": "DEFAULT"}
    assert shown["timeout"] is None
    again = await client.post(f"/api/campaigns/{key}/replay")
    assert again.status_code == 200
    assert again.json()["key"] != key
    (await desk.run_of(0)).go()
    assert (await desk.run_of(1)).request.scenarios["browse"].minions == 25


async def test_the_stream_goes_on_when_another_head_goes_on_with_the_campaign(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    key = await start(client)
    run = await desk.run_of(0)
    await desk.until(client, key, "IN_PROGRESS")
    happenings = await desk.service.follow(key)
    await anext(happenings)
    run.go(Fenced("another head was quicker"))
    async with asyncio.timeout(10):
        states = [each async for each in happenings if isinstance(each, StateEntered)]
    assert states[-1].status == "FAILED", "the end, not the moment in which it changed hands"


async def test_the_stream_tells_everything_until_the_end(desk: Desk, client: httpx.AsyncClient) -> None:
    key = await start(client)
    run = await desk.run_of(0)
    await desk.until(client, key, "IN_PROGRESS")
    happenings = await desk.service.follow(key)
    first = [type(await anext(happenings)).__name__ for _ in range(3)]
    assert first == ["StateEntered", "Noticed", "Live"]
    run.go()
    await desk.until(client, key, "SUCCESSFUL")
    assert [each async for each in happenings][-1].status == "SUCCESSFUL"  # type: ignore[union-attr]
    over = await client.get(f"/api/campaigns/{key}/stream")
    assert over.headers["content-type"].startswith("text/event-stream")
    assert "event: state" in over.text
    assert '"status": "SUCCESSFUL"' in over.text


async def test_campaigns_are_listed_by_page(desk: Desk, client: httpx.AsyncClient) -> None:
    keys = [await start(client, name=f"campaign {letter}") for letter in "abc"]
    page = (await client.get("/api/campaigns?sort=name:asc&size=2")).json()
    assert (page["page"], page["totalPages"], page["totalElements"]) == (0, 2, 3)
    assert [each["name"] for each in page["elements"]] == ["campaign a", "campaign b"]
    found = (await client.get("/api/campaigns", params={"filter": "*ign B,nothing"})).json()["elements"]
    assert [each["key"] for each in found] == [keys[1]]
    for name in ("excludedStatuses", "excluded-status"):
        page = (await client.get("/api/campaigns", params={name: "queued,in_progress"})).json()
        assert page["totalElements"] == 0
    assert (await client.get("/api/campaigns?sort=startTime:desc")).status_code == 200


@pytest.mark.parametrize(
    ("changes", "property", "message"),
    [
        ({"name": "ab"}, "campaign.name", "3 to 300 characters"),
        ({"name": 5}, "campaign.name", "Expected `str`"),
        ({"speedFactor": 0}, "campaign.speedFactor", "greater than 0"),
        ({"speedFactor": 1000}, "campaign.speedFactor", "at most 999"),
        ({"startOffsetMs": 15001}, "campaign.startOffsetMs", "0 to 15000"),
        ({"timeout": "soon"}, "campaign.timeout", "such as PT10M"),
        ({"scenarios": {}}, "campaign.scenarios", "at least one"),
        ({"scenarios": {"x": {"minionsCount": 1}}}, "campaign.scenarios[x]", "there is no scenario x"),
        ({"scenarios": {"browse": {"minionsCount": 0}}}, "campaign.scenarios[browse].minionsCount", "1 to"),
        (
            {"scenarios": {"browse": {"minionsCount": 1, "zones": {"eu": 100}}}},
            "campaign.scenarios[browse].zones",
            "there is no zone eu",
        ),
        (
            {"scenarios": {"stages": {"minionsCount": 5}}},
            "campaign.scenarios[stages]",
            "the stages of its profile start 4",
        ),
        (
            {"scenarios": {"browse": {"minionsCount": 1, "executionProfile": UPSIDE_DOWN}}},
            "campaign.scenarios[browse]",
            "periodInMs 9 is longer than timeFrameInMs 1",
        ),
    ],
)
async def test_a_bad_configuration_is_refused_property_by_property(
    client: httpx.AsyncClient, changes: dict[str, Any], property: str, message: str
) -> None:
    for path in ("/api/campaigns", "/api/campaigns/validate"):
        answer = await client.post(path, json=configuration(**changes))
        assert answer.status_code == 400
        (error,) = answer.json()["errors"]
        assert error["property"] == property
        assert message in error["message"]


async def test_a_good_configuration_is_valid_and_starts_nothing(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/api/campaigns/validate", json=configuration())
    assert (answer.status_code, answer.text) == (204, "")
    assert (await client.get("/api/campaigns")).json()["totalElements"] == 0


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"\xff", b'"\\ud800"', b'{"name": "abc"}'])
async def test_a_body_that_is_no_configuration_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/campaigns", content=body)
    assert answer.status_code == 400
    assert answer.json()["errors"]
    assert "Traceback" not in answer.text


async def test_a_body_that_is_too_large_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/campaigns", content=b" " * 1_000_001)
    assert (answer.status_code, answer.json()) == (
        413,
        {"errors": ["the body of the request is too large: at most 1 MB is taken"]},
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", f"/api/campaigns/nothing{rest}") for rest in ("", "/configuration", "/report", "/stream")),
        *(("POST", f"/api/campaigns/nothing/{rest}") for rest in ("abort", "replay")),
        *(("GET", "/api/nothing"), ("GET", "/nothing")),
    ],
)
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 404
    assert isinstance(answer.json()["errors"][0], str)


@pytest.mark.parametrize(
    "query", ["page=-1", "size=0", "page=x", "sort=colour", "sort=name:up", "excludedStatuses=GONE"]
)
async def test_a_list_that_cannot_be_made_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/api/campaigns?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"]


async def test_what_a_dead_head_left_behind_is_given_up(desk: Desk) -> None:
    await desk.store.save_state("left", "RUNNING", 1.0)
    async with open_client(desk) as client:
        details = await desk.until(client, "left", "FAILED")
    assert details["failureReason"] == LEFT_BEHIND


async def test_closing_aborts_what_runs_and_what_waits(desk: Desk, client: httpx.AsyncClient) -> None:
    first, second = await start(client), await start(client)
    await desk.run_of(0)
    await desk.until(client, first, "IN_PROGRESS")
    await desk.service.aclose(is_hard=True)
    for key in (first, second):
        assert (await client.get(f"/api/campaigns/{key}")).json()[0]["status"] == "ABORTED"
    assert (await client.post("/api/campaigns", json=configuration())).status_code == 400
