"""Messages that cannot be decoded: left out, counted, and told of once."""

from __future__ import annotations

import logging

from qalipsis.metrics.meters import StepMeters

_log = logging.getLogger(__name__)


class BadRecords:
    """Those of one reader."""

    __slots__ = ("_is_told", "_meters", "_name")

    def __init__(self, name: str, meters: StepMeters) -> None:
        self._name = name
        self._meters = meters
        self._is_told = False

    def skip(self, what: str, error: Exception) -> None:
        """Count a message; `what` tells the first one apart, for the log."""
        self._meters.count("bad-records")
        if self._is_told:
            return
        self._is_told = True
        _log.warning(
            "%s: a message %s cannot be decoded (%s: %s); it is left out, as all like it, and counted as "
            "bad-records",
            self._name,
            what,
            type(error).__name__,
            error,
        )
