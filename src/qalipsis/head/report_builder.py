"""Writes the report of a finished campaign from what was counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from qalipsis.head.accounts import Accounts
from qalipsis.head.assignment import Assignment, Member
from qalipsis.head.conditions import Check, check
from qalipsis.head.findings import findings
from qalipsis.head.tally import Tally
from qalipsis.head.verdict import status_of_campaign, status_of_scenario, verdict
from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.step_totals import StepTotals
from qalipsis.plan.model import ScenarioDescriptor, StepDescriptor
from qalipsis.reports.model import (
    Bytes,
    CampaignInfo,
    Executions,
    FactoryReport,
    Latency,
    LatencyPair,
    Message,
    MeterReport,
    Report,
    ScenarioReport,
    Second,
    StepReport,
    WorkerReport,
)

MOST_DROPPED: Final = 0.05
"""Share of the arrivals of a scenario: with more of them missing, it was not the load that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A finished campaign: everything its report is made of. Times are epoch seconds."""

    key: str
    name: str
    seed: int
    speed_factor: float
    started_at: float
    ended_at: float
    scenarios: tuple[ScenarioDescriptor, ...]
    factories: tuple[Member, ...]
    assignment: Assignment
    tally: Tally
    timeline: tuple[Second, ...]
    is_aborted: bool = False
    messages: tuple[Message, ...] = ()
    """What happened to the campaign as a whole; told with each scenario."""
    faults: tuple[str, ...] = ()
    accepts_redistribution: bool = False
    clock_offsets: Mapping[str, float] = field(default_factory=dict)
    """In seconds, by factory."""
    environment: dict[str, Any] = field(default_factory=dict)


def build(ending: Ending) -> Report:
    """The report."""
    accounts = Accounts(ending.tally, ending.assignment)
    checks = check(ending.scenarios, ending.tally.aggregate)
    scenarios = tuple(_scenario(ending, scenario, accounts, checks) for scenario in ending.scenarios)
    return Report(
        campaign=CampaignInfo(
            key=ending.key,
            name=ending.name,
            status=status_of_campaign((scenario.status for scenario in scenarios), ending.is_aborted),
            start=iso(ending.started_at),
            end=iso(ending.ended_at),
            duration_s=round(max(0.0, ending.ended_at - ending.started_at), 3),
            speed_factor=ending.speed_factor,
            seed=ending.seed,
        ),
        verdict=verdict(
            ending.tally,
            accounts,
            ending.is_aborted,
            (*ending.faults, *_unstarted(ending, accounts), *_dropped(ending, accounts)),
            accepts_redistribution=ending.accepts_redistribution,
        ),
        ledger=accounts.of_campaign(),
        scenarios=scenarios,
        timeline=ending.timeline,
        factories=tuple(_factory(ending, factory, accounts) for factory in ending.factories),
        environment=ending.environment,
    )


def _unstarted(ending: Ending, accounts: Accounts) -> Iterator[str]:
    """Minions that nothing kept from starting: of arrivals, the pool may be larger than needed."""
    if ending.is_aborted or any(worker.is_lost for worker in ending.tally.workers.values()):
        return
    for scenario in ending.scenarios:
        minions = accounts.of_scenario(scenario.name).minions
        if minions.unstarted and not scenario.has_arrivals:
            yield (
                f"{minions.unstarted:,} of {minions.scheduled:,} minions of {scenario.name} never started: "
                "its profile broke, as the log says"
            )


def _dropped(ending: Ending, accounts: Accounts) -> Iterator[str]:
    """Scenarios that lacked minions for many of their arrivals, in bursts or in too short a campaign to tell.

    What is dropped while a lost worker's arrivals move to others is no lack of minions, and told as the loss.
    """
    workers = ending.tally.workers.values()
    if any(worker.is_lost or worker.health.is_dropping for worker in workers):
        return
    for scenario in ending.scenarios:
        arrivals = accounts.of_scenario(scenario.name).arrivals
        if arrivals.dropped > MOST_DROPPED * arrivals.planned:
            yield (
                f"{arrivals.dropped:,} of {arrivals.planned:,} arrivals of {scenario.name} were dropped, "
                "because no minion was free: give it more minions"
            )


def iso(epoch: float) -> str:
    """The instant as ISO-8601 UTC, to the millisecond."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _scenario(
    ending: Ending, scenario: ScenarioDescriptor, accounts: Accounts, checks: Sequence[Check]
) -> ScenarioReport:
    known = {step.name: step for step in scenario.steps}
    aggregate = ending.tally.aggregate
    reported = {totals.name: totals for totals in aggregate.steps() if totals.scenario == scenario.name}
    names = dict.fromkeys((*known, *reported))
    steps = tuple(
        _step(known.get(name), reported.get(name) or aggregate.step(scenario.name, name)) for name in names
    )
    own = [each for each in checks if each.scenario == scenario.name]
    # What was stopped early is not blamed for what it had no time to reach.
    judged = [each for each in own if each.is_violated or not ending.is_aborted]
    ledger = accounts.of_scenario(scenario.name)
    unended = ledger.minions.lost + ledger.minions.unstarted
    if not ending.is_aborted:
        unended += ledger.minions.aborted  # by factories that stopped by themselves
    is_cut_off = _is_everyone_lost(ending.tally) and unended > 0
    messages = list(ending.messages)
    if is_cut_off:
        messages.append(Message(severity="ERROR", text="every worker was lost before the scenario ended"))
    messages += [each for step in steps for each in findings(step.name, step.counters)]
    return ScenarioReport(
        name=scenario.name,
        status=status_of_scenario(
            steps, (each.expectation for each in judged), ending.is_aborted, is_forced=is_cut_off
        ),
        ledger=ledger,
        zones=ending.assignment.in_zones(scenario.name),
        profile=scenario.profile,
        steps=steps,
        meters=_meters(ending, scenario, own),
        expectations=tuple(each.expectation for each in own if each.meter is None),
        messages=tuple(messages),
    )


def _step(known: StepDescriptor | None, totals: StepTotals) -> StepReport:
    return StepReport(
        name=known.name if known else totals.name,
        type=known.type if known else totals.type,
        executions=Executions(
            attempted=totals.attempted,
            successful=totals.successful,
            failed=totals.failed,
            errors=totals.errors,
            retried=totals.retried,
        ),
        latency=LatencyPair(from_due=_latency(totals.from_due), from_sent=_latency(totals.from_sent)),
        phases={phase: _latency(histogram) for phase, histogram in totals.phases.items()},
        bytes=Bytes(sent=totals.bytes_sent, received=totals.bytes_received),
        statuses={str(status): count for status, count in totals.statuses.items()},
        histogram=totals.from_due.distribution(),
        failures=totals.failures,
        counters=totals.counters,
        first_error=totals.first_error,
        tolerated_share=known.tolerated_share if known else 0.0,
        reported=known.reported if known else True,
    )


def _latency(histogram: Histogram) -> Latency:
    return Latency(**histogram.latency())


def _meters(ending: Ending, scenario: ScenarioDescriptor, checks: Sequence[Check]) -> tuple[MeterReport, ...]:
    """The meters of the plan, then those that journeys made up while they ran."""
    types = {meter.name: meter.type for meter in scenario.meters}
    aggregate = ending.tally.aggregate
    types |= {each.name: each.type for each in aggregate.meters() if each.scenario == scenario.name}
    return tuple(
        MeterReport(
            name=name,
            type=type,
            values=aggregate.meter(scenario.name, name, type).values(),
            expectations=tuple(each.expectation for each in checks if each.meter == name),
        )
        for name, type in types.items()
    )


def _factory(ending: Ending, factory: Member, accounts: Accounts) -> FactoryReport:
    own = {worker: tally for (node, worker), tally in ending.tally.workers.items() if node == factory.node}
    workers = tuple(
        WorkerReport(
            index=index,
            pid=worker.pid,
            state="LOST" if worker.is_lost else "ENDED",
            cpu_max=worker.health.cpu_max,
            loop_lag_p99_ms=1e3 * worker.health.loop_lag_max_s,
            start_delay_p99_ms=1e3 * worker.health.start_delay_max_s,
            lost_at=None if worker.lost_at is None else iso(worker.lost_at),
        )
        for index, worker in sorted(own.items())
    )
    return FactoryReport(
        node=factory.node,
        workers=factory.workers,
        state=_state(workers),
        ledger=accounts.of_factory(factory.node),
        zone=factory.zone,
        clock_offset_ms=round(1e3 * ending.clock_offsets.get(factory.node, 0.0), 3),
        cpu_max=max((worker.cpu_max for worker in workers), default=0.0),
        loop_lag_p99_ms=max((worker.loop_lag_p99_ms for worker in workers), default=0.0),
        start_delay_p99_ms=max((worker.start_delay_p99_ms for worker in workers), default=0.0),
        lost_at=max((worker.lost_at for worker in workers if worker.lost_at), default=None)
        if _state(workers) == "LOST"
        else None,
        worker_details=workers,
    )


def _is_everyone_lost(tally: Tally) -> bool:
    return bool(tally.workers) and all(worker.is_lost for worker in tally.workers.values())


def _state(workers: Sequence[WorkerReport]) -> str:
    lost = sum(worker.state == "LOST" for worker in workers)
    if not lost:
        return "ENDED"
    return "LOST" if lost == len(workers) else "DEGRADED"
