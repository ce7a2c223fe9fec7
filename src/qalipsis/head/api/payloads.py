"""What the REST API answers: structs in camel case, with nulls, made of what the head knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, to_builtins

from qalipsis.config.durations import seconds
from qalipsis.head.api.listing import Listing, counts
from qalipsis.head.campaign_list import CampaignRecord
from qalipsis.head.campaign_list import Page as Listed
from qalipsis.head.service import Details
from qalipsis.head.zones import Zone as KnownZone
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.reports import outcome
from qalipsis.reports.live import Live, LiveStep
from qalipsis.reports.model import Message as ReportMessage
from qalipsis.reports.model import MeterReport, Report, ScenarioReport, StepReport


class _Answer(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Problem(_Answer, frozen=True, kw_only=True):
    property: str
    message: str


class Errors(_Answer, frozen=True, kw_only=True):
    """Why a request was refused."""

    errors: tuple[str | Problem, ...]


class Zone(_Answer, frozen=True, kw_only=True):
    key: str
    title: str
    description: str | None
    image_path: str | None
    enabled: bool


class CampaignScenario(_Answer, frozen=True, kw_only=True):
    version: datetime
    name: str
    minions_count: int


class Campaign(_Answer, frozen=True, kw_only=True):
    """`start` of a SCHEDULED one is when it is due."""

    version: datetime
    key: str
    creation: datetime
    name: str
    speed_factor: float
    scheduled_minions: int | None
    soft_timeout: datetime | None
    hard_timeout: datetime | None
    start: datetime | None
    end: datetime | None
    status: str
    failure_reason: str | None
    configurer_name: str | None
    aborter_name: str | None
    scenarios: tuple[CampaignScenario, ...]
    zones: tuple[str, ...]


class Page(Listing, frozen=True, kw_only=True):
    elements: tuple[Campaign, ...]


class Message(_Answer, frozen=True, kw_only=True):
    """Severity is INFO, WARN, ERROR or ABORT."""

    step_name: str
    message_id: str
    severity: str
    message: str


class Meter(_Answer, frozen=True, kw_only=True):
    name: str
    timestamp: datetime | None
    type: str
    tags: dict[str, str] | None = None
    campaign: str | None = None
    scenario: str | None = None
    zone: str | None = None
    """Where it was measured; null when that was in several zones together, or in none."""
    count: int | None = None
    value: float | None = None
    sum: float | None = None
    mean: float | None = None
    max: float | None = None
    duration: str | None = None
    other: dict[str, float] | None = None


class StepDetails(_Answer, frozen=True, kw_only=True):
    name: str
    type: str | None
    started_minions: int | None
    successful_executions: int | None
    failed_executions: int | None
    total_executions: int
    not_executed: int
    status: str
    messages: tuple[Message, ...] = ()
    meters: tuple[Meter, ...] = ()


class ScenarioDetails(_Answer, frozen=True, kw_only=True):
    id: str
    name: str
    start: datetime | None
    end: datetime | None
    scheduled_minions: int | None
    started_minions: int | None
    completed_minions: int | None
    successful_executions: int | None
    failed_executions: int | None
    status: str
    messages: tuple[Message, ...]
    steps: tuple[StepDetails, ...]
    meters: tuple[Meter, ...]
    zone_distribution: dict[str, int]


class Verdict(_Answer, frozen=True, kw_only=True):
    """VALID, DEGRADED or INVALID: whether the figures can be relied upon."""

    value: str
    reasons: tuple[str, ...]


class CampaignDetails(Campaign, frozen=True, kw_only=True):
    """`scenarios` are told in detail, and what is known only at the end is null before."""

    started_minions: int | None
    completed_minions: int | None
    successful_executions: int | None
    failed_executions: int | None
    meters: tuple[Meter, ...]
    resolved_zones: tuple[Zone, ...]
    scenarios: tuple[ScenarioDetails, ...]  # type: ignore[assignment]  # as the reference has it
    verdict: Verdict | None
    ledger: dict[str, Any] | None
    factories: tuple[dict[str, Any], ...]


class Graph(_Answer, frozen=True, kw_only=True):
    name: str
    is_singleton: bool
    is_root: bool
    is_under_load: bool
    number_of_steps: int
    tags: dict[str, str]


class ScenarioSummary(_Answer, frozen=True, kw_only=True):
    name: str
    description: str | None
    version: str
    built_at: datetime
    minions_count: int
    directed_acyclic_graphs: tuple[Graph, ...]
    execution_profile_configuration: dict[str, str]


def page_of(listed: Listed[CampaignRecord]) -> Page:
    return Page(**counts(listed), elements=tuple(campaign_of(record) for record in listed.elements))


def campaign_of(record: CampaignRecord) -> Campaign:
    return Campaign(
        **_common(record),
        scenarios=tuple(
            CampaignScenario(version=record.version, name=each.name, minions_count=each.minions)
            for each in record.scenarios
        ),
    )


def _common(record: CampaignRecord) -> dict[str, Any]:
    soft, hard = _timeouts(record)
    planned = record.scheduled_at if record.status == "SCHEDULED" else None
    return {
        "version": record.version,
        "key": record.key,
        "creation": record.creation,
        "name": record.name,
        "speed_factor": record.speed_factor,
        "scheduled_minions": sum(each.minions for each in record.scenarios) if record.scenarios else None,
        "soft_timeout": soft,
        "hard_timeout": hard,
        "start": record.start or planned,
        "end": record.end,
        "status": record.status,
        "failure_reason": record.failure_reason,
        "configurer_name": record.configurer,
        "aborter_name": record.aborter,
        "zones": tuple(dict.fromkeys(key for each in record.scenarios for key in each.zones)),
    }


def _timeouts(record: CampaignRecord) -> tuple[datetime | None, datetime | None]:
    timeout = record.configuration.get("timeout")
    if record.start is None or not isinstance(timeout, str):
        return None, None
    at = record.start + timedelta(seconds=seconds(timeout))
    return (None, at) if record.configuration.get("hardTimeout") else (at, None)


def zone_of(zone: KnownZone) -> Zone:
    return Zone(
        key=zone.key,
        title=zone.title,
        description=zone.description,
        image_path=zone.image_path,
        enabled=zone.enabled,
    )


def summary_of(scenario: ScenarioDescriptor, known_since: datetime) -> ScenarioSummary:
    graph = Graph(
        name=scenario.name,
        is_singleton=False,
        is_root=True,
        is_under_load=True,
        number_of_steps=sum(not step.hidden for step in scenario.steps),
        tags={},
    )
    return ScenarioSummary(
        name=scenario.name,
        description=scenario.description or None,
        version=scenario.digest,
        built_at=known_since,
        minions_count=scenario.minions,
        directed_acyclic_graphs=(graph,),
        execution_profile_configuration={"profile": "DEFAULT", "description": scenario.profile},
    )


def details_of(details: Details, zones: Sequence[KnownZone]) -> CampaignDetails:
    record, report = details.record, details.report
    figures = _final_figures(record, report) if report else _live_figures(record, details.live)
    common = _common(record)
    resolved = tuple(zone_of(zone) for zone in zones if zone.key in common["zones"])
    return CampaignDetails(**common, resolved_zones=resolved, **figures)


def _live_figures(record: CampaignRecord, live: Live | None) -> dict[str, Any]:
    steps = () if live is None else live.steps
    return {
        "started_minions": None if live is None else live.minions_started,
        "completed_minions": None if live is None else live.minions_completed,
        "successful_executions": None if live is None else sum(s.executed - s.failed for s in steps),
        "failed_executions": None if live is None else sum(s.failed for s in steps),
        "meters": (),
        "verdict": None,
        "ledger": None,
        "factories": (),
        "scenarios": tuple(
            _live_scenario(record, name, minions, tuple(step for step in steps if step.scenario == name))
            for name, minions in _minions(record, steps).items()
        ),
    }


def _minions(record: CampaignRecord, steps: Sequence[LiveStep]) -> dict[str, int | None]:
    known: dict[str, int | None] = {step.scenario: None for step in steps}
    return known | {each.name: each.minions for each in record.scenarios}


def _live_scenario(
    record: CampaignRecord, name: str, minions: int | None, steps: Sequence[LiveStep]
) -> ScenarioDetails:
    return ScenarioDetails(
        id=name,
        name=name,
        start=record.start,
        end=record.end,
        scheduled_minions=minions,
        started_minions=None,
        completed_minions=None,
        successful_executions=sum(step.executed - step.failed for step in steps) if steps else None,
        failed_executions=sum(step.failed for step in steps) if steps else None,
        status=record.status,
        messages=(),
        steps=tuple(
            StepDetails(
                name=step.name,
                type=None,
                started_minions=None,
                successful_executions=step.executed - step.failed,
                failed_executions=step.failed,
                total_executions=step.executed,
                not_executed=0,
                status="IN_PROGRESS",
            )
            for step in steps
        ),
        meters=(),
        zone_distribution={},
    )


def _final_figures(record: CampaignRecord, report: Report) -> dict[str, Any]:
    minions = report.ledger.minions
    steps = [step for scenario in report.scenarios for step in outcome.visible_steps(scenario)]
    return {
        "started_minions": minions.started,
        "completed_minions": minions.completed,
        "successful_executions": sum(step.executions.successful for step in steps),
        "failed_executions": sum(step.executions.failed for step in steps),
        "meters": (),
        "verdict": Verdict(value=report.verdict.value, reasons=report.verdict.reasons),
        "ledger": to_builtins(report.ledger),
        "factories": tuple(to_builtins(each) for each in report.factories),
        "scenarios": tuple(_scenario(record, each) for each in report.scenarios),
    }


def _scenario(record: CampaignRecord, scenario: ScenarioReport) -> ScenarioDetails:
    minions, steps = scenario.ledger.minions, outcome.visible_steps(scenario)
    return ScenarioDetails(
        id=scenario.name,
        name=scenario.name,
        start=record.start,
        end=record.end,
        scheduled_minions=minions.scheduled,
        started_minions=minions.started,
        completed_minions=minions.completed,
        successful_executions=sum(step.executions.successful for step in steps),
        failed_executions=sum(step.executions.failed for step in steps),
        status=scenario.status,
        messages=_messages(scenario.messages, ""),
        steps=tuple(_step(each, scenario) for each in steps),
        meters=tuple(_meter(each, record, scenario.name) for each in scenario.meters),
        zone_distribution=scenario.zones,
    )


def _step(step: StepReport, scenario: ScenarioReport) -> StepDetails:
    done, started = step.executions, scenario.ledger.minions.started
    status = "FAILED" if outcome.is_failing(step) else "WARNING" if done.failed else "SUCCESSFUL"
    return StepDetails(
        name=step.name,
        type=step.type,
        started_minions=started,
        successful_executions=done.successful,
        failed_executions=done.failed,
        total_executions=done.attempted,
        not_executed=max(0, started - done.attempted),
        status=status,
        messages=_messages(scenario.messages, step.name),
    )


def _messages(messages: Sequence[ReportMessage], step: str) -> tuple[Message, ...]:
    return tuple(
        Message(step_name=each.step, message_id=str(number), severity=each.severity, message=each.text)
        for number, each in enumerate(messages)
        if each.step == step
    )


def _meter(meter: MeterReport, record: CampaignRecord, scenario: str) -> Meter:
    values = meter.values
    own = ("count", "value", "sum", "mean", "max")
    other = {_percentile(name): value for name, value in values.items() if name not in own}
    count = values.get("count")
    return Meter(
        name=meter.name,
        timestamp=record.end,
        type=meter.type,
        campaign=record.key,
        scenario=scenario,
        count=None if count is None else int(count),
        value=values.get("value"),
        sum=values.get("sum"),
        mean=values.get("mean"),
        max=values.get("max"),
        other=other or None,
    )


def _percentile(name: str) -> str:
    """`p999` is the percentile 99.9."""
    digits = name[1:]
    if name[:1] != "p" or not digits.isdigit():
        return name
    return f"percentile_{int(digits) / 10 ** max(0, len(digits) - 2):.1f}"
