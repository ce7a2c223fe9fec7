"""What decided the status, in sentences; the same for every rendering."""

from __future__ import annotations

from collections import Counter

from qalipsis.metrics.timeline import NOT_REQUESTS
from qalipsis.reports import figures
from qalipsis.reports.model import Expectation, Report, ScenarioReport, StepReport

SERIOUS = frozenset({"ERROR", "ABORT"})


def visible_steps(scenario: ScenarioReport) -> tuple[StepReport, ...]:
    """The steps a report shows.

    Two underscores hide a step; one marks a step without a name of its own, which shows when it has
    something to tell: a failure or a duration.
    """
    return tuple(step for step in scenario.steps if _is_visible(step))


def _is_visible(step: StepReport) -> bool:
    if step.name.startswith("__"):
        return False
    return bool(not step.name.startswith("_") or step.executions.failed or step.latency.from_due.count)


def is_failing(step: StepReport) -> bool:
    """Whether more executions failed than the author tolerates."""
    done = step.executions
    # Divided, not multiplied: 29 of 100 are 0.29, but 0.29 times 100 is less than 29.
    share = done.failed / max(done.attempted, done.failed, 1)
    return step.reported and share > step.tolerated_share


def is_traffic(step: StepReport) -> bool:
    """Whether the step talked to a service, so that due and sent tell different stories."""
    if step.type in NOT_REQUESTS:
        return False  # a join counts what its source received
    return bool(step.phases or step.statuses or step.failures or step.bytes.sent or step.bytes.received)


def expectations(scenario: ScenarioReport) -> tuple[Expectation, ...]:
    """Those of the scenario and of its meters, each once."""
    of_meters = tuple(each for meter in scenario.meters for each in meter.expectations)
    return tuple(dict.fromkeys(scenario.expectations + of_meters))


def actual(expectation: Expectation) -> str:
    """The actual value, or the sign for nothing when there was none to compare."""
    value = expectation.actual
    if value is None:
        return figures.NOTHING
    if expectation.unit == "ms":
        return figures.milliseconds(value)
    return f"{figures.number(value)} {expectation.unit}".rstrip()


def errors(scenario: ScenarioReport) -> Counter[str]:
    """Failed executions by class over all steps."""
    return sum((Counter(step.executions.errors) for step in visible_steps(scenario)), Counter())


def reasons(report: Report) -> tuple[str, ...]:
    """Why the campaign is not simply successful, most telling first; empty when it is."""
    several = len(report.scenarios) > 1
    found: list[str] = []
    for scenario in report.scenarios:
        of = f"{scenario.name}: " if several else ""
        found += [
            f"{of}expected {each.text}, was {actual(each)}"
            for each in expectations(scenario)
            if not each.satisfied
        ]
        found += [f"{of}{_failed(step)}" for step in scenario.steps if is_failing(step)]
        found += [f"{of}{each.text}" for each in scenario.messages if each.severity in SERIOUS]
        found += [
            f"{of}{_failed(step)}, which is tolerated"
            for step in scenario.steps
            if step.executions.failed and not is_failing(step)
        ]
    return tuple(dict.fromkeys(found))


def _failed(step: StepReport) -> str:
    done = step.executions
    part = f"{figures.count(done.failed)} of {figures.count(done.attempted)} executions"
    return f"step {step.name} failed in {part} ({figures.share(done.failed, done.attempted)})"
