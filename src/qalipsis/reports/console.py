"""The running campaign on a terminal, or as plain lines where there is none."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live as Screen
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from qalipsis.reports import figures
from qalipsis.reports.live import Live, LiveStep

PLAIN_PERIOD = 5.0
"""Seconds of the campaign between two plain lines."""
NOTICES = 5
STEPS = 12
BAR: dict[str, Any] = {"complete_style": "cyan", "finished_style": "cyan", "pulse_style": "cyan"}
"""The colours of the progress bar; red is kept for failures."""


def view(live: Live, steps: int = STEPS) -> RenderableType:
    """One frame: where the campaign stands, totals, at most so many steps, the latest notices."""
    parts: list[RenderableType] = [_headline(live), _progress(live), _totals(live)]
    if live.steps:
        parts += ["", _table(live.steps, steps)]
    parts += [Text.assemble(("! ", "bold yellow"), _line(each)) for each in live.notices[-NOTICES:]]
    return Group(*parts)


class LiveConsole:
    """Redraws in place at each update, and nothing in between; leaves the screen clean behind it."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._screen = Screen(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.stop()

    def update(self, live: Live) -> None:
        """Show this state now."""
        others = 8 + min(len(live.notices), NOTICES)
        self._screen.update(view(live, max(1, self._console.height - others)), refresh=True)


class PlainConsole:
    """One line at each change of state, for each new notice, and every five seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._state = ""
        self._next = 0.0
        self._noticed: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()

    def update(self, live: Live) -> None:
        """Write what is worth a line of a log."""
        for notice in live.notices:
            if notice not in self._noticed:
                self._noticed.add(notice)
                self._write(f"{figures.clock(live.elapsed_s)} ! {_line(notice)}")
        if live.state != self._state or live.elapsed_s >= self._next:
            self._state = live.state
            self._next = live.elapsed_s + PLAIN_PERIOD
            self._write(plain(live))

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def plain(live: Live) -> str:
    """The state in one line."""
    planned = f"/{figures.clock(live.planned_s)}" if live.planned_s is not None else ""
    parts = [
        f"{figures.clock(live.elapsed_s)}{planned} {live.state}",
        f"minions {live.minions_running:,} running, {live.minions_ended:,}/{live.minions_scheduled:,} ended",
        f"requests {live.requests:,}, {figures.rate(live.requests_per_s)}",
        f"errors {live.errors:,}",
    ]
    requests = [step for step in live.steps if step.is_request]
    slowest = max(requests, key=lambda step: step.p95_ms, default=None)
    if slowest is not None and slowest.p95_ms:
        parts.append(f"slowest {_line(slowest.name)} p95 {figures.milliseconds(slowest.p95_ms)}")
    return " | ".join(parts)


def _headline(live: Live) -> Text:
    return Text.assemble((_line(live.campaign), "bold"), "  ", (_line(live.state), "bold cyan"))


def _progress(live: Live) -> Table:
    row = Table.grid(padding=(0, 1))
    elapsed = figures.clock(live.elapsed_s)
    if live.planned_s is None:
        bar = ProgressBar(total=None, width=40, pulse=True, animation_time=live.elapsed_s, **BAR)
        row.add_row(bar, elapsed, Text("ends with its minions", "dim"))
        return row
    done = min(1.0, live.elapsed_s / live.planned_s) if live.planned_s > 0 else 1.0
    bar = ProgressBar(total=1.0, completed=done, width=40, **BAR)
    row.add_row(bar, f"{elapsed} of {figures.clock(live.planned_s)}", Text(f"{100 * done:.0f} %", "dim"))
    return row


def _totals(live: Live) -> Table:
    row = Table.grid(padding=(0, 3))
    errors = Text.assemble(("errors ", "dim"), (f"{live.errors:,}", "bold red" if live.errors else "bold"))
    row.add_row(
        Text.assemble(
            ("minions ", "dim"),
            (f"{live.minions_running:,}", "bold"),
            f" running, {live.minions_ended:,} ended of {live.minions_scheduled:,}",
        ),
        Text.assemble(
            ("requests ", "dim"), (f"{live.requests:,}", "bold"), f"  {figures.rate(live.requests_per_s)}"
        ),
        errors,
    )
    return row


def _table(steps: tuple[LiveStep, ...], most: int) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("step", no_wrap=True, overflow="ellipsis")
    for name in ("executed", "rate", "failed", "p50", "p95", "p99"):
        table.add_column(name, justify="right", no_wrap=True)
    shown = _busiest(steps, most)
    several = len({step.scenario for step in steps}) > 1
    for step in shown:
        name = f"{step.scenario} / {step.name}" if several else step.name
        table.add_row(
            Text(_line(name)),
            figures.count(step.executed),
            figures.rate(step.rate_per_s),
            Text(figures.count(step.failed), "red" if step.failed else "dim"),
            *(_latency(value) for value in (step.p50_ms, step.p95_ms, step.p99_ms)),
        )
    hidden = len(steps) - len(shown)
    if not hidden:
        return table
    return Group(table, Text(f"and {figures.plural(hidden, 'calmer step')}", "dim"))


def _busiest(steps: tuple[LiveStep, ...], most: int) -> tuple[LiveStep, ...]:
    """Those that failed and those with most traffic, in the order of the scenario."""
    if len(steps) <= most:
        return steps
    ranked = sorted(range(len(steps)), key=lambda i: (not steps[i].failed, -steps[i].rate_per_s))
    return tuple(steps[i] for i in sorted(ranked[:most]))


def _latency(value: float) -> str:
    return figures.milliseconds(value) if value else figures.NOTHING


def _line(text: str) -> str:
    return figures.printable(text, keep="")
