"""The compiled form of a scenario: frozen, complete, checked. What a worker walks and a head may know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from qalipsis.metrics.expectations import Condition


class StepDescriptor(Struct, frozen=True, kw_only=True):
    """One step as the head knows it. Hidden steps are counted but not reported."""

    name: str
    type: str
    tolerated_share: float = 0.0
    reported: bool = True
    hidden: bool = False


class MeterDescriptor(Struct, frozen=True, kw_only=True):
    """A user's meter: counter, gauge, rate, throughput, timer or summary."""

    name: str
    type: str
    conditions: tuple[Condition, ...] = ()


class ExpectationDescriptor(Struct, frozen=True, kw_only=True):
    """A condition on a step: its latency (from due), service_time (from sent), failed_share or executions."""

    step: str
    measure: str
    condition: Condition
    abort: bool = False


class ScenarioDescriptor(Struct, frozen=True, kw_only=True):
    """Everything the head learns of a scenario: data only, no code."""

    name: str
    minions: int
    profile: str
    """The profile in words, for example `regular(period=0.1, k=10)`."""
    fixed_minions: bool = False
    """True when the count belongs to the profile (absolute stages) and factors do not apply."""
    has_arrivals: bool = False
    description: str = ""
    steps: tuple[StepDescriptor, ...] = ()
    meters: tuple[MeterDescriptor, ...] = ()
    expectations: tuple[ExpectationDescriptor, ...] = ()
    file: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Backoff:
    """retries + 1 attempts; the n-th wait is delay × multiplier^(n-1), at most max_delay (seconds)."""

    retries: int
    delay: float
    multiplier: float
    max_delay: float

    def wait(self, attempt: int) -> float:
        """Seconds to wait after the failed attempt `attempt` (the first is 1)."""
        return float(min(self.max_delay, self.delay * self.multiplier ** (attempt - 1)))


@dataclass(frozen=True, slots=True)
class Iteration:
    count: int
    period: float = 0.0
    stop_on_error: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One step of the plan. `branches` are the sub-chains of stage, split, gather and choose."""

    index: int
    name: str
    kind: str
    spec: Any
    branches: tuple[tuple[Node, ...], ...] = ()
    timeout: float | None = None
    retry: Backoff | None = None
    iterate: Iteration | None = None
    monitor_meters: bool = False
    monitor_events: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    reported: bool = True
    tolerated_share: float = 0.0
    conditions: tuple[Condition, ...] = ()

    @property
    def hidden(self) -> bool:
        return self.name.startswith("__")


@dataclass(frozen=True, slots=True, eq=False)
class AsideRoot:
    """A root beside the loaded one. Joins meet records in their own worker: each walks one that is joined."""

    name: str
    chain: tuple[Node, ...]
    is_everywhere: bool


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A scenario, ready to be walked: `setup` once per minion, then `chain` once per pass."""

    name: str
    minions: int
    profile: Any
    chain: tuple[Node, ...]
    setup: tuple[Node, ...] = ()
    asides: tuple[AsideRoot, ...] = ()
    expectations: tuple[ExpectationDescriptor, ...] = ()
    file: str = ""
    line: int = 0
    description: str = ""
    digest: str = ""
    properties: Any = None
    """Resolves the placeholders of specs that a journey makes while it runs (`Properties`)."""
