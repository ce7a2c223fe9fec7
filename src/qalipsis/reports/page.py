"""report.html: the whole report in one file that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qalipsis.reports import charts, closing, figures, outcome
from qalipsis.reports.model import MeterReport, Report, ScenarioReport, StepReport

TONES = {
    "SUCCESSFUL": "good",
    "VALID": "good",
    "WARNING": "warn",
    "DEGRADED": "warn",
    "WARN": "warn",
    "FAILED": "bad",
    "INVALID": "bad",
    "ERROR": "bad",
    "LOST": "bad",
    "ABORTED": "halt",
    "ABORT": "halt",
}
STATUS_SENTENCES = {
    "SUCCESSFUL": "Every step and every expectation held.",
    "WARNING": "Executions failed, but no more than the scenarios tolerate.",
    "FAILED": "The service did not do what the scenarios expect.",
    "ABORTED": "The campaign was stopped before its end.",
}
VERDICT_SENTENCES = {
    "VALID": "The load was applied as planned, and every minion and request is accounted for.",
    "DEGRADED": "Read the figures with care: the load itself was disturbed.",
    "INVALID": "Do not rely on these figures.",
}
STOPPED = "Until the stop, the load was applied as planned, and every minion and request is accounted for."
MOST_COMPARED = 20
PHASES = ("dns", "connect", "tls", "send", "wait", "receive")


def render(report: Report) -> str:
    """The report as one HTML document: it loads nothing, and is complete without its script."""
    style, script = _asset("page.css"), _asset("page.js")
    aborted = report.campaign.status == "ABORTED"
    sums = closing.sums(report.ledger, aborted)
    scenarios = [_scenario(f"scenario-{i}", each, aborted) for i, each in enumerate(report.scenarios, 1)]
    traffic = [step for each in scenarios for step in each["measured"]]
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            report=report,
            style=Markup(style),
            script=Markup(script),
            # The only script allowed is the one below: markup in a name could not run even if it got through.
            script_hash=b64encode(sha256(script.encode()).digest()).decode(),
            status_sentence=STATUS_SENTENCES.get(report.campaign.status, ""),
            status_reasons=outcome.reasons(report),
            verdict_sentence=_verdict_sentence(report.verdict.value, aborted),
            key_figures=tuple(_key_figures(report, traffic)),
            expectations=[(each, one) for each in report.scenarios for one in outcome.expectations(each)],
            load=charts.load(report.timeline),
            minions=charts.minions(report.timeline),
            latency=charts.latency(report.timeline),
            distribution=charts.overall_distribution(traffic),
            scenarios=scenarios,
            sums=sums,
            books_are_broken=bool(closing.broken(sums)) or any(each["is_broken"] for each in scenarios),
        )
    )


def _verdict_sentence(verdict: str, aborted: bool) -> str:
    return STOPPED if aborted and verdict == "VALID" else VERDICT_SENTENCES.get(verdict, "")


def _scenario(key: str, scenario: ScenarioReport, aborted: bool) -> Mapping[str, Any]:
    """What the template shows of one scenario."""
    steps = outcome.visible_steps(scenario)
    traffic = tuple(step for step in steps if outcome.is_traffic(step))
    measured = tuple(step for step in traffic or steps if step.latency.from_due.count)
    compared = _slowest(measured)
    axis_end, axis = charts.percentile_axis(compared)
    sums = closing.sums(scenario.ledger, aborted)
    # One distribution alone is the same as that of all steps, which stands above.
    distributions = charts.step_distributions(f"{key}-distribution", measured) if len(measured) > 1 else ()
    return {
        "key": key,
        "scenario": scenario,
        "steps": steps,
        "traffic": traffic,
        "measured": measured,
        "compared": compared,
        "axis": axis,
        "axis_end": axis_end,
        "distributions": distributions,
        "distributions_are_cut": len(distributions) < len(measured),
        "has_retries": any(step.executions.retried for step in steps),
        "phases": _phases(traffic),
        "answers": tuple(step for step in traffic if step.statuses or step.failures),
        "counting": tuple(step for step in steps if step.counters),
        "failing": tuple(step for step in steps if step.executions.errors or step.first_error),
        "sums": sums,
        "is_broken": bool(closing.broken(sums)),
    }


def _slowest(steps: tuple[StepReport, ...]) -> tuple[StepReport, ...]:
    """As many as a reader can compare, in the order of the scenario."""
    ranked = sorted(range(len(steps)), key=lambda i: -steps[i].latency.from_due.p95_ms)
    return tuple(steps[i] for i in sorted(ranked[:MOST_COMPARED]))


def _phases(steps: Iterable[StepReport]) -> tuple[str, ...]:
    """Those measured anywhere, in the order in which a request passes through them."""
    found = dict.fromkeys(phase for step in steps for phase in step.phases)
    return tuple(phase for phase in PHASES if phase in found) + tuple(
        phase for phase in found if phase not in PHASES
    )


def _key_figures(report: Report, traffic: list[StepReport]) -> Iterable[Mapping[str, str]]:
    requests, minions, seconds = report.ledger.requests, report.ledger.minions, report.campaign.duration_s
    steps = [step for scenario in report.scenarios for step in outcome.visible_steps(scenario)]
    failed = sum(step.executions.failed for step in steps)
    executed = sum(step.executions.attempted for step in steps)
    peak = max((second.achieved_per_s for second in report.timeline), default=0.0)
    slowest = max(traffic, key=lambda step: step.latency.from_due.p95_ms, default=None)
    received = sum(step.bytes.received for step in steps)
    sent = sum(step.bytes.sent for step in steps)

    def one(name: str, value: str, detail: str = "") -> Mapping[str, str]:
        return {"name": name, "value": value, "detail": detail}

    yield one("Requests", figures.count(requests.attempted), f"{figures.count(requests.ok)} answered")
    yield one(
        "Mean rate",
        figures.per_second(requests.attempted, seconds),
        f"{figures.rate(peak)} in the busiest second",
    )
    lost = requests.error + requests.unknown
    yield one("Without an answer", figures.share(lost, requests.attempted), figures.plural(lost, "request"))
    yield one("Failed executions", figures.share(failed, executed), f"{figures.count(failed)} of all steps")
    if slowest is not None:
        latency = slowest.latency.from_due
        yield one(
            "p95 of the slowest step", figures.milliseconds(latency.p95_ms), f"{slowest.name}, from due"
        )
        yield one(
            "p99 of the slowest step", figures.milliseconds(latency.p99_ms), f"{slowest.name}, from due"
        )
    again = f", {figures.count(minions.restarted)} started again" if minions.restarted else ""
    planned = f"of {figures.count(minions.scheduled)} scheduled{again}"
    yield one("Minions", figures.count(minions.started), planned)
    if sent or received:
        yield one("Received", figures.size(received), f"{figures.size(sent)} sent")
    else:
        yield one(
            "Length",
            figures.duration(seconds),
            figures.plural(report.ledger.passes.started, "pass", "passes"),
        )


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("qalipsis.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    templates.filters.update(
        actual=outcome.actual,
        bars=charts.percentile_bar,
        by_count=lambda errors: sorted(errors.items(), key=lambda each: -each[1]),
        count=figures.count,
        duration=figures.duration,
        failure_tone=lambda step: "bad" if outcome.is_failing(step) else "warn",
        is_traffic=outcome.is_traffic,
        latency=figures.latency,
        meter_value=_meter_value,
        moment=_moment,
        ms=figures.milliseconds,
        number=figures.number,
        per_second=figures.per_second,
        plural=figures.plural,
        share=figures.share,
        size=figures.size,
        status_tone=lambda status: {"4": "warn", "5": "bad"}.get(status[:1], ""),
        tone=lambda value: TONES.get(value, ""),
        words=_words,
    )
    return templates


@cache
def _asset(name: str) -> str:
    environment = _templates()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _shown(value: object) -> object:
    """Control characters and lone surrogates are no HTML, and could not be written to a file."""
    return figures.printable(value) if type(value) is str else value


def _moment(text: str) -> str:
    """An ISO-8601 UTC stamp as people write it; anything else as it is."""
    date, separator, time = text.partition("T")
    return f"{date} {time[:8]} UTC" if separator and time.endswith("Z") else text


def _meter_value(value: float, meter: MeterReport, name: str) -> str:
    return figures.milliseconds(value) if meter.type == "timer" and name != "count" else figures.number(value)


def _words(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{key} {_words(each)}" for key, each in value.items())
        case list() | tuple():
            return ", ".join(_words(each) for each in value)
        case _:
            return str(value)
