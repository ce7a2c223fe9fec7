"""What one worker counted up to the end of a second, frozen, as it travels to the head.

Nothing here can be part of a cycle, and a head reads 100,000 of these structs a second: `gc=False` keeps them
out of the garbage collector's sight, which gives a twelfth of the time back.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

TIMINGS: Final = ("sent", "dns", "connect", "tls", "send", "wait", "receive")
"""The timings of a step beside `from_due`; the first is `from_sent`, the others the phases of a request."""


class StepSnapshot(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One step so far. Its number is its place in the snapshot, the same in all snapshots of one source."""

    scenario: str
    name: str
    type: str
    attempted: int = 0
    successful: int = 0
    failed: int = 0
    retried: int = 0
    timeouts: int = 0
    running: int = 0
    assertion_success: int = 0
    assertion_failure: int = 0
    assertion_error: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    first_error: str = ""
    """Only in the first snapshot after it happened: it may be long."""
    counters: dict[str, int] = field(default_factory=dict)
    """Figures that only some kinds of step have."""


class MeterSnapshot(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One user's meter so far; `second` and `histogram` are of the last second only.

    `value` is the sum of a counter or throughput, the last value of a gauge, what a rate observed of `total`.
    """

    scenario: str
    name: str
    type: str
    count: int = 0
    value: float = 0.0
    total: float = 0.0
    second: float = 0.0
    histogram: bytes = b""


class WorkerHealth(Struct, frozen=True, kw_only=True, gc=False):
    """How the injector itself did in the last second; `cpu` is the share (0–1) of one core."""

    cpu: float = 0.0
    loop_lag_p99_s: float = 0.0
    loop_lag_max_s: float = 0.0
    start_delay_p99_s: float = 0.0
    dropped: int = 0
    """Arrivals dropped in that second because no minion was free."""


class Snapshot(Struct, frozen=True, kw_only=True, gc=False):
    """Counters since the start, distributions of the last second.

    `elapsed_s` counts from the campaign's common start. `latencies` holds the packed from_due histograms of
    the second by step number, `timings` the others by step number × 7 + place in `TIMINGS`.
    `ledgers` holds the raw counters in the order of `Slot`, by scenario.
    """

    sequence: int
    elapsed_s: float
    steps: tuple[StepSnapshot, ...] = ()
    meters: tuple[MeterSnapshot, ...] = ()
    latencies: bytes = b""
    timings: bytes = b""
    ledgers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    health: WorkerHealth = WorkerHealth()
