"""Reports over the REST API: put together, rendered by a process of their own, downloaded."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from qalipsis.head.report_renderer import MOST_WAITING, ReportRenderer
from tests.head.api.desk import Desk, open_client
from tests.head.api.measured import AT, measure


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


def report(**changes: Any) -> dict[str, Any]:
    diagram = {"type": "diagram", "datas": [{"reference": "minions.count"}]}
    table = {"type": "data_table", "dataSeriesReferences": "minions.count"}
    return {
        "displayName": "Nightly",
        "description": "All of it",
        "campaignKeys": "c-1",
        "campaignNamesPatterns": ["c-*"],
        "dataComponents": [diagram, table],
    } | changes


async def create(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/api/reports", json=report(**changes))
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def file_of(client: httpx.AsyncClient, task: str) -> httpx.Response:
    """The answer, once it is not "being worked on" any more."""
    async with asyncio.timeout(20):
        while True:
            answer = await client.get(f"/api/reports/file/{task}")
            if answer.status_code != 422:
                return answer
            await asyncio.sleep(0.02)


def use(desk: Desk, *code: str, deadline_seconds: float = 20.0) -> None:
    """Render by another program."""
    data = desk.data
    data.renderer = ReportRenderer(
        desk.reports,
        data.reports,
        data.time_series,
        command=(sys.executable, "-c", *code),
        deadline_seconds=deadline_seconds,
    )


async def test_a_report_is_created_resolved_replaced_and_deleted(client: httpx.AsyncClient) -> None:
    created = await create(client)
    assert created["resolvedCampaigns"] == [{"key": "c-1", "name": "c-1"}, {"key": "c-2", "name": "c-2"}]
    assert (created["creator"], created["sharingMode"]) == ("local", "READONLY")
    components = created["dataComponents"]
    assert [(each["type"], each["datas"][0]["displayName"]) for each in components] == [
        ("DIAGRAM", "minions.count"),
        ("DATA_TABLE", "minions.count"),
    ]
    path = f"/api/reports/{created['reference']}"
    assert (await client.get(path)).json() == created
    assert (await client.get("/api/reports?filter=NIGHT")).json()["elements"] == [created]
    changed = await client.put(path, json=report(displayName="Later", version=created["version"]))
    assert (changed.status_code, changed.json()["displayName"]) == (200, "Later")
    assert (await client.put(path, json=report(version=created["version"]))).status_code == 409
    assert (await client.delete(f"/api/reports?report={created['reference']}")).status_code == 202
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "property"),
    [
        ({"displayName": ""}, 400, "report.displayName"),
        ({"campaignKeys": [], "campaignNamesPatterns": None}, 400, "report.campaignKeys"),
        ({"campaignNamesPatterns": [" "]}, 400, "report.campaignNamesPatterns[0]"),
        (
            {"dataComponents": [{"type": "PIE", "datas": ["minions.count"]}]},
            400,
            "report.dataComponents[0].type",
        ),
        ({"dataComponents": [{"type": "DIAGRAM"}]}, 400, "report.dataComponents[0].datas"),
        ({"dataComponents": [{"type": "DIAGRAM", "datas": ["nothing"]}]}, 404, None),
        ({"campaignKeys": ["c-9"]}, 404, None),
    ],
)
async def test_what_is_wrong_with_a_report_is_named(
    client: httpx.AsyncClient, changes: dict[str, Any], status: int, property: str | None
) -> None:
    answer = await client.post("/api/reports", json=report(**changes))
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["property"] if property else None) == (status, property)


async def test_a_report_is_rendered_as_pdf(client: httpx.AsyncClient) -> None:
    created = await create(client)
    task = (await client.post(f"/api/reports/{created['reference']}/render")).json()
    assert (task["status"], task["reportReference"]) == ("PROCESSING", created["reference"])
    early = await client.get(f"/api/reports/file/{task['reference']}")
    assert early.status_code == 422
    assert "still being worked on" in early.json()["errors"][0]
    answer = await file_of(client, task["reference"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-")
    assert f'"{created["reference"]}.pdf"' in answer.headers["content-disposition"]


async def test_a_rendering_that_fails_says_why(desk: Desk, client: httpx.AsyncClient) -> None:
    created = await create(client)
    for code, reason in (
        ("raise SystemExit('a secret of ours')", "an unexpected error occurred"),
        ("import time; time.sleep(60)", "took more than 0.2 s"),
    ):
        use(desk, code, deadline_seconds=0.2 if "sleep" in code else 20.0)
        task = (await client.post(f"/api/reports/{created['reference']}/render")).json()["reference"]
        answer = await file_of(client, task)
        (error,) = answer.json()["errors"]
        assert answer.status_code == 400
        assert reason in error
        assert "secret" not in error


async def test_too_many_renderings_are_refused_and_end_with_the_head(
    desk: Desk, client: httpx.AsyncClient
) -> None:
    use(desk, "import time; time.sleep(60)")
    path = f"/api/reports/{(await create(client))['reference']}/render"
    tasks = [(await client.post(path)).json()["reference"] for _ in range(MOST_WAITING)]
    assert (await client.post(path)).status_code == 429
    await desk.data.aclose()
    for task in tasks:
        answer = await file_of(client, task)
        assert answer.json() == {"errors": [f"rendering {task} failed: the head was stopped"]}
    assert (await client.get("/api/reports/file/nothing")).status_code == 404
