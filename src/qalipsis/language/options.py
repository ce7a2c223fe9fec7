"""What can be said of any step: its name, deadline, retries, repetition, reporting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qalipsis.language.durations import Duration


@dataclass(frozen=True, slots=True)
class BackoffSpec:
    """retries + 1 attempts with growing waits between them, none after the last failure."""

    retries: Any
    delay: Any
    multiplier: Any
    max_delay: Any


def backoff(
    retries: int = 3, delay: Duration = "1s", multiplier: float = 1.0, max_delay: Duration = "1h"
) -> BackoffSpec:
    """Wait `delay`, then `delay * multiplier`, and so on up to `max_delay`."""
    return BackoffSpec(retries, delay, multiplier, max_delay)


@dataclass(frozen=True, slots=True)
class IterationSpec:
    count: Any
    period: Any
    stop_on_error: bool


@dataclass(frozen=True, slots=True)
class Options:
    """Raw values as written; the compiler checks them."""

    name: str | None = None
    timeout: Any = None
    retry: BackoffSpec | None = None
    iterate: IterationSpec | None = None
    monitor_meters: bool = False
    monitor_events: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    report_errors: bool = True
    tolerate: Any = 0.0
