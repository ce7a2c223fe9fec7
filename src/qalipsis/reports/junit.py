"""junit.xml: what a build server shows of a campaign."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from qalipsis.reports import closing, figures, outcome
from qalipsis.reports.model import Report, ScenarioReport, StepReport


def render(report: Report) -> bytes:
    """One suite per scenario with a case per step and per expectation, and one for the campaign itself."""
    campaign = report.campaign
    suites = Element("testsuites", name=_text(campaign.name), time=_seconds(campaign.duration_s))
    suites.append(_campaign(report))
    suites.extend(_scenario(each, report) for each in report.scenarios)
    for total in ("tests", "failures", "errors"):
        suites.set(total, str(sum(int(suite.get(total, 0)) for suite in suites)))
    indent(suites)
    body: bytes = tostring(suites, encoding="utf-8", xml_declaration=True)
    return body + b"\n"


def _campaign(report: Report) -> Element:
    verdict, campaign = report.verdict, report.campaign
    trusted = _case("campaign", "verdict", campaign.duration_s)
    if verdict.value != "VALID":
        books = (each for each in closing.sums(report.ledger, campaign.status == "ABORTED") if each.is_broken)
        details = (
            *verdict.reasons,
            *(f"the books of {each.account} lack {each.difference:,}" for each in books),
        )
        _add(trusted, "error", verdict.value, f"the verdict is {verdict.value}", details)
    ended = _case("campaign", "completion", campaign.duration_s)
    if campaign.status == "ABORTED":
        _add(ended, "error", "ABORTED", "the campaign was aborted", outcome.reasons(report))
    return _suite("campaign", report, (trusted, ended))


def _scenario(scenario: ScenarioReport, report: Report) -> Element:
    cases = [_step(scenario.name, step) for step in outcome.visible_steps(scenario)]
    for expectation in outcome.expectations(scenario):
        case = _case(scenario.name, f"expect {expectation.text}", 0.0)
        if not expectation.satisfied:
            message = f"expected {expectation.text}, was {outcome.actual(expectation)}"
            _add(case, "failure", "expectation", message, ())
        cases.append(case)
    messages = [each.text for each in scenario.messages if each.severity in outcome.SERIOUS]
    failed = any(len(case) and case[0].tag == "failure" for case in cases)
    if messages or (scenario.status == "FAILED" and not failed):
        case = _case(scenario.name, "status", 0.0)
        _add(case, "failure", scenario.status, f"the scenario is {scenario.status}", messages)
        cases.append(case)
    return _suite(scenario.name, report, cases)


def _step(scenario: str, step: StepReport) -> Element:
    case = _case(scenario, f"step {step.name}", step.latency.from_due.mean_ms / 1000)
    done = step.executions
    if not done.failed:
        return case
    message = f"{figures.count(done.failed)} of {figures.count(done.attempted)} executions failed"
    lines = [*(f"{kind}: {figures.count(number)}" for kind, number in done.errors.items()), step.first_error]
    if outcome.is_failing(step):
        _add(case, "failure", "failed executions", message, lines)
    else:
        note = SubElement(case, "system-out")
        note.text = _text("\n".join((f"{message}, which is tolerated", *lines)))
    return case


def _suite(name: str, report: Report, cases: Iterable[Element]) -> Element:
    campaign = report.campaign
    suite = Element(
        "testsuite", name=_text(name), timestamp=_text(campaign.start), time=_seconds(campaign.duration_s)
    )
    suite.extend(cases)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("skipped", "0")
    return suite


def _case(suite: str, name: str, seconds: float) -> Element:
    return Element("testcase", classname=_text(suite), name=_text(name), time=_seconds(seconds))


def _add(case: Element, tag: str, kind: str, message: str, details: Iterable[str]) -> None:
    element = SubElement(case, tag, type=_text(kind), message=_text(message))
    element.text = _text("\n".join((message, *(line for line in details if line))))


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _text(text: str) -> str:
    return figures.printable(text)
