"""The final text: what a terminal, or a log, keeps of a campaign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from qalipsis.metrics.ledger import Books
from qalipsis.reports import closing, figures, outcome
from qalipsis.reports.model import FactoryReport, Latency, Report, ScenarioReport, StepReport

STYLES = {
    "SUCCESSFUL": "bold green",
    "VALID": "bold green",
    "WARNING": "bold yellow",
    "DEGRADED": "bold yellow",
    "FAILED": "bold red",
    "INVALID": "bold red",
    "ABORTED": "bold magenta",
}
LONGEST_ERROR = 12
"""Lines shown of a traceback; the whole of it is in the other renderings."""


def render(report: Report, width: int = 100, color: bool = False, files: Sequence[str] = ()) -> str:
    """The report as text of at most `width` columns (at least 60), coloured only when `color` is set.

    `files` are the places where other renderings of the same report lie.
    """
    written = StringIO()
    console = Console(
        file=written,
        width=max(width, 60),
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
        _environ={},
    )
    for part in _parts(report, files):
        console.print(part)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()).strip("\n") + "\n"


def _parts(report: Report, files: Sequence[str]) -> Iterable[RenderableType]:
    campaign, verdict = report.campaign, report.verdict
    yield Text.assemble(
        _word(campaign.status), "  verdict ", _word(verdict.value), "  ", (_line(campaign.name), "bold")
    )
    yield Text(
        f"{_line(campaign.key)}, {_line(campaign.start)}, ran {figures.duration(campaign.duration_s)}", "dim"
    )
    for reason in outcome.reasons(report):
        yield _item("status", reason)
    for reason in verdict.reasons:
        yield _item("verdict", reason)
    yield ""
    yield _key_figures(report)
    yield from _books(report.ledger, campaign.status == "ABORTED")
    for scenario in report.scenarios:
        yield ""
        yield from _scenario(scenario, campaign.duration_s)
    if report.factories:
        yield ""
        yield _injectors(report.factories)
    if files:
        yield ""
        yield from (Text.assemble(("report  ", "dim"), _line(each)) for each in files)


def _key_figures(report: Report) -> Text:
    requests, seconds = report.ledger.requests, report.campaign.duration_s
    minions = report.ledger.minions
    planned = minions.scheduled + minions.restarted
    return Text(
        f"{figures.count(requests.attempted)} requests, {figures.per_second(requests.attempted, seconds)}, "
        f"{figures.share(requests.error + requests.unknown, requests.attempted)} without an answer; "
        f"{figures.count(minions.started)} of {figures.plural(planned, 'minion')} started"
    )


def _books(books: Books, aborted: bool) -> Iterable[Text]:
    sums = closing.sums(books, aborted)
    state = ("do not close", "bold red") if closing.broken(sums) else ("close", "green")
    yield Text.assemble("The books ", state, "." if sums else ": nothing was counted.")
    for each in sums:
        yield Text(f"  {_equation(each)}", "red" if each.is_broken else "dim")


def _equation(each: closing.Sum) -> str:
    rest = (
        ""
        if each.closes
        else f"   ({abs(each.difference):,} {'missing' if each.difference > 0 else 'too many'})"
    )
    return f"{each.account}: {_entries(each.left)} = {_entries(each.right)}{rest}"


def _entries(entries: closing.Entries) -> str:
    """The first entry always, of the others those that count something."""
    kept = [each for each in entries if each[1]] or [entries[0]]
    return " + ".join(f"{value:,} {name}" for name, value in kept)


def _scenario(scenario: ScenarioReport, seconds: float) -> Iterable[RenderableType]:
    profile = f", {_line(scenario.profile)}" if scenario.profile else ""
    yield Text.assemble(
        "Scenario ", (_line(scenario.name), "bold"), " ", _word(scenario.status), (profile, "dim")
    )
    yield _steps(outcome.visible_steps(scenario), seconds)
    expectations = outcome.expectations(scenario)
    for each in expectations:
        sign = ("  met   ", "green") if each.satisfied else ("  FAILED", "bold red")
        yield Text.assemble(sign, f"  {_line(each.text)}", (f"   was {outcome.actual(each)}", "dim"))
    for step in outcome.visible_steps(scenario):
        if step.counters:
            counted = ", ".join(f"{figures.count(n)} {_line(name)}" for name, n in step.counters.items() if n)
            yield Text.assemble("  ", _line(step.name), (f"   {counted}", "dim"))
    for kind, number in outcome.errors(scenario).most_common():
        yield Text.assemble("  ", (f"{figures.count(number):>9}", "red"), f"  {_line(kind)}")
    for step in outcome.visible_steps(scenario):
        if step.first_error:
            yield Text.assemble("  first error of ", (_line(step.name), "bold"))
            yield Padding(Text(_shortened(step.first_error), "dim"), (0, 0, 0, 4))
    for message in scenario.messages:
        where = f" {_line(message.step)}:" if message.step else ""
        yield _item(message.severity.lower(), f"{where} {message.text}".strip())


def _steps(steps: Iterable[StepReport], seconds: float) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("  step", overflow="fold", ratio=None)
    for name in ("executed", "failed", "rate"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("from", no_wrap=True)
    for name in ("p50", "p95", "p99", "max"):
        table.add_column(name, justify="right", no_wrap=True)
    for step in steps:
        done = step.executions
        failed = Text(figures.count(done.failed), "red" if done.failed else "dim")
        table.add_row(
            Text(f"  {_line(step.name)}"),
            figures.count(done.attempted),
            failed,
            figures.per_second(done.attempted, seconds),
            "due",
            *_percentiles(step.latency.from_due),
        )
        if outcome.is_traffic(step):
            table.add_row("", "", "", "", "sent", *_percentiles(step.latency.from_sent))
    return table


def _percentiles(latency: Latency) -> tuple[str, ...]:
    values = (latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.max_ms)
    return tuple(figures.latency(value, latency.count) for value in values)


def _injectors(factories: Iterable[FactoryReport]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("injector", overflow="fold")
    table.add_column("state")
    for name in ("cpu max", "loop lag p99", "start delay p99"):
        table.add_column(name, justify="right", no_wrap=True)
    for factory in factories:
        table.add_row(
            Text(f"{_line(factory.node)}, {figures.plural(factory.workers, 'worker')}"),
            Text(_state(factory.state, factory.lost_at)),
            f"{100 * factory.cpu_max:.0f} %",
            figures.milliseconds(factory.loop_lag_p99_ms),
            figures.milliseconds(factory.start_delay_p99_ms),
        )
        for worker in factory.worker_details:
            table.add_row(
                Text(f"  worker {worker.index}"),
                Text(_state(worker.state, worker.lost_at)),
                f"{100 * worker.cpu_max:.0f} %",
                figures.milliseconds(worker.loop_lag_p99_ms),
                figures.milliseconds(worker.start_delay_p99_ms),
            )
    return table


def _state(state: str, lost_at: str | None) -> str:
    return _line(f"{state} at {lost_at}" if lost_at else state)


def _item(label: str, text: str) -> Padding:
    return Padding(Text.assemble((f"{label}: ", "dim"), _line(text)), (0, 0, 0, 2))


def _word(value: str) -> tuple[str, str]:
    return _line(value), STYLES.get(value, "bold")


def _line(text: str) -> str:
    return figures.printable(text, keep="").strip()


def _shortened(text: str) -> str:
    lines = figures.printable(text).strip().splitlines()
    if len(lines) <= LONGEST_ERROR:
        return "\n".join(lines)
    # The last lines of a traceback say what happened, the first where it began.
    return "\n".join((*lines[:3], f"… {len(lines) - LONGEST_ERROR} lines …", *lines[3 - LONGEST_ERROR :]))
