"""Messages that cannot be decoded: left out, counted, and told of once."""

from __future__ import annotations

import logging

from qalipsis.engine.source import ReaderRuntime

_log = logging.getLogger(__name__)


class BadRecords:
    """Those of one reader."""

    __slots__ = ("_is_told", "_name", "_runtime")

    def __init__(self, name: str, runtime: ReaderRuntime) -> None:
        self._name = name
        self._runtime = runtime
        self._is_told = False

    def skip(self, what: str, error: Exception) -> None:
        """Count a message; `what` tells the first one apart, for the log."""
        if self._runtime.is_counting:
            self._runtime.meters.count("bad-records")
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
