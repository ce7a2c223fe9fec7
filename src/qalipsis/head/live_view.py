"""The running campaign as the console shows it: cheap, once a second."""

from __future__ import annotations

from collections import deque
from typing import Final

from msgspec.structs import replace

from qalipsis.head.load import walking_minions
from qalipsis.head.tally import Tally
from qalipsis.metrics.ledger import SLOTS, Slot
from qalipsis.reports.live import Live, LiveStep
from qalipsis.reports.model import Second

MOST_NOTICES: Final = 100


class LiveView:
    """Counts what the closed seconds bring, so that no total has to be summed again each second."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.minions_scheduled = 0
        self.planned_s: float | None = None
        self._steps: dict[tuple[str, str], LiveStep] = {}
        self._notices: deque[str] = deque(maxlen=MOST_NOTICES)
        self._errors = 0
        self._requests_per_s = 0.0

    @classmethod
    def thaw(cls, live: Live) -> LiveView:
        """The view that showed this last; steps that it does not show begin again from nothing."""
        view = cls(live.campaign)
        view.minions_scheduled, view.planned_s = live.minions_scheduled, live.planned_s
        view._steps = {(step.scenario, step.name): step for step in live.steps}
        view._notices.extend(live.notices)
        view._errors, view._requests_per_s = live.errors, live.requests_per_s
        return view

    def notice(self, text: str) -> None:
        """Something that the user should know now; told once."""
        if text not in self._notices:
            self._notices.append(text)

    def add(self, second: Second, tally: Tally) -> None:
        """A second was closed, the aggregate's last one."""
        figures = tally.aggregate.last_second
        if figures is None:
            return
        self._requests_per_s = second.offered_per_s
        self._errors += int(second.errors_per_s)
        quiet = {key: _quiet(step) for key, step in self._steps.items() if key not in figures.steps}
        self._steps.update(quiet)
        for key, step in figures.steps.items():
            if key[1].startswith("__"):
                continue
            before = self._steps.get(key)
            self._steps[key] = LiveStep(
                scenario=key[0],
                name=key[1],
                executed=step.executed + (before.executed if before else 0),
                failed=step.failed + (before.failed if before else 0),
                rate_per_s=float(step.executed),
                is_request=step.is_request,
                p50_ms=step.p50_ms,
                p95_ms=step.p95_ms,
                p99_ms=step.p99_ms,
            )

    def show(self, state: str, elapsed: float, tally: Tally) -> Live:
        """The campaign now."""
        counts = [sum(column) for column in zip(*_counters(tally), strict=True)]
        started = counts[Slot.MINIONS_STARTED]
        ended = counts[Slot.MINIONS_COMPLETED] + counts[Slot.MINIONS_FAILED] + counts[Slot.MINIONS_ABORTED]
        walking = sum(
            walking_minions(row)
            for worker in tally.workers.values()
            if not worker.is_lost
            for row in worker.ledgers.values()
        )
        return Live(
            campaign=self.name,
            state=state,
            elapsed_s=elapsed,
            planned_s=self.planned_s,
            minions_scheduled=self.minions_scheduled,
            minions_started=started,
            minions_running=walking,
            minions_ended=ended,
            minions_completed=counts[Slot.MINIONS_COMPLETED],
            requests=counts[Slot.REQUESTS_ATTEMPTED],
            requests_per_s=self._requests_per_s,
            errors=self._errors,
            steps=tuple(
                step for step in self._steps.values() if not step.name.startswith("_") or step.failed
            ),
            notices=tuple(self._notices),
        )


def _counters(tally: Tally) -> list[tuple[int, ...]]:
    rows = [counts for worker in tally.workers.values() for counts in worker.ledgers.values()]
    return [*rows, (0,) * SLOTS]


def _quiet(step: LiveStep) -> LiveStep:
    """A step of which nothing ended in the last second."""
    return replace(step, rate_per_s=0.0, p50_ms=0.0, p95_ms=0.0, p99_ms=0.0)
