"""Data series over the REST API: made, listed, shared, changed, deleted, and what they can be made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from qalipsis.head.api_keys import new_key
from tests.head.api.desk import Desk, open_client
from tests.head.api.measured import measure


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(desk) as client:
        yield client


def series(**changes: Any) -> dict[str, Any]:
    return {"displayName": "Payments", "dataType": "METERS", "valueName": "step.latency"} | changes


async def create(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/api/data-series", json=series(**changes))
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def test_a_series_is_created_as_it_was_asked_for(client: httpx.AsyncClient) -> None:
    created = await create(
        client,
        sharingMode="write",
        color="#1a2b3c",
        colorOpacity=40,
        filters={"name": "step", "operator": "is_in", "value": ["pay", 7]},
        fieldName="percentile_99.0",
        aggregationOperation="max",
        timeframeUnit="PT10S",
        displayFormat="#0.0",
        somethingElse=1,
    )
    assert created == {
        "reference": created["reference"],
        "version": created["version"],
        "creator": "local",
        "displayName": "Payments",
        "sharingMode": "WRITE",
        "dataType": "METERS",
        "valueName": "step.latency",
        "color": "#1A2B3C",
        "filters": [{"name": "step", "operator": "IS_IN", "value": "pay,7"}],
        "fieldName": "percentile_99.0",
        "aggregationOperation": "MAX",
        "timeframeUnit": "PT10S",
        "displayFormat": "#0.0",
        "colorOpacity": 40,
    }
    assert (await client.get(f"/api/data-series/{created['reference']}")).json() == created


async def test_minions_count_exists_from_the_start_and_stays(client: httpx.AsyncClient) -> None:
    (found,) = (await client.get("/api/data-series")).json()["elements"]
    assert (found["displayName"], found["reference"]) == ("minions.count", "minions.count")
    answer = await client.delete("/api/data-series?series=minions.count")
    assert (answer.status_code, len(answer.json()["errors"])) == (403, 1)


@pytest.mark.parametrize(
    ("changes", "property"),
    [
        ({"displayName": "ab"}, "dataSeries.displayName"),
        ({"valueName": "x" * 101}, "dataSeries.valueName"),
        ({"sharingMode": "some"}, "dataSeries.sharingMode"),
        ({"dataType": "LOGS"}, "dataSeries.dataType"),
        ({"color": "red"}, "dataSeries.color"),
        ({"colorOpacity": 101}, "dataSeries.colorOpacity"),
        ({"aggregationOperation": "MEDIAN"}, "dataSeries.aggregationOperation"),
        (
            {"fieldName": "percentile_99.0", "aggregationOperation": "AVERAGE"},
            "dataSeries.aggregationOperation",
        ),
        ({"fieldName": "percentile_99.0"}, "dataSeries.aggregationOperation"),
        ({"timeframeUnit": "soon"}, "dataSeries.timeframeUnit"),
        ({"timeframeUnit": "PT0.1S"}, "dataSeries.timeframeUnit"),
        (
            {"filters": [{"name": "a", "operator": "NEARLY", "value": ""}]},
            "dataSeries.filters[0].operator",
        ),
        ({"filters": [{"name": "a"}]}, "dataSeries.filters[0]"),
        ({"displayName": None}, "dataSeries.displayName"),
    ],
)
async def test_what_is_wrong_is_named(
    client: httpx.AsyncClient, changes: dict[str, Any], property: str
) -> None:
    answer = await client.post("/api/data-series", json=series(**changes))
    assert answer.status_code == 400
    assert [each["property"] for each in answer.json()["errors"]] == [property]


async def test_a_change_touches_only_what_it_names(client: httpx.AsyncClient) -> None:
    created = await create(client, color="#000000", fieldName="mean")
    path = f"/api/data-series/{created['reference']}"
    changed = (await client.patch(path, json={"displayName": "Later", "color": None})).json()
    assert changed == created | {"displayName": "Later", "color": None, "version": changed["version"]}
    listed = [{"type": "fieldName", "fieldName": "max"}, {"type": "sharingMode", "sharingMode": "none"}]
    assert (await client.patch(path, json=listed)).json()["sharingMode"] == "NONE"
    stale = await client.patch(path, json={"version": created["version"], "displayName": "Too late"})
    assert stale.status_code == 409
    assert "somebody else" in stale.json()["errors"][0]
    assert (await client.patch(path, json={"color": "x"})).status_code == 400
    assert (await client.patch("/api/data-series/nowhere", json={})).status_code == 404


async def test_series_are_listed_by_page_filter_and_sort(client: httpx.AsyncClient) -> None:
    for name in ("Beta", "alpha", "Gamma ray"):
        await create(client, displayName=name)
    page = (await client.get("/api/data-series?size=2&page=1")).json()
    assert (page["page"], page["totalPages"], page["totalElements"]) == (1, 2, 4)
    assert [each["displayName"] for each in page["elements"]] == ["Gamma ray", "minions.count"]
    names = [
        [each["displayName"] for each in (await client.get(f"/api/data-series?{query}")).json()["elements"]]
        for query in ("filter=MA,minions&sort=displayName:desc", "filter=b*a", "filter=nothing")
    ]
    assert names == [["minions.count", "Gamma ray"], ["Beta"], []]
    assert (await client.get("/api/data-series?size=101")).status_code == 400
    assert (await client.get("/api/data-series?sort=color")).status_code == 400


async def test_deletion_is_of_all_or_none(client: httpx.AsyncClient) -> None:
    one, two, three = [(await create(client))["reference"] for _ in range(3)]
    assert (await client.delete(f"/api/data-series?series={one},nowhere")).status_code == 404
    assert (await client.delete(f"/api/data-series?series={one}&series={two}")).status_code == 202
    left = (await client.get("/api/data-series")).json()["elements"]
    assert [each["reference"] for each in left] == ["minions.count", three] or three in str(left)
    assert (await client.get(f"/api/data-series/{one}")).status_code == 404


async def test_creators_decide_what_others_may_do() -> None:
    desk = Desk(needs_key=True)
    texts = {}
    for name in ("ann", "bob"):
        key, texts[name] = new_key(name, "tester")
        desk.ring.keys[key.reference] = key
    reader, texts["reader"] = new_key("eve", "reader")
    desk.ring.keys[reader.reference] = reader

    async with (
        open_client(desk, Authorization=f"Bearer {texts['ann']}") as ann,
        open_client(desk, Authorization=f"Bearer {texts['bob']}") as bob,
        open_client(desk, Authorization=f"Bearer {texts['reader']}") as eve,
    ):
        status = {}
        for mode in ("READONLY", "WRITE", "NONE"):
            created = await create(ann, sharingMode=mode)
            path = f"/api/data-series/{created['reference']}"
            status[mode] = (
                (await bob.get(path)).status_code,
                (await bob.patch(path, json={"displayName": "Bob's"})).status_code,
                (await bob.delete(f"/api/data-series?series={created['reference']}")).status_code,
                (await eve.patch(path, json={})).status_code,
            )
        assert status == {
            "READONLY": (200, 403, 403, 403),
            "WRITE": (200, 200, 202, 403),
            "NONE": (404, 404, 404, 403),
        }
        seen = [(await each.get("/api/data-series")).json()["totalElements"] for each in (ann, bob)]
        assert seen == [3, 2]
        assert (await eve.post("/api/data-series", json=series())).status_code == 403


async def test_names_fields_and_tags_are_those_that_were_measured(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    await measure(desk.store, "c-1")
    names = (await client.get("/api/data-series/METERS/names?campaign=c-1&filter=step")).json()
    assert names == ["step.executions", "step.failures", "step.latency"]
    assert "minions.count" in (await client.get("/api/data-series/meters/names")).json()
    fields = (await client.get("/api/data-series/METERS/fields?name=step.latency")).json()
    assert {"name": "mean", "type": "NUMBER", "unit": "MILLISECONDS"} in fields
    assert {"name": "count", "type": "NUMBER", "unit": None} in fields
    assert {"name": "percentile_99.0", "type": "NUMBER", "unit": "MILLISECONDS"} in fields
    tags = (await client.get("/api/data-series/METERS/tags?campaign=c-1")).json()
    assert tags == {"scenario": ["buy"], "step": ["pay"]}
    for path in ("names", "fields"):
        assert (await client.get(f"/api/data-series/EVENTS/{path}")).json() == []
        assert (await client.get(f"/api/data-series/OTHER/{path}")).status_code == 400
        assert (await client.get(f"/api/data-series/METERS/{path}?campaign=x")).status_code == 404
    assert (await client.get("/api/data-series/EVENTS/tags")).json() == {}
    created = await create(client, valueName="never.measured")
    found = (await client.get("/api/data-series?campaign=c-1")).json()["elements"]
    assert created["reference"] not in [each["reference"] for each in found]
    assert [each["reference"] for each in found] == ["minions.count"]


@pytest.mark.parametrize("value", ["many", "", "nan", "inf"])
async def test_what_is_compared_with_no_number_is_refused(client: httpx.AsyncClient, value: str) -> None:
    filters = [{"name": "count", "operator": "IS_GREATER_THAN", "value": value}]
    answer = await client.post("/api/data-series", json=series(filters=filters))
    assert answer.status_code == 400
    assert [each["property"] for each in answer.json()["errors"]] == ["dataSeries.filters[0].value"]
