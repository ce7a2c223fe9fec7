"""The seam behind which campaigns are kept, and the store that lives as long as its process."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Protocol

from qalipsis.reports.model import Report, Second


class Store(Protocol):
    """Keeps what is to outlive the head's memory. What was saved is there for every later reader.

    Saving the same state or second again changes nothing: after a failure, callers save again.
    """

    async def save_state(self, campaign: str, state: str, at: float) -> None:
        """The campaign entered a state at this instant, in epoch seconds."""

    async def save_seconds(self, campaign: str, seconds: Sequence[Second]) -> None:
        """Seconds of the timeline, each complete."""

    async def seconds(self, campaign: str) -> tuple[Second, ...]:
        """The timeline so far, in the order of time."""

    async def save_report(self, report: Report) -> None:
        """The end of a campaign."""

    async def aclose(self) -> None: ...


class MemoryStore:
    """Keeps campaigns in this process; a second of the timeline takes 64 bytes."""

    def __init__(self) -> None:
        self.states: dict[str, list[tuple[str, float]]] = {}
        self.reports: dict[str, Report] = {}
        self._timelines: dict[str, array[float]] = {}

    async def save_state(self, campaign: str, state: str, at: float) -> None:
        states = self.states.setdefault(campaign, [])
        if all(known != state for known, _ in states):
            states.append((state, at))

    async def save_seconds(self, campaign: str, seconds: Sequence[Second]) -> None:
        timeline = self._timelines.setdefault(campaign, array("d"))
        for second in seconds:
            if not timeline or second.t_s > timeline[-_WIDTH]:
                timeline.extend(getattr(second, field) for field in _FIELDS)

    async def seconds(self, campaign: str) -> tuple[Second, ...]:
        timeline = self._timelines.get(campaign, array("d"))
        rows = (timeline[first : first + _WIDTH] for first in range(0, len(timeline), _WIDTH))
        return tuple(_second(row) for row in rows)

    async def save_report(self, report: Report) -> None:
        self.reports[report.campaign.key] = report

    async def aclose(self) -> None:
        return None


_FIELDS = Second.__struct_fields__
_WIDTH = len(_FIELDS)


def _second(row: array[float]) -> Second:
    t_s, offered, achieved, errors, minions, p50, p95, p99 = row
    return Second(
        t_s=t_s,
        offered_per_s=offered,
        achieved_per_s=achieved,
        errors_per_s=errors,
        minions=int(minions),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )
