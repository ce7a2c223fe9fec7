"""What a running campaign looks like right now: one value per second for the console and live views."""

from __future__ import annotations

from msgspec import Struct


class LiveStep(Struct, frozen=True, kw_only=True):
    """One step so far (`executed`, `failed`) and in the last second (rate and percentiles, from_due)."""

    scenario: str
    name: str
    executed: int
    failed: int
    rate_per_s: float
    is_request: bool = True
    """False for journeys, stages and pauses, whose duration says little about the service."""
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0


class Live(Struct, frozen=True, kw_only=True):
    """`planned_s` is the length the profiles foresee, None when only the minions decide.

    `minions_ended` are those that completed, and those that failed or were aborted.
    """

    campaign: str
    state: str
    elapsed_s: float
    planned_s: float | None
    minions_scheduled: int
    minions_started: int
    minions_running: int
    minions_ended: int
    minions_completed: int = 0
    requests: int
    requests_per_s: float
    errors: int
    steps: tuple[LiveStep, ...] = ()
    notices: tuple[str, ...] = ()
