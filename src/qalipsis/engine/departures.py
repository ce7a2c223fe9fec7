"""Lets indices go at their moments, a slice at a time, so that I/O gets its turn."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from qalipsis.engine.scene import Scene
from qalipsis.errors import CampaignRefused

_log = logging.getLogger(__name__)

SLICE = 128
"""Minions started before I/O gets its turn again: about a millisecond."""

Starts = Iterator[tuple[float, Any]]
"""(seconds after the start, indices), in order; `()` lets I/O have its turn in a long search."""


class Departures:
    """One sequence of starts, from its first moment until nobody is left, or it is stopped.

    `depart(index, due, now)` is called for each, `on_over` once behind the last one.
    """

    def __init__(
        self,
        scene: Scene,
        starts: Starts,
        started_at: float,
        depart: Callable[[int, float, float], None],
        on_over: Callable[[Departures], None],
    ) -> None:
        self._scene = scene
        self._starts = starts
        self._started_at = started_at
        self._depart = depart
        self._on_over = on_over
        self._batch: Iterator[int] = iter(())
        self._batch_due = 0.0
        self._is_stopped = False

    def open(self, at: float) -> None:
        """Begin at this instant, with what is due by then."""
        self._scene.wheel.call_at(at, self._go)

    def stop(self) -> None:
        """Nobody departs any more; `on_over` is not called."""
        self._is_stopped = True

    def is_stopped(self) -> bool:
        return self._is_stopped

    def _go(self) -> None:
        """Let everyone go who is due, a slice at a time."""
        scene, depart = self._scene, self._depart
        now = scene.clock.now()
        budget = SLICE
        while not self.is_stopped():
            for index in self._batch:
                depart(index, self._batch_due, now)
                budget -= 1
                if budget == 0:
                    scene.wheel.call_at(now, self._go)
                    return
                if self.is_stopped():
                    return
            try:
                offset, indices = next(self._starts)
            except (StopIteration, CampaignRefused) as end:
                if isinstance(end, CampaignRefused):
                    # An author's own profile broke: whoever has not started yet stays unstarted in the books.
                    _log.error("%s starts nobody any more: %s", scene.scenario, end)
                self._is_stopped = True
                self._on_over(self)
                return
            now = scene.clock.now()
            if not indices:
                scene.wheel.call_at(now, self._go)
                return
            self._batch_due = self._started_at + offset
            self._batch = iter(indices)
            if self._batch_due > now:
                scene.wheel.call_at(self._batch_due, self._go)
                return
