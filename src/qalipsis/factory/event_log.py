"""Events as records of the log `qalipsis.events`, one JSON object each."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import msgspec

from qalipsis.metrics.events import Event, Level, LevelFilter

_log = logging.getLogger("qalipsis.events")


class LoggedEvents:
    """Collects what the filter accepts, whatever level the other logs have."""

    def __init__(self, levels: Mapping[str, str]) -> None:
        others = {prefix: Level.of(level) for prefix, level in levels.items() if prefix}
        self.filter = LevelFilter(Level.of(levels[""]), others)
        self._encoder = msgspec.json.Encoder()
        _log.setLevel(logging.DEBUG)

    def collect(self, event: Event) -> None:
        fields = {
            "event": event.name,
            "level": event.level.name,
            "timestamp": event.timestamp,
            "tags": dict(event.tags),
            "value": event.value,
        }
        _log.info("%s", self._encoder.encode(fields).decode())
