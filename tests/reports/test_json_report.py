from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qalipsis.reports import json_report
from qalipsis.reports.model import Report

BOOKS = {
    "minions": {"scheduled", "restarted", "unstarted", "started", "completed", "failed", "aborted", "lost"},
    "passes": {"scheduled", "restarted", "unstarted", "started", "completed", "failed", "aborted", "lost"},
    "requests": {"attempted", "ok", "error", "unknown"},
    "arrivals": {"planned", "started", "dropped"},
}
LATENCY = {"count", "mean_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms"}


@pytest.fixture
def document(make_report: Callable[[str], Report]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json_report.encode(make_report("ordinary")))
    return read


def test_the_schema_comes_first(document: dict[str, Any]) -> None:
    promised = ["schema", "campaign", "verdict", "ledger", "scenarios", "timeline", "factories"]
    assert list(document)[: len(promised)] == promised
    assert document["schema"] == "qalipsis-report/1"


def test_every_promised_field_is_there(document: dict[str, Any]) -> None:
    assert {"key", "name", "status", "start", "end", "duration_s", "speed_factor"} <= set(
        document["campaign"]
    )
    assert {"value", "reasons"} <= set(document["verdict"])
    assert {account: set(entries) for account, entries in document["ledger"].items()} == BOOKS
    scenario = document["scenarios"][0]
    assert {"name", "status", "zones", "ledger", "steps", "meters", "messages"} <= set(scenario)
    step = scenario["steps"][1]
    assert {"name", "type", "executions", "latency", "phases", "bytes", "statuses"} <= set(step)
    assert {"attempted", "successful", "failed", "errors"} <= set(step["executions"])
    assert set(step["latency"]) == {"from_due", "from_sent"}
    assert set(step["latency"]["from_due"]) == set(step["phases"]["wait"]) == LATENCY
    assert set(step["phases"]) == {"dns", "connect", "tls", "send", "wait", "receive"}
    assert {"text", "satisfied", "actual"} <= set(scenario["meters"][0]["expectations"][0])
    second = document["timeline"][0]
    assert {
        "t_s",
        "offered_per_s",
        "achieved_per_s",
        "errors_per_s",
        "minions",
        "p50_ms",
        "p95_ms",
        "p99_ms",
    } == set(second)
    factory = document["factories"][0]
    assert {
        "node",
        "zone",
        "workers",
        "state",
        "lost_at",
        "cpu_max",
        "loop_lag_p99_ms",
        "clock_offset_ms",
        "ledger",
    } <= set(factory)


def test_what_was_written_can_be_read(any_report: Report) -> None:
    body = json_report.encode(any_report)
    assert json.loads(json_report.encode(json_report.decode(body))) == json.loads(body)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_report_survives_the_round_trip(
    data: st.DataObject, reports: Callable[..., st.SearchStrategy[Report]]
) -> None:
    report = data.draw(reports(st.text(max_size=8)))
    assert json_report.decode(json_report.encode(report)) == report


def test_a_lone_surrogate_does_not_cost_the_report(make_report: Callable[[str], Report]) -> None:
    assert b"\\\\ud800" in json_report.encode(make_report("hostile"))


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b'{"schema": "qalipsis-report/9"}', "its schema is 'qalipsis-report/9'"),
        (b'{"name": "something else"}', "it names no schema"),
        (b'{"schema": "qalipsis-report/1"}', "missing required field `campaign`"),
        (b"[]", "no campaign report"),
        (b"<html>", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"", "no JSON"),
    ],
)
def test_anything_else_is_refused_with_a_reason(body: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match="report") as refused:
        json_report.decode(body)
    assert complaint in str(refused.value)
