"""What data series show over the REST API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.head.api.desk import Desk, open_client
from tests.head.api.measured import AT, measure, measure_zones

DAY = 86_400
WIDE = "from=2023-11-14T00:00:00Z&until=2023-11-16T00:00:00Z"


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    await measure(desk.store, "c-1")
    await measure(desk.store, "c-2", at=AT + 1000, seconds=4)
    return desk


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(desk) as client:
        yield client


async def create(client: httpx.AsyncClient, **fields: Any) -> str:
    asked = {"displayName": "Payments", "dataType": "METERS", "valueName": "step.latency"} | fields
    answer = await client.post("/api/data-series", json=asked)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["reference"])


async def test_buckets_begin_with_their_campaign(client: httpx.AsyncClient) -> None:
    query = "series=minions.count&campaigns=c-1,c-2&timeframe=PT5S"
    answer = (await client.get(f"/api/time-series/aggregate?{query}")).json()
    values = answer["minions.count"]["values"]
    assert [(each["campaign"], each["elapsed"], each["value"]) for each in values] == [
        ("c-1", "PT0S", 4.0),
        ("c-1", "PT5S", 9.0),
        ("c-2", "PT0S", 3.0),
    ]
    assert values[0]["start"] == "2023-11-14T22:13:23.250000Z"
    assert answer["minions.count"]["summary"] == {"value": 9.0, "measurements": 14}


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        # 0·1 + 10·2 + … + 90·10 ms in 55 executions: a mean of all of them, not of the seconds' means.
        ({"fieldName": "mean"}, 60.0),
        ({}, 60.0),
        ({"fieldName": "count", "aggregationOperation": "SUM"}, 55.0),
        ({"fieldName": "max", "aggregationOperation": "MAX"}, 180.0),
        ({"fieldName": "percentile_99.0", "aggregationOperation": "MAX"}, 135.0),
        ({"fieldName": "percentile_99.0", "aggregationOperation": "PERCENTILE_75"}, 105.0),
        ({"fieldName": "max", "aggregationOperation": "COUNT"}, 10.0),
        ({"fieldName": "nothing"}, None),
        ({"filters": [{"name": "step", "operator": "IS", "value": "buy"}]}, None),
        ({"filters": [{"name": "step", "operator": "IS_NOT_LIKE", "value": "b*"}]}, 60.0),
        ({"filters": [{"name": "scenario", "operator": "IS_IN", "value": "a,buy"}]}, 60.0),
        ({"filters": [{"name": "count", "operator": "IS_LOWER_OR_EQUAL_TO", "value": 1}]}, 0.0),
        ({"dataType": "EVENTS"}, None),
    ],
)
async def test_an_operation_is_exact(
    client: httpx.AsyncClient, fields: dict[str, Any], value: float | None
) -> None:
    series = await create(client, **fields)
    query = f"series={series}&campaigns=c-1&timeframe=PT1M"
    answer = (await client.get(f"/api/time-series/aggregate?{query}")).json()[series]
    assert answer["summary"]["value"] == value
    assert [each["value"] for each in answer["values"]] == ([] if value is None else [value])


async def test_the_time_and_the_scenarios_narrow_it(client: httpx.AsyncClient) -> None:
    base = "/api/time-series/aggregate?series=minions.count&campaigns=c-1"
    cut = (await client.get(f"{base}&from=2023-11-14T22:13:25Z&until=2023-11-14T22:13:28Z")).json()
    assert [each["elapsed"] for each in cut["minions.count"]["values"]] == ["PT2S", "PT3S", "PT4S"]
    series = await create(client)
    for scenarios, number in (("buy", 10), ("other", 0)):
        query = f"series={series}&campaigns=c-1&scenarios={scenarios}"
        found = (await client.get(f"/api/time-series/aggregate?{query}")).json()[series]
        assert len(found["values"]) == number


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("aggregate?series=minions.count", 400),
        ("aggregate?series=minions.count&campaigns=,", 400),
        ("aggregate?series=minions.count&campaigns=c-9", 404),
        ("aggregate?series=nothing&campaigns=c-1", 404),
        ("aggregate?series=minions.count&campaigns=c-1&timeframe=soon", 400),
        ("aggregate?series=minions.count&campaigns=c-1&timeframe=PT0.1S", 400),
        ("aggregate?series=minions.count&campaigns=c-1&from=yesterday", 400),
        (f"aggregate?series=minions.count&campaigns=c-1&zones={','.join(map(str, range(101)))}", 400),
        ("search?series=minions.count&campaigns=c-1", 400),
        (f"search?series=minions.count&campaigns=c-1&size=10001&{WIDE}", 400),
        ("summary/campaign-status?timeframe=PT1S", 400),
        ("summary/campaign-status?from=2001-01-01T00:00:00Z&timeframe=PT1H", 400),
    ],
)
async def test_what_cannot_be_answered_says_why(client: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await client.get(f"/api/time-series/{path}")
    assert (answer.status_code, len(answer.json()["errors"])) == (status, 1)


async def test_single_meters_are_found_page_by_page(client: httpx.AsyncClient) -> None:
    series = await create(client)
    query = f"series={series},minions.count&campaigns=c-1,c-2&{WIDE}&page=1&size=9"
    answer = (await client.get(f"/api/time-series/search?{query}")).json()
    assert [answer[series][name] for name in ("page", "totalPages", "totalElements")] == [1, 2, 14]
    meter = answer[series]["elements"][0]
    assert meter == {
        "name": "step.latency",
        "timestamp": "2023-11-14T22:13:32.250000Z",
        "type": "timer",
        "tags": {"step": "pay"},
        "campaign": "c-1",
        "scenario": "buy",
        "zone": None,
        "count": 10,
        "value": None,
        "sum": 900.0,
        "mean": 90.0,
        "max": 180.0,
        "duration": None,
        "other": meter["other"],
    }
    assert meter["other"]["percentile_99.0"] == 135.0
    assert answer["minions.count"]["elements"][0]["value"] == 9.0


@pytest.mark.parametrize(
    ("zones", "executions", "slowest", "minions"),
    [
        ("", [0.0, 3.0, 6.0], 30.0, [4.0, 4.0, 4.0]),
        ("&zones=east", [0.0, 1.0, 2.0], 10.0, [1.0, 1.0, 1.0]),
        ("&zones=west", [0.0, 2.0, 4.0], 20.0, [3.0, 3.0, 3.0]),
        ("&zones=west,east,north", [0.0, 3.0, 6.0], 20.0, [4.0, 4.0, 4.0]),
        ("&zones=east&zones=west", [0.0, 3.0, 6.0], 20.0, [4.0, 4.0, 4.0]),
        ("&zones=north", [], None, []),
        ("&zones=,", [0.0, 3.0, 6.0], 30.0, [4.0, 4.0, 4.0]),
    ],
)
async def test_zones_are_asked_for_by_their_keys(
    desk: Desk,
    client: httpx.AsyncClient,
    zones: str,
    executions: list[float],
    slowest: float | None,
    minions: list[float],
) -> None:
    await measure_zones(desk.store, "z-1")
    asked: list[dict[str, Any]] = [
        {"valueName": "step.executions", "fieldName": "count", "aggregationOperation": "SUM"},
        {"fieldName": "percentile_99.0", "aggregationOperation": "MAX"},
        {"valueName": "minions.count", "fieldName": "value", "aggregationOperation": "SUM"},
    ]
    series = [await create(client, **fields) for fields in asked]
    query = f"series={','.join(series)}&campaigns=z-1{zones}"
    answer = (await client.get(f"/api/time-series/aggregate?{query}")).json()
    values = [[each["value"] for each in answer[reference]["values"]] for reference in series]
    assert (values[0], values[2]) == (executions, minions)
    assert answer[series[1]]["summary"]["value"] == slowest


async def test_single_meters_name_their_zone(desk: Desk, client: httpx.AsyncClient) -> None:
    await measure_zones(desk.store, "z-1")
    query = f"series=minions.count&campaigns=z-1,c-1&{WIDE}"
    for zones, found, number in (("", {None}, 13), ("east,west", {"east", "west"}, 6), ("north", set(), 0)):
        answer = (await client.get(f"/api/time-series/search?{query}&zones={zones}")).json()["minions.count"]
        assert {each["zone"] for each in answer["elements"]} == found
        assert answer["totalElements"] == number


async def test_what_there_is_to_choose_from_is_the_same_whatever_the_zones(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    await measure_zones(desk.store, "z-1")
    assert (await client.get("/api/data-series/METERS/tags?campaign=z-1")).json() == {
        "scenario": ["buy"],
        "step": ["pay"],
    }
    names = (await client.get("/api/data-series/METERS/names?campaign=z-1")).json()
    assert len(names) == len(set(names))


async def test_campaigns_are_counted_by_how_they_ended(desk: Desk, client: httpx.AsyncClient) -> None:
    for number, (state, later) in enumerate([("FAILED", 0), ("ABORTED", DAY), ("RUNNING", DAY)]):
        await desk.store.save_state(f"d-{number}", "RUNNING", AT + later)
        await desk.store.save_state(f"d-{number}", state, AT + later + 1)
    path = "/api/time-series/summary/campaign-status?from=2023-11-14T00:00:00Z&until=2023-11-16T00:00:00Z"
    counted = (await client.get(path)).json()
    assert [(each["start"][:13], each["successful"], each["failed"]) for each in counted] == [
        ("2023-11-14T00", 0, 1),
        ("2023-11-15T00", 0, 1),
        ("2023-11-16T00", 0, 0),
    ]
    shifted = (await client.get(f"{path}&timeOffset=2")).json()
    assert [(each["start"][:13], each["failed"]) for each in shifted] == [
        ("2023-11-13T22", 0),
        ("2023-11-14T22", 1),
        ("2023-11-15T22", 1),
    ]


@pytest.mark.parametrize(
    ("query", "name"), [("from=yesterday", "from"), ("timeOffset=25", "timeOffset"), ("until=x", "until")]
)
async def test_a_wrong_parameter_is_called_as_it_was_sent(
    client: httpx.AsyncClient, query: str, name: str
) -> None:
    answer = await client.get(f"/api/time-series/summary/campaign-status?{query}")
    assert answer.status_code == 400
    assert [each["property"] for each in answer.json()["errors"]] == [name]
