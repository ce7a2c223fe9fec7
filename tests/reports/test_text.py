from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from qalipsis.reports import page, text
from qalipsis.reports.model import Report


def test_it_begins_with_status_and_verdict(make_report: Callable[[str], Report]) -> None:
    assert text.render(make_report("ordinary")).startswith(
        "FAILED  verdict DEGRADED  Spring sale rehearsal\n"
    )


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_line_is_wider_than_asked(any_report: Report, width: int) -> None:
    for line in text.render(any_report, width).splitlines():
        assert cell_len(line) <= width


def test_there_is_no_escape_sequence_without_colour(any_report: Report) -> None:
    assert "\x1b" not in text.render(any_report, color=False)


def test_colour_adds_nothing_but_colour(make_report: Callable[[str], Report]) -> None:
    report = make_report("ordinary")
    coloured = text.render(report, color=True)
    assert "\x1b[" in coloured
    plain = "\n".join(line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", coloured).splitlines()) + "\n"
    assert plain == text.render(report)


def test_it_says_what_a_user_waits_beside_what_the_service_took(make_report: Callable[[str], Report]) -> None:
    lines = text.render(make_report("ordinary")).splitlines()
    row = next(i for i, line in enumerate(lines) if line.strip().startswith("place-order"))
    assert "due" in lines[row]
    assert lines[row + 1].split()[0] == "sent"


def test_the_ledger_line_tells_whether_the_books_close(make_report: Callable[[str], Report]) -> None:
    report = make_report("ordinary")
    assert "The books close." in text.render(report)
    minions = msgspec.structs.replace(report.ledger.minions, completed=480)
    broken = msgspec.structs.replace(report, ledger=msgspec.structs.replace(report.ledger, minions=minions))
    assert "The books do not close." in text.render(broken)
    assert "(5 missing)" in text.render(broken)


def test_it_names_errors_expectations_tracebacks_and_files(make_report: Callable[[str], Report]) -> None:
    shown = text.render(make_report("ordinary"), files=("out/report.html",))
    assert "86  verify" in shown
    assert "FAILED  p95 of latency of place-order is less than 500 ms   was 1.41 s" in shown
    assert "Traceback (most recent call last):" in shown
    assert "report  out/report.html" in shown


def test_a_long_traceback_keeps_its_beginning_and_its_end(make_report: Callable[[str], Report]) -> None:
    report = make_report("successful")
    (scenario,) = report.scenarios
    step = msgspec.structs.replace(scenario.steps[0], first_error="\n".join(f"line {i}" for i in range(40)))
    scenario = msgspec.structs.replace(scenario, steps=(step,))
    shown = text.render(msgspec.structs.replace(report, scenarios=(scenario,)))
    assert "line 0" in shown
    assert "line 39" in shown
    assert "line 20" not in shown


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), width=st.integers(0, 200))
def test_any_report_makes_a_text(
    data: st.DataObject, width: int, reports: Callable[..., st.SearchStrategy[Report]]
) -> None:
    text.render(data.draw(reports()), width).encode()


def test_minions_that_were_started_again_are_among_those_that_were_to_start(
    make_report: Callable[[str], Report],
) -> None:
    report = make_report("ordinary")
    minions = msgspec.structs.replace(report.ledger.minions, scheduled=20, restarted=10, started=29)
    ledger = msgspec.structs.replace(report.ledger, minions=minions)
    again = msgspec.structs.replace(report, ledger=ledger)
    assert "29 of 30 minions started" in text.render(again, 100)
    assert "of 20 scheduled, 10 started again" in page.render(again)
