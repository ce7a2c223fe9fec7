"""The minions of one scenario in one worker: when they start, walk again and end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain as one_after_the_other

from qalipsis.engine.context import Context
from qalipsis.engine.departures import Departures, Starts
from qalipsis.engine.lifecycle import Replays
from qalipsis.engine.minion import Minion
from qalipsis.engine.operation import Operations
from qalipsis.engine.scene import Scene
from qalipsis.engine.strand import Errors
from qalipsis.engine.walk import walk
from qalipsis.metrics.events import Level
from qalipsis.metrics.ledger import Slot

BREATH = 0.001
"""Seconds between two passes of which the first never waited for anything."""


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
        self._departures: dict[Departures, None] = {}
        """Who is still to start."""
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
        self._open(self._starts, at, self._depart)
        if replays is not None and replays.is_hard:
            self._scene.wheel.call_at(replays.ends_at, self.abort)

    def take_over(self, minions: int, pool: Iterator[int], starts: Starts) -> None:
        """Start minions of lost workers again, beside the own ones; the end of the scenario waits for them.

        Once it was stopped, or the time to replay is over, they stay unstarted in the books.
        """
        self._counts[Slot.MINIONS_RESTARTED] += minions
        self._has_ended = False
        now = self._scene.clock.now()
        is_over = self._replays is not None and now >= self._replays.ends_at
        if not self._is_stopped and not is_over:
            self._pool = one_after_the_other(self._pool, pool)
            self._open(starts, now, partial(self._depart_again, now))
        self._check_end()

    def stop(self) -> None:
        """No further starts or passes; those under way go on."""
        self._is_stopped = True
        self._cancel_departures()
        for minion in self._free:
            self._end(minion)
        self._free.clear()
        self._check_end()

    def abort(self) -> None:
        """End everything now; minions that walk count as aborted."""
        self._is_stopped = True
        self._cancel_departures()
        for minion in list(self._walking):
            if minion.strand.is_walking:
                minion.strand.abort()
            else:
                self._end(minion)  # between two passes
        self.stop()

    @property
    def has_ended(self) -> bool:
        return self._has_ended

    def _open(self, starts: Starts, at: float, depart: Callable[[int, float, float], None]) -> None:
        departures = Departures(self._scene, starts, self._started_at, depart, self._over)
        self._departures[departures] = None
        departures.open(at)

    def _over(self, departures: Departures) -> None:
        del self._departures[departures]
        if self._departures:
            return
        if self._is_open:
            for minion in self._free:
                self._end(minion)
            self._free.clear()
        self._check_end()

    def _cancel_departures(self) -> None:
        for departures in self._departures:
            departures.stop()
        self._departures.clear()

    def _depart_again(self, since: float, index: int, due: float, now: float) -> None:
        """Someone whose first worker was lost, taken over at `since`.

        Minions whose moment has passed are due now: nobody was waiting for them since then, and the outage is
        in the books already. Arrivals are not made up for: that would be more load than planned.
        """
        if due >= since:
            self._depart(index, due, now)
        elif self._is_open:
            self._counts[Slot.ARRIVALS_PLANNED] += 1
            self._counts[Slot.ARRIVALS_DROPPED] += 1
        else:
            self._depart(index, since, now)

    def _depart(self, index: int, due: float, now: float) -> None:
        self._on_start_delay(now - due)
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
            if self._departures:
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
        if not self._departures and not self._walking and not self._free and not self._has_ended:
            self._has_ended = True
            for minion in self._warm.values():
                minion.close()
            self._warm.clear()
            self._on_ended()
