from __future__ import annotations

from collections.abc import Callable

from qalipsis.reports import outcome
from qalipsis.reports.model import Bytes, Executions, Expectation, Report, StepReport


def step(failed: int, attempted: int = 100, tolerated: float = 0.0, reported: bool = True) -> StepReport:
    done = Executions(attempted=attempted, successful=attempted - failed, failed=failed)
    return StepReport(name="a", type="http", executions=done, tolerated_share=tolerated, reported=reported)


def test_failures_within_the_tolerance_do_not_fail_a_step() -> None:
    assert outcome.is_failing(step(failed=6, tolerated=0.05))
    assert not outcome.is_failing(step(failed=5, tolerated=0.05))
    assert not any(outcome.is_failing(step(failed=n, tolerated=n / 100)) for n in range(1, 101))


def test_failures_that_are_not_reported_do_not_fail_a_step() -> None:
    assert not outcome.is_failing(step(failed=100, reported=False))


def test_the_most_telling_reason_comes_first(make_report: Callable[[str], Report]) -> None:
    reasons = outcome.reasons(make_report("ordinary"))
    assert reasons[0] == "checkout: expected p95 of latency of place-order is less than 500 ms, was 1.41 s"
    assert reasons[-1].endswith("which is tolerated")


def test_a_successful_campaign_needs_no_reason(make_report: Callable[[str], Report]) -> None:
    assert outcome.reasons(make_report("successful")) == ()


def test_an_expectation_without_observations_has_no_actual_value() -> None:
    assert outcome.actual(Expectation(text="p95 is less than 1 s", satisfied=False)) == "–"


def test_a_join_is_no_traffic_although_its_source_received_bytes() -> None:
    received = Bytes(received=100)
    assert not outcome.is_traffic(
        StepReport(name="join", type="inner-join", executions=Executions(), bytes=received)
    )
    assert outcome.is_traffic(
        StepReport(name="ask", type="tcp.request", executions=Executions(), bytes=received)
    )
