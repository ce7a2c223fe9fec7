"""Whether the test passed (status), and whether its numbers can be trusted (verdict)."""

from __future__ import annotations

from collections.abc import Iterable

from qalipsis.head.accounts import Accounts, worker_name
from qalipsis.head.tally import Tally
from qalipsis.reports import outcome
from qalipsis.reports.model import Expectation, StepReport, Verdict

SUCCESSFUL, WARNING, FAILED, ABORTED = "SUCCESSFUL", "WARNING", "FAILED", "ABORTED"
_WEIGHTS = (SUCCESSFUL, WARNING, ABORTED, FAILED)


def status_of_scenario(
    steps: Iterable[StepReport], expectations: Iterable[Expectation], is_aborted: bool, is_forced: bool
) -> str:
    """FAILED when steps failed beyond what is tolerated, or a condition does not hold, or it `is_forced`."""
    steps = tuple(steps)
    if (
        is_forced
        or any(outcome.is_failing(step) for step in steps)
        or not all(expectation.satisfied for expectation in expectations)
    ):
        return FAILED
    if is_aborted:
        return ABORTED
    return WARNING if any(step.executions.failed for step in steps) else SUCCESSFUL


def status_of_campaign(scenarios: Iterable[str], is_aborted: bool) -> str:
    """The worst of its scenarios."""
    return max((*scenarios, ABORTED if is_aborted else SUCCESSFUL), key=_WEIGHTS.index)


def verdict(
    tally: Tally,
    accounts: Accounts,
    is_aborted: bool,
    faults: Iterable[str] = (),
    *,
    accepts_redistribution: bool = False,
) -> Verdict:
    """INVALID when the books do not close; DEGRADED when a worker was lost, the injector was the bottleneck,
    or something else went wrong (`faults`); with every reason there is.

    Who accepts redistribution takes lost workers for no flaw when as many minions have ended as were
    scheduled: those that were lost were started again, and came to their end.
    """
    lost = tuple(
        f"{worker_name(place)} (process {worker.pid}) {worker.lost_reason}"
        for place, worker in tally.workers.items()
        if worker.is_lost
    )
    slow = tuple(
        reason
        for place, worker in tally.workers.items()
        for reason in worker.health.reasons(worker_name(place))
    )
    unbalanced = accounts.problems(is_in_order=not is_aborted and not lost)
    faults = tuple(faults)
    reasons = (*unbalanced, *lost, *faults, *slow)
    if unbalanced:
        return Verdict(value="INVALID", reasons=reasons)
    minions = accounts.of_campaign().minions
    is_made_up = accepts_redistribution and minions.completed + minions.failed >= minions.scheduled
    flaws = (*faults, *slow) if is_made_up else reasons
    return Verdict(value="DEGRADED" if flaws else "VALID", reasons=reasons)
