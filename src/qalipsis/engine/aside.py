"""A root beside the loaded one, walked by a single minion that is no part of the load."""

from __future__ import annotations

from functools import partial

from qalipsis.engine.context import Context
from qalipsis.engine.departures import SLICE
from qalipsis.engine.minion import Minion
from qalipsis.engine.operation import Kind, Mode, Operations
from qalipsis.engine.scene import Scene
from qalipsis.engine.strand import Errors
from qalipsis.engine.troupe import BREATH
from qalipsis.engine.walk import walk


class Aside:
    """Walks its chain once, or again and again when it begins with a source, until that one ends.

    Its executions and requests are counted, its minion and passes are not: they are no load.
    """

    def __init__(self, number: int, scene: Scene, chain: Operations) -> None:
        self._scene = scene
        self._chain = chain
        first = next(operation for operation in chain if operation.kind is not Kind.LOOP)
        self._repeats = first.mode is Mode.TAKE
        self._minion = Minion(-1 - number, scene)
        self._is_over = False
        self._is_interrupted = False
        self._is_starting = False
        self._is_waiting = False
        self._has_failed = False

    @property
    def is_in_step(self) -> bool:
        """True while it does not wait: what it does right now may have ended the scenario."""
        return self._minion.strand.is_in_step

    def start(self, at: float) -> None:
        self._scene.wheel.call_at(at, partial(self._walk, at))

    def end(self) -> None:
        """Interrupt it, or keep it from starting: nobody needs it any more."""
        if not self._is_over:
            self._is_over = self._is_interrupted = True
        self._minion.strand.abort()
        self._minion.close()

    def go_on(self, at: float) -> None:
        """Start after `end`, as minions came after all; one that came to its own end stays there."""
        if self._is_interrupted:
            self._is_interrupted = self._is_over = False
            self.start(at)

    def _walk(self, due: float) -> None:
        wheel, minion = self._scene.wheel, self._minion
        for _ in range(SLICE):
            if self._is_over:
                return
            self._is_waiting = True
            self._has_failed = False
            self._is_starting = True
            minion.strand.start(walk(minion.strand, Context(minion, None, due), self._chain), self._walked)
            self._is_starting = False
            if self._is_waiting:
                return  # `_walked` goes on
            due = wheel.now()
            if self._has_failed:
                break
        # A source that fails at once would never let anything else run.
        wheel.call_at(due + BREATH, partial(self._walk, due))

    def _walked(self, errors: Errors, is_aborted: bool) -> None:
        self._is_waiting = False
        self._has_failed = bool(errors)
        if is_aborted or self._minion.is_dry or not self._repeats:
            self._is_over = True
        elif not self._is_starting:
            self._walk(self._scene.clock.now())
