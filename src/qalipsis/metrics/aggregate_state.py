"""What an aggregate has merged, as data that another process can go on from."""

from __future__ import annotations

from msgspec import Struct, field

from qalipsis.metrics.snapshot import MeterSnapshot, StepSnapshot


class SourceState(Struct, frozen=True, kw_only=True, array_like=True):
    """The latest state of one source; histograms of its meters are left out."""

    sequence: int
    second: int
    steps: tuple[StepSnapshot, ...] = ()
    meters: tuple[MeterSnapshot, ...] = ()
    ledgers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    zone: str = ""


class SecondState(Struct, frozen=True, kw_only=True, array_like=True):
    """A zone's second that is still open; counts by step number, throughputs as (scenario, meter, sum)."""

    t: int
    zone: str
    latencies: bytes
    executed: dict[int, int]
    failed: dict[int, int]
    throughputs: tuple[tuple[str, str, float], ...]


class AggregateState(Struct, frozen=True, kw_only=True, array_like=True):
    """Histograms are packed; `steps` are (scenario, name, type) by number, distributions begin with zone,
    scenario and meter.
    """

    sources: dict[str, SourceState]
    steps: tuple[tuple[str, str, str], ...]
    first_errors: dict[int, str]
    latencies: bytes
    timings: bytes
    distributions: tuple[tuple[str, str, str, bytes], ...]
    last_throughputs: tuple[tuple[str, str, float], ...]
    open: tuple[SecondState, ...]
    closed: int
    late: int
