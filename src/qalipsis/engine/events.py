"""What happens to minions and monitored steps, told to whoever collects events."""

from __future__ import annotations

from collections.abc import Callable

from qalipsis.clock import Clock
from qalipsis.metrics.events import Event, Level, LevelFilter


class EventLog:
    """Makes events of one scenario and hands on those that the filter accepts."""

    def __init__(
        self, scenario: str, clock: Clock, accepts: LevelFilter, collect: Callable[[Event], None]
    ) -> None:
        self._tags = (("scenario", scenario),)
        self._clock = clock
        self._filter = accepts
        self._collect = collect

    def tell(
        self,
        name: str,
        level: Level,
        value: float | str | None = None,
        tags: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Something happened now."""
        if self._filter.accepts(name, level):
            now = self._clock.epoch(self._clock.now())
            self._collect(Event(name=name, level=level, timestamp=now, tags=self._tags + tags, value=value))

    def of_step(self, kind: str, step: str) -> Callable[[str, float | str], None]:
        """What tells of the traffic of one step: `<kind>.connected`, `.failed`, `.opened`, `.ended`."""
        tags = (("step", step),)

        def tell(what: str, value: float | str) -> None:
            level = Level.WARN if what == "failed" else Level.DEBUG
            self.tell(f"{kind}.{what}", level, value, tags)

        return tell
