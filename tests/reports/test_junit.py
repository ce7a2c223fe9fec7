from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qalipsis.reports import junit
from qalipsis.reports.model import Report


def parsed(report: Report) -> ElementTree.Element:
    return ElementTree.fromstring(junit.render(report))


def case(root: ElementTree.Element, suite: str, name: str) -> ElementTree.Element:
    found = root.find(f"testsuite[@name='{suite}']/testcase[@name='{name}']")
    assert found is not None
    return found


def test_there_is_a_suite_per_scenario_and_one_for_the_campaign(make_report: Callable[[str], Report]) -> None:
    root = parsed(make_report("ordinary"))
    assert root.tag == "testsuites"
    assert [suite.get("name") for suite in root] == ["campaign", "checkout", "browse"]


def test_the_totals_count_what_is_there(any_report: Report) -> None:
    root = parsed(any_report)
    for total, path in (
        ("tests", "testcase"),
        ("failures", "testcase/failure"),
        ("errors", "testcase/error"),
    ):
        assert all(suite.get(total) == str(len(suite.findall(path))) for suite in root)
        assert root.get(total) == str(len(root.findall(f"testsuite/{path}")))


def test_a_failing_step_says_why(make_report: Callable[[str], Report]) -> None:
    failure = case(parsed(make_report("ordinary")), "checkout", "step place-order").find("failure")
    assert failure is not None
    assert failure.get("message") == "97 of 9,549 executions failed"
    assert "read-timeout: 32" in (failure.text or "")
    assert "Traceback" in (failure.text or "")


def test_a_tolerated_failure_passes_and_is_mentioned(make_report: Callable[[str], Report]) -> None:
    step = case(parsed(make_report("ordinary")), "checkout", "step basket")
    assert step.find("failure") is None
    assert "tolerated" in step.findtext("system-out", "")


def test_a_violated_expectation_is_a_failure_with_the_actual_value(
    make_report: Callable[[str], Report],
) -> None:
    root = parsed(make_report("ordinary"))
    failure = case(root, "checkout", "expect p95 of latency of place-order is less than 500 ms").find(
        "failure"
    )
    assert failure is not None
    assert "was 1.41 s" in (failure.get("message") or "")
    assert len(case(root, "checkout", "expect p99 of latency of search is less than 2 s")) == 0


def test_a_verdict_that_is_not_valid_is_an_error(make_report: Callable[[str], Report]) -> None:
    error = case(parsed(make_report("ordinary")), "campaign", "verdict").find("error")
    assert error is not None
    assert error.get("type") == "DEGRADED"
    assert "98 % of its core" in (error.text or "")
    assert len(case(parsed(make_report("successful")), "campaign", "verdict")) == 0


def test_an_aborted_campaign_is_an_error(make_report: Callable[[str], Report]) -> None:
    assert case(parsed(make_report("empty")), "campaign", "completion").find("error") is not None


def test_a_scenario_that_failed_for_another_reason_fails_a_case_of_its_own(
    make_report: Callable[[str], Report],
) -> None:
    report = make_report("successful")
    (scenario,) = report.scenarios
    failed = msgspec.structs.replace(report, scenarios=(msgspec.structs.replace(scenario, status="FAILED"),))
    assert case(parsed(failed), "browse", "status").find("failure") is not None


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_report_makes_well_formed_xml(
    data: st.DataObject, reports: Callable[..., st.SearchStrategy[Report]]
) -> None:
    parsed(data.draw(reports()))
