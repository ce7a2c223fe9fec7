"""What a worker counts: per step, per meter of the author, frozen once a second."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qalipsis.config.durations import seconds
from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.records import STATUSES, UNPACK, RecordBuffer
from qalipsis.metrics.scale import VALUES, Ints
from qalipsis.metrics.snapshot import TIMINGS, MeterSnapshot, Snapshot, StepSnapshot
from qalipsis.metrics.table import HistogramTable

METER_TYPES: Final = ("counter", "gauge", "rate", "throughput", "timer", "summary")

LONGEST_ERROR: Final = 20_000
"""Characters kept of the first error: a traceback, not a response body."""

MOST_CLASSES: Final = 100
"""Classes of errors told apart in a step: user code may make one up for each failure."""

OTHER_CLASS: Final = "other"

SMALL_BATCH: Final = 30
"""Up to so many records plain Python (4.5 µs each) is faster than numpy (130 µs + 0.1 µs each)."""

_WIDTH: Final = len(TIMINGS)
_SENT, _SEND, _WAIT, _RECEIVE = (TIMINGS.index(name) for name in ("sent", "send", "wait", "receive"))


CHECKS = ("verify", "verify-and-map", "validate")
"""Types of steps whose executions are assertions."""


class StepMeters:
    """The counters of one step of a scenario in one worker; the engine increments them directly.

    Responses are not counted here but written to `WorkerMeters.records` under `index`.
    """

    __slots__ = (
        "_is_first_error_frozen",
        "_latencies",
        "_timings",
        "attempted",
        "bytes_received",
        "bytes_sent",
        "counters",
        "errors",
        "failed",
        "failures",
        "first_error",
        "index",
        "name",
        "retried",
        "scenario",
        "statuses",
        "successful",
        "tell",
        "timeouts",
        "type",
    )

    def __init__(
        self,
        index: int,
        scenario: str,
        name: str,
        type: str,
        latencies: HistogramTable,
        timings: HistogramTable,
    ) -> None:
        self.index = index
        self.scenario = scenario
        self.name = name
        self.type = type
        self._latencies = latencies
        self._timings = timings
        self.attempted = 0
        self.successful = 0
        self.failed = 0
        self.retried = 0
        self.timeouts = 0
        self.bytes_sent = 0
        self.bytes_received = 0
        self.errors: dict[str, int] = {}
        self.failures: dict[str, int] = {}
        self.statuses: dict[int, int] = {}
        self.counters: dict[str, int] = {}
        self.first_error = ""
        self.tell: Callable[[str, float | str], None] | None = None
        """Where events are wanted: called with what happened to the step's traffic, and a value."""
        self._is_first_error_frozen = False

    def fail(self, kind: str, detail: str = "") -> None:
        """Count a failed execution under its class; the first detail is kept for the author."""
        self.failed += 1
        if kind not in self.errors:
            kind = encodable(kind) if len(self.errors) < MOST_CLASSES else OTHER_CLASS
        self.errors[kind] = self.errors.get(kind, 0) + 1
        if not self.first_error:
            self.first_error = detail[:LONGEST_ERROR]

    def failure(self, kind: str) -> None:
        """Count a request that failed in transport, also when it is retried."""
        self.failures[kind] = self.failures.get(kind, 0) + 1
        if self.tell is not None:
            self.tell("failed", kind)

    def count(self, name: str, number: int = 1) -> None:
        """Add to a figure that only this kind of step has, for example `records-read`."""
        self.counters[name] = self.counters.get(name, 0) + number

    def phase(self, name: str, seconds: float) -> None:
        """Record a phase that not every request has: dns, connect or tls."""
        self._timings.add(self.index * _WIDTH + TIMINGS.index(name), seconds)
        if self.tell is not None and name == "connect":
            self.tell("connected", 1000 * seconds)

    def bytes(self, sent: int, received: int) -> None:
        """Count the traffic of a request that has no record, because it failed."""
        self.bytes_sent += sent
        self.bytes_received += received

    def hop(self, status: int, sent: int, received: int) -> None:
        """Count the response of a redirect on the way to the one that is recorded."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.bytes(sent, received)

    @property
    def from_due(self) -> Histogram:
        """A copy of what was drained since the last freeze."""
        return self._latencies.histogram(self.index)

    @property
    def from_sent(self) -> Histogram:
        """A copy of what was drained since the last freeze."""
        return self._timings.histogram(self.index * _WIDTH + _SENT)

    @property
    def phases(self) -> dict[str, Histogram]:
        """Copies of the phases measured since the last freeze."""
        first = self.index * _WIDTH
        phases = {name: self._timings.histogram(first + place) for place, name in enumerate(TIMINGS) if place}
        return {name: histogram for name, histogram in phases.items() if histogram.count}

    def freeze(self) -> StepSnapshot:
        first_error = "" if self._is_first_error_frozen else self.first_error
        self._is_first_error_frozen = bool(self.first_error)
        is_check = self.type in CHECKS
        not_held = self.errors.get("assertion", 0) if is_check else 0
        return StepSnapshot(
            scenario=self.scenario,
            name=self.name,
            type=self.type,
            attempted=self.attempted,
            successful=self.successful,
            failed=self.failed,
            retried=self.retried,
            timeouts=self.timeouts,
            running=self.attempted - self.successful - self.failed,
            assertion_success=self.successful if is_check else 0,
            assertion_failure=not_held,
            assertion_error=self.failed - not_held if is_check else 0,
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            errors=dict(self.errors),
            failures=dict(self.failures),
            statuses=dict(self.statuses),
            first_error=encodable(first_error),
            counters=dict(self.counters),
        )


class UserMeter:
    """A meter of the author in one worker: counter, gauge, rate, throughput, timer or summary.

    `record` takes a number to add (counter), the value now (gauge), how many more happened (throughput), any
    number (summary), a duration (timer; a number is seconds), for a rate a pair (observed, total) or a bool.
    Anything else raises ValueError, which is an error of the author's step.
    """

    __slots__ = ("_count", "_histogram", "_record", "_second", "_total", "_value", "name", "scenario", "type")

    def __init__(self, scenario: str, name: str, type: str) -> None:
        if type not in METER_TYPES:
            raise ValueError(f"{type!r} is no meter; write one of {', '.join(METER_TYPES)}")
        self.scenario = scenario
        self.name = name
        self.type = type
        self._count = 0
        self._value = 0.0
        self._total = 0.0
        self._second = 0.0
        self._histogram = Histogram(VALUES) if type in ("timer", "summary") else None
        self._record = getattr(self, f"_record_{type}")

    def record(self, value: Any) -> None:
        self._record(value)
        self._count += 1

    def freeze(self) -> MeterSnapshot:
        """Hand over the totals and the last second, which starts again from nothing."""
        second, self._second = self._second, 0.0
        return MeterSnapshot(
            scenario=self.scenario,
            name=self.name,
            type=self.type,
            count=self._count,
            value=self._value,
            total=self._total,
            second=second,
            histogram=self._histogram.take().encode() if self._histogram is not None else b"",
        )

    def _record_counter(self, value: Any) -> None:
        self._value += self._number(value)

    def _record_gauge(self, value: Any) -> None:
        self._value = self._number(value)

    def _record_throughput(self, value: Any) -> None:
        number = self._number(value)
        self._value += number
        self._second += number

    def _record_rate(self, value: Any) -> None:
        try:
            observed, total = (value, 1) if isinstance(value, bool) else value
        except (TypeError, ValueError):
            raise ValueError(
                f"rate `{self.name}` cannot record {value!r}; return (observed, total) or True or False"
            ) from None
        observed, total = self._number(observed), self._number(total)
        self._value += observed
        self._total += total

    def _record_timer(self, value: Any) -> None:
        self._record_summary(seconds(value) if isinstance(value, (str, timedelta)) else value)

    def _record_summary(self, value: Any) -> None:
        assert self._histogram is not None
        self._histogram.add(self._number(value))

    def _number(self, value: Any) -> float:
        if value.__class__ is float and math.isfinite(value):
            return value
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"{self.type} `{self.name}` cannot record {value!r}; return a finite number")
        return number


class WorkerMeters:
    """Everything one worker counts. `drain` every 20 ms keeps batches small enough not to stall the loop."""

    __slots__ = ("_by_name", "_latencies", "_meters", "_steps", "_timings", "records")

    def __init__(self) -> None:
        self.records = RecordBuffer()
        self._latencies = HistogramTable()
        self._timings = HistogramTable()
        self._steps: list[StepMeters] = []
        self._by_name: dict[tuple[str, str], StepMeters] = {}
        self._meters: dict[tuple[str, str], UserMeter] = {}

    def step(self, scenario: str, name: str, type: str) -> StepMeters:
        """The meters of a step: the same object whenever the same names are asked for."""
        meters = self._by_name.get((scenario, name))
        if meters is None:
            meters = StepMeters(
                len(self._steps), scenario, encodable(name), type, self._latencies, self._timings
            )
            self._steps.append(meters)
            self._by_name[scenario, name] = meters
        return meters

    def meter(self, scenario: str, name: str, type: str) -> UserMeter:
        """A meter of the author: the same object whenever the same names are asked for."""
        meter = self._meters.get((scenario, name))
        if meter is None:
            meter = self._meters[scenario, name] = UserMeter(scenario, encodable(name), type)
        return meter

    def drain(self) -> None:
        """Count the records written since the last call."""
        waiting = len(self.records)
        if waiting > SMALL_BATCH:
            self._count_batch(self.records.drain())
        elif waiting:
            self._count_each(self.records.take())

    def freeze(self, sequence: int, elapsed: float) -> Snapshot:
        """Drain, and hand over the totals and the last second; ledgers and health are the caller's to add."""
        self.drain()
        return Snapshot(
            sequence=sequence,
            elapsed_s=elapsed,
            steps=tuple(step.freeze() for step in self._steps),
            meters=tuple(meter.freeze() for meter in self._meters.values()),
            latencies=self._latencies.take(),
            timings=self._timings.take(),
        )

    def _count_each(self, records: bytearray) -> None:
        latency, timing = self._latencies.add, self._timings.add
        for tag, due, sent, written, first_byte, done, bytes_sent, bytes_received in UNPACK(records):
            index, status = divmod(tag, STATUSES)
            latency(index, done - due)
            timing(index * _WIDTH + _SENT, done - sent)
            step = self._steps[index]
            step.bytes(bytes_sent, bytes_received)
            if status:
                step.statuses[status] = step.statuses.get(status, 0) + 1
                timing(index * _WIDTH + _SEND, written - sent)
                timing(index * _WIDTH + _WAIT, first_byte - written)
                timing(index * _WIDTH + _RECEIVE, done - first_byte)

    def _count_batch(self, records: NDArray[Any]) -> None:
        # Grouped by step and status, each group is one slice.
        order = np.argsort(records["tag"], kind="stable")
        records = records[order]
        tags = records["tag"]
        group_starts = np.flatnonzero(np.diff(tags, prepend=-1))
        self._count_responses(records, tags, group_starts)
        steps = tags // STATUSES
        starts = np.flatnonzero(np.diff(steps, prepend=-1))
        indexes = steps[starts]
        self._latencies.add_groups(indexes, starts, records["done"] - records["due"])
        self._timings.add_groups(indexes * _WIDTH + _SENT, starts, records["done"] - records["sent"])
        self._count_phases(records, tags)

    def _count_phases(self, records: NDArray[Any], tags: Ints) -> None:
        is_http = tags % STATUSES > 0
        if not is_http.all():
            records = records[is_http]
            if not len(records):
                return
        steps = records["tag"] // STATUSES
        starts = np.flatnonzero(np.diff(steps, prepend=-1))
        keys = steps[starts] * _WIDTH
        sent, written, first_byte = records["sent"], records["written"], records["first_byte"]
        self._timings.add_groups(
            np.concatenate((keys + _SEND, keys + _WAIT, keys + _RECEIVE)),
            np.concatenate((starts, starts + len(records), starts + 2 * len(records))),
            np.concatenate((written - sent, first_byte - written, records["done"] - first_byte)),
        )

    def _count_responses(self, records: NDArray[Any], tags: Ints, starts: Ints) -> None:
        counts = np.diff(starts, append=len(records)).tolist()
        sent = np.add.reduceat(records["bytes_sent"], starts).tolist()
        received = np.add.reduceat(records["bytes_received"], starts).tolist()
        for tag, count, bytes_sent, bytes_received in zip(
            tags[starts].tolist(), counts, sent, received, strict=True
        ):
            index, status = divmod(tag, STATUSES)
            step = self._steps[index]
            if status:
                step.statuses[status] = step.statuses.get(status, 0) + count
            step.bytes(bytes_sent, bytes_received)


def encodable(text: str) -> str:
    """`text` as it can be sent: half a surrogate pair in an error must not break a snapshot."""
    return text.encode("utf-8", "replace").decode()
