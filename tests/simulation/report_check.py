"""Whether a report tells what has happened, given what the target of the load received."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qalipsis.head.campaign import Phase
from qalipsis.reports.model import Report, ScenarioReport
from tests.simulation.truth import Truth

PASSED = ("SUCCESSFUL", "WARNING")


@dataclass(frozen=True)
class Circumstances:
    """What is known of a campaign beside its report."""

    state: str
    """In which it ended."""
    settled: frozenset[str]
    """The factories whose final accounts were heard before."""
    has_lost_nothing: bool
    is_redistributing: bool
    accepts_redistribution: bool


def wrongs(report: Report, truth: Truth, around: Circumstances) -> Iterator[str]:
    """Everything that is wrong with it."""
    key = report.campaign.key
    if report.verdict.value == "INVALID":
        yield f"{key}: the books do not close: {report.verdict.reasons}"
    yield from _of_requests(report, truth, around)
    yield from _of_ends(report, truth)
    yield from _of_status(report, around)
    yield from _of_verdict(report, around)
    if around.state == Phase.COMPLETED:
        yield from _of_completion(report, truth, around)


def _of_requests(report: Report, truth: Truth, around: Circumstances) -> Iterator[str]:
    """Every request is told, and none that was not sent, but for what is said to be an estimate."""
    key = report.campaign.key
    told, received, estimated = report.ledger.requests.attempted, truth.received[key], estimate(report)
    is_silent = any("nothing was heard" in reason for reason in report.verdict.reasons)
    if not is_silent and told != received:
        yield f"{key}: the report says {told} requests, the target received {received}"
    if told - estimated > received:
        yield f"{key}: {told} requests less {estimated} estimated are more than the {received} received"
    for factory in report.factories:
        # The last word of a factory is exact, whatever was believed of it before.
        told, received = factory.ledger.requests.attempted, truth.of_factory(key, factory.node)
        if factory.node in around.settled and told != received:
            yield f"{key}: the report says {told} requests of {factory.node}, which sent {received}"


def _of_ends(report: Report, truth: Truth) -> Iterator[str]:
    """Nothing counts as ended that has not sent its last request."""
    key = report.campaign.key
    for scenario in report.scenarios:
        minions, passes = scenario.ledger.minions, scenario.ledger.passes
        ended = truth.ended[key, scenario.name]
        if passes.completed + passes.failed > ended:
            yield f"{key}: {ended} passes of {scenario.name} came to their end, but it says {passes}"
        if _comes_to_an_end(scenario) and minions.completed + minions.failed > ended:
            yield f"{key}: {ended} minions of {scenario.name} came to their end, but it says {minions}"


def _of_status(report: Report, around: Circumstances) -> Iterator[str]:
    """What was stopped is never told as ended by itself, nor the other way round."""
    key = report.campaign.key
    statuses = [report.campaign.status, *(each.status for each in report.scenarios)]
    if around.state == Phase.ABORTED and any(status in PASSED for status in statuses):
        yield f"{key}: it was aborted, but its status and those of its scenarios are {statuses}"
    if around.state == Phase.COMPLETED and "ABORTED" in statuses:
        yield f"{key}: it ended by itself, but its status and those of its scenarios are {statuses}"


def _of_verdict(report: Report, around: Circumstances) -> Iterator[str]:
    minions = report.ledger.minions
    is_lossy = any(factory.state != "ENDED" for factory in report.factories)
    is_made_up = around.accepts_redistribution and minions.completed + minions.failed >= minions.scheduled
    if is_lossy and not is_made_up and report.verdict.value == "VALID":
        yield f"{report.campaign.key}: workers were lost and minions are {minions}, but it is VALID"


def _of_completion(report: Report, truth: Truth, around: Circumstances) -> Iterator[str]:
    """A campaign that ended by itself has brought to their end all that it could."""
    key = report.campaign.key
    for factory in report.factories:
        own = factory.ledger
        if factory.state != "LOST" and own.minions.aborted + own.passes.aborted:
            yield f"{key}: it ended by itself, but interrupted minions of {factory.node}: {own.minions}"
    lost = [factory.node for factory in report.factories if factory.state != "ENDED"]
    if around.has_lost_nothing and lost:
        yield f"{key}: nothing was lost, but {lost} are told to be"
    is_deserted = all(factory.state == "LOST" for factory in report.factories)
    for scenario in report.scenarios:
        if not _comes_to_an_end(scenario):
            continue
        minions = scenario.ledger.minions
        # Who is lost after its last request has ended without a word of it.
        ended = max(minions.completed + minions.failed, len(truth.finished[key, scenario.name]))
        if ended < minions.scheduled:
            what = f"of {minions.scheduled} minions of {scenario.name} only {ended} came to their end"
            if around.is_redistributing and not _is_short(report):
                yield f"{key}: {what}"
            if is_deserted and scenario.status in PASSED:
                yield f"{key}: {what} and every worker was lost, but it is {scenario.status}"
        if around.has_lost_nothing and minions.completed + minions.failed != minions.scheduled:
            yield f"{key}: nothing was lost, but the minions of {scenario.name} are {minions}"
    if around.has_lost_nothing and report.verdict.value != "VALID" and not report.ledger.arrivals.dropped:
        yield f"{key}: nothing was lost, but {report.verdict}"


def estimate(report: Report) -> int:
    """The requests that the report says it has estimated."""
    for scenario in report.scenarios:
        for message in scenario.messages:
            found = re.match(r"about ([\d,]+) requests of lost factories are an estimate", message.text)
            if found is not None:
                return int(found[1].replace(",", ""))
    return 0


def _comes_to_an_end(scenario: ScenarioReport) -> bool:
    """Whether every minion does, however late it begins: stages and arrivals are over at a certain time."""
    return scenario.profile.startswith(("immediate", "regular"))


def _is_short(report: Report) -> bool:
    """Whether minions were lost for good, and the report says so."""
    return any("were not started again" in reason for reason in report.verdict.reasons)
