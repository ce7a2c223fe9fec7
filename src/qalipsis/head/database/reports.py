"""Reports: the whole as it was written, and its sums as rows that SQL can compare."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import insert as plain_insert
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from qalipsis.head.database.schema import (
    CAMPAIGN,
    CAMPAIGN_FACTORY,
    CAMPAIGN_REPORT,
    SCENARIO_REPORT,
    SCENARIO_REPORT_MESSAGE,
    STEP_REPORT,
)
from qalipsis.head.database.sql import from_now, insert
from qalipsis.reports import json_report
from qalipsis.reports.model import Report, ScenarioReport


async def save(connection: AsyncConnection, campaign: int, report: Report) -> None:
    """Keep the report, unless the campaign has one."""
    id = await connection.scalar(
        insert(connection, CAMPAIGN_REPORT)
        .values(
            campaign_id=campaign,
            creation=from_now(),
            version=from_now(),
            status=report.campaign.status,
            verdict=report.verdict.value,
            reasons=list(report.verdict.reasons),
            content=json_report.encode(report).decode(),
            **_sums(report.scenarios),
        )
        .on_conflict_do_nothing(index_elements=["campaign_id"])
        .returning(CAMPAIGN_REPORT.c.id)
    )
    if id is None:
        return
    await connection.execute(
        update(CAMPAIGN)
        .where(CAMPAIGN.c.id == campaign)
        .values(name=report.campaign.name, status=report.campaign.status)
    )
    await _save_factories(connection, campaign, report)
    for scenario in report.scenarios:
        await _save_scenario(connection, id, scenario)


async def read(connection: AsyncConnection, campaign: str) -> Report | None:
    content = await connection.scalar(
        select(CAMPAIGN_REPORT.c.content).join(CAMPAIGN).where(CAMPAIGN.c.key == campaign)
    )
    return None if content is None else json_report.decode(content.encode())


async def _save_factories(connection: AsyncConnection, campaign: int, report: Report) -> None:
    factories = [
        {
            "campaign_id": campaign,
            "node_id": each.node,
            "zone": each.zone,
            "workers": each.workers,
            "state": each.state,
        }
        for each in report.factories
    ]
    if factories:
        await connection.execute(plain_insert(CAMPAIGN_FACTORY).values(version=from_now()), factories)


async def _save_scenario(connection: AsyncConnection, report: int, scenario: ScenarioReport) -> None:
    id = await connection.scalar(
        plain_insert(SCENARIO_REPORT)
        .values(
            campaign_report_id=report,
            version=from_now(),
            name=scenario.name,
            status=scenario.status,
            **_sums((scenario,)),
        )
        .returning(SCENARIO_REPORT.c.id)
    )
    messages = [
        {"scenario_report_id": id, "step_name": each.step, "severity": each.severity, "message": each.text}
        for each in scenario.messages
    ]
    steps = [
        {
            "scenario_report_id": id,
            "name": each.name,
            "type": each.type,
            "total_executions": each.executions.attempted,
            "successful_executions": each.executions.successful,
            "failed_executions": each.executions.failed,
            **{
                name: getattr(each.latency.from_due, name)
                for name in ("mean_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms")
            },
        }
        for each in scenario.steps
    ]
    if messages:
        await connection.execute(plain_insert(SCENARIO_REPORT_MESSAGE).values(version=from_now()), messages)
    if steps:
        await connection.execute(plain_insert(STEP_REPORT).values(version=from_now()), steps)


def _sums(scenarios: Iterable[ScenarioReport]) -> dict[str, int]:
    scenarios = tuple(scenarios)
    steps = [step.executions for scenario in scenarios for step in scenario.steps]
    return {
        "started_minions": sum(each.ledger.minions.started for each in scenarios),
        "completed_minions": sum(each.ledger.minions.completed for each in scenarios),
        "successful_executions": sum(each.successful for each in steps),
        "failed_executions": sum(each.failed for each in steps),
    }
