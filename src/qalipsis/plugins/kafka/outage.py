"""For how long something has not worked, and when that is too long."""

from __future__ import annotations

import logging
from collections.abc import Callable

from qalipsis.engine.step import StepError
from qalipsis.metrics.meters import StepMeters

_log = logging.getLogger(__name__)


class Outage:
    """Begins with a failure and is over with the next success; what it forgives is bounded in time."""

    def __init__(self, longest: float, now: Callable[[], float], meters: StepMeters) -> None:
        self._longest = longest
        self._now = now
        self._meters = meters
        self._began_at: float | None = None
        self._last: StepError | None = None

    def failed(self, error: StepError) -> None:
        if self._began_at is None:
            self._began_at = self._now()
            self._meters.count("outages")
            _log.warning("%s", error)
        self._last = error

    def over(self) -> None:
        self._began_at = self._last = None

    def give_up_in_time(self) -> None:
        """Raises StepError with the last failure, once there has been no success for too long."""
        if self._last is None or self._began_at is None or self._now() - self._began_at < self._longest:
            return
        raise StepError(self._last.kind, f"{self._last} (for more than {self._longest:g} s)") from self._last
