"""The minions of one scenario in one worker: when they start, walk again and end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from qalipsis.engine.context import Context
from qalipsis.engine.lifecycle import Replays
from qalipsis.engine.minion import Minion
from qalipsis.engine.operation import Operations
from qalipsis.engine.scene import Scene
from qalipsis.engine.strand import Errors
from qalipsis.engine.walk import walk
from qalipsis.errors import CampaignRefused
from qalipsis.metrics.events import Level
from qalipsis.metrics.ledger import Slot

_log = logging.getLogger(__name__)

SLICE = 128
"""Minions started before I/O gets its turn again: about a millisecond."""

BREATH = 0.001
"""Seconds between two passes of which the first never waited for anything."""

Starts = Iterator[tuple[float, Any]]
"""(seconds after the start, indices), in order."""


class Troupe:
    """Starts minions by the plan and keeps the books of minions and passes.

    With `is_open`, indices are arrivals: each one is a pass of a free minion of the `pool`, or dropped.
    """

    def __init__(
        self,
        scene: Scene,
        chain: Operations,
        setup: Operations,
        starts: Starts,
        *,
        is_open: bool,
        pool: Iterator[int],
        on_ended: Callable[[], None],
        on_start_delay: Callable[[float], None],
    ) -> None:
        self._scene = scene
        self._chain = chain
        self._setup = setup
        self._starts = starts
        self._is_open = is_open
        self._pool = pool
        self._on_ended = on_ended
        self._on_start_delay = on_start_delay
        self._counts = scene.ledger.counts
        self._replays: Replays | None = None
        self._started_at = 0.0
        self._batch: Iterator[int] = iter(())
        self._batch_due = 0.0
        self._is_starting = False
        self._is_stopped = False
        self._has_ended = False
        self._free: list[Minion] = []
        self._walking: dict[Minion, None] = {}
        self._warm: dict[int, Minion] = {}

    def minions(self, indices: Iterator[int]) -> list[Minion]:
        """The first minions, made ahead of the start so that they can be warmed up."""
        made = [Minion(index, self._scene) for index in indices]
        self._warm.update((minion.index, minion) for minion in made)
        return made

    def start(self, at: float, replays: Replays | None) -> None:
        """Begin at the common instant `at`."""
        self._started_at = at
        self._replays = replays
        self._is_starting = True
        self._scene.wheel.call_at(at, self._start_due)
        if replays is not None and replays.is_hard:
            self._scene.wheel.call_at(replays.ends_at, self.abort)

    def stop(self) -> None:
        """No further starts or passes; those under way go on."""
        self._is_stopped = True
        self._is_starting = False
        for minion in self._free:
            self._end(minion)
        self._free.clear()
        self._check_end()

    def abort(self) -> None:
        """End everything now; minions that walk count as aborted."""
        self._is_stopped = True
        self._is_starting = False
        for minion in list(self._walking):
            if minion.strand.is_walking:
                minion.strand.abort()
            else:
                self._end(minion)  # between two passes
        self.stop()

    def _start_due(self) -> None:
        """Start everyone who is due, a slice at a time."""
        scene = self._scene
        now = scene.clock.now()
        budget = SLICE
        while self._is_starting:
            for index in self._batch:
                self._on_start_delay(now - self._batch_due)
                self._admit(index, self._batch_due)
                budget -= 1
                if budget == 0:
                    scene.wheel.call_at(now, self._start_due)
                    return
            try:
                offset, indices = next(self._starts)
            except (StopIteration, CampaignRefused) as end:
                if isinstance(end, CampaignRefused):
                    # An author's own profile broke: whoever has not started yet stays unstarted in the books.
                    _log.error("%s starts nobody any more: %s", scene.scenario, end)
                self._is_starting = False
                if self._is_open:
                    for minion in self._free:
                        self._end(minion)
                    self._free.clear()
                self._check_end()
                return
            self._batch_due = self._started_at + offset
            self._batch = iter(indices)
            now = scene.clock.now()
            if self._batch_due > now:
                scene.wheel.call_at(self._batch_due, self._start_due)
                return

    def _admit(self, index: int, due: float) -> None:
        counts = self._counts
        if not self._is_open:
            self._begin_minion(index, due)
            return
        counts[Slot.ARRIVALS_PLANNED] += 1
        if self._free:
            counts[Slot.ARRIVALS_STARTED] += 1
            self._begin_pass(self._free.pop(), due)
        else:
            fresh = next(self._pool, None)
            if fresh is None:
                counts[Slot.ARRIVALS_DROPPED] += 1
            else:
                counts[Slot.ARRIVALS_STARTED] += 1
                self._begin_minion(fresh, due)

    def _begin_minion(self, index: int, due: float) -> None:
        self._counts[Slot.MINIONS_STARTED] += 1
        self._tell("minion.started", Level.TRACE)
        minion = self._warm.pop(index, None) or Minion(index, self._scene)
        if self._setup:
            self._walking[minion] = None
            context = Context(minion, None, due)
            minion.strand.start(walk(minion.strand, context, self._setup), partial(self._set_up, minion))
        else:
            self._begin_pass(minion, due)

    def _set_up(self, minion: Minion, errors: Errors, is_aborted: bool) -> None:
        if errors or is_aborted:
            minion.has_failed = True
            self._end(minion, is_aborted)
            return
        if self._is_stopped:
            self._end(minion)
            return
        self._begin_pass(minion, self._scene.clock.now())

    def _begin_pass(self, minion: Minion, due: float) -> None:
        self._walking[minion] = None
        self._counts[Slot.PASSES_STARTED] += 1
        minion.pass_started = due
        context = Context(minion, None, due)
        minion.is_in_first_steps = True
        minion.strand.start(walk(minion.strand, context, self._chain), partial(self._passed, minion))
        minion.is_in_first_steps = False

    def _passed(self, minion: Minion, errors: Errors, is_aborted: bool) -> None:
        counts = self._counts
        if is_aborted:
            counts[Slot.PASSES_ABORTED] += 1
            self._end(minion, is_aborted=True)
            return
        if errors:
            counts[Slot.PASSES_FAILED] += 1
            minion.has_failed = True
        else:
            counts[Slot.PASSES_COMPLETED] += 1
        if self._is_stopped:
            self._end(minion)
        elif self._is_open:
            if self._is_starting:
                del self._walking[minion]
                self._free.append(minion)
            else:
                self._end(minion)
        elif self._replays is not None:
            now = self._scene.clock.now()
            if minion.is_dry or not self._replays.may_walk_again(now, now - minion.pass_started):
                self._end(minion)
            elif minion.is_in_first_steps:
                # The pass never waited: walking on at once would never let anything else run.
                due = now + BREATH
                self._scene.wheel.call_at(due, partial(self._again, minion, due))
            else:
                self._begin_pass(minion, now)
        else:
            self._end(minion)

    def _again(self, minion: Minion, due: float) -> None:
        if minion not in self._walking:
            return
        if self._is_stopped:
            self._end(minion)
        else:
            self._begin_pass(minion, due)

    def _end(self, minion: Minion, is_aborted: bool = False) -> None:
        counts = self._counts
        has_failed = is_aborted or minion.has_failed
        self._tell(f"minion.completion.{'failed' if has_failed else 'done'}", Level.DEBUG)
        if is_aborted:
            counts[Slot.MINIONS_ABORTED] += 1
        elif minion.has_failed:
            counts[Slot.MINIONS_FAILED] += 1
        else:
            counts[Slot.MINIONS_COMPLETED] += 1
        self._walking.pop(minion, None)
        minion.close()
        self._check_end()

    def _tell(self, event: str, level: Level) -> None:
        if self._scene.events is not None:
            self._scene.events.tell(event, level)

    def _check_end(self) -> None:
        if not self._is_starting and not self._walking and not self._free and not self._has_ended:
            self._has_ended = True
            for minion in self._warm.values():
                minion.close()
            self._warm.clear()
            self._on_ended()
