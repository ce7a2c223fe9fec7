"""The campaign report as data: what report.json holds and every other rendering shows.

Latencies are milliseconds; `t_s` and `duration_s` are seconds; `start` and `end` are ISO-8601 UTC.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from qalipsis.metrics.ledger import Books

SCHEMA = "qalipsis-report/1"


class Latency(Struct, frozen=True, kw_only=True):
    """One distribution; all values are 0 when `count` is 0."""

    count: int = 0
    mean_ms: float = 0.0
    min_ms: float = 0.0
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0
    max_ms: float = 0.0


class LatencyPair(Struct, frozen=True, kw_only=True):
    """What a user waits (`from_due`) beside what the service took (`from_sent`)."""

    from_due: Latency = Latency()
    from_sent: Latency = Latency()


class Executions(Struct, frozen=True, kw_only=True):
    """attempted = successful + failed once nothing is running; errors by class sum to `failed`."""

    attempted: int = 0
    successful: int = 0
    failed: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    retried: int = 0


class Bytes(Struct, frozen=True, kw_only=True):
    sent: int = 0
    received: int = 0


class StepReport(Struct, frozen=True, kw_only=True):
    name: str
    type: str
    executions: Executions
    latency: LatencyPair = LatencyPair()
    phases: dict[str, Latency] = field(default_factory=dict)
    """dns, connect, tls, send, wait, receive: only those that were measured."""
    bytes: Bytes = Bytes()
    statuses: dict[str, int] = field(default_factory=dict)
    histogram: tuple[tuple[float, int], ...] = ()
    """from_due distribution as (upper bound in ms, count), at most some hundred points."""
    failures: dict[str, int] = field(default_factory=dict)
    """Requests that failed in transport, by class (each attempt counts, also a retried one)."""
    counters: dict[str, int] = field(default_factory=dict)
    """Figures that only this kind of step has, for example `records-read` or `matched`."""
    first_error: str = ""
    """The first traceback or error message seen, for the author."""
    tolerated_share: float = 0.0
    reported: bool = True


class Expectation(Struct, frozen=True, kw_only=True):
    """`actual` is None when there was nothing to compare; durations are in milliseconds, with unit `ms`."""

    text: str
    satisfied: bool
    actual: float | None = None
    unit: str = ""


class MeterReport(Struct, frozen=True, kw_only=True):
    name: str
    type: str
    values: dict[str, float] = field(default_factory=dict)
    """count, value, mean, max, p50 … in the unit the author recorded (timers: milliseconds)."""
    expectations: tuple[Expectation, ...] = ()


class Message(Struct, frozen=True, kw_only=True):
    """Severity is INFO, WARN, ERROR or ABORT."""

    severity: str
    text: str
    step: str = ""


class ScenarioReport(Struct, frozen=True, kw_only=True):
    name: str
    status: str
    ledger: Books
    zones: dict[str, int] = field(default_factory=dict)
    profile: str = ""
    steps: tuple[StepReport, ...] = ()
    meters: tuple[MeterReport, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    messages: tuple[Message, ...] = ()


class Second(Struct, frozen=True, kw_only=True):
    """One point of the timeline; percentiles are from_due over all requests of that second."""

    t_s: float
    offered_per_s: float
    achieved_per_s: float
    errors_per_s: float
    minions: int
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0


class WorkerReport(Struct, frozen=True, kw_only=True):
    index: int
    pid: int
    state: str
    cpu_max: float = 0.0
    loop_lag_p99_ms: float = 0.0
    start_delay_p99_ms: float = 0.0
    lost_at: str | None = None


class FactoryReport(Struct, frozen=True, kw_only=True):
    """`cpu_max` is the share (0–1) of a core used by the busiest worker."""

    node: str
    workers: int
    state: str
    ledger: Books
    zone: str | None = None
    lost_at: str | None = None
    cpu_max: float = 0.0
    loop_lag_p99_ms: float = 0.0
    start_delay_p99_ms: float = 0.0
    clock_offset_ms: float = 0.0
    worker_details: tuple[WorkerReport, ...] = ()


class Verdict(Struct, frozen=True, kw_only=True):
    """VALID, DEGRADED or INVALID: whether the numbers can be trusted, beside whether the test passed."""

    value: str
    reasons: tuple[str, ...] = ()


class CampaignInfo(Struct, frozen=True, kw_only=True):
    """Status: SUCCESSFUL, WARNING, FAILED or ABORTED."""

    key: str
    name: str
    status: str
    start: str
    end: str
    duration_s: float
    speed_factor: float = 1.0
    seed: int = 0


class Report(Struct, frozen=True, kw_only=True):
    schema: str = SCHEMA
    campaign: CampaignInfo
    verdict: Verdict
    ledger: Books
    scenarios: tuple[ScenarioReport, ...]
    timeline: tuple[Second, ...]
    factories: tuple[FactoryReport, ...]
    environment: dict[str, Any] = field(default_factory=dict)
