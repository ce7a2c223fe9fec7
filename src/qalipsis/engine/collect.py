"""Gathers records across the minions of a worker."""

from __future__ import annotations

from typing import Any

from qalipsis.clock import TimerHandle
from qalipsis.engine.context import Context
from qalipsis.engine.operation import DROP, WAIT
from qalipsis.engine.step import Strand
from qalipsis.engine.wheel import TimerWheel


class Collected:
    """A record in the list that is being filled; its minion waits."""

    __slots__ = ("_collect", "strand", "value")

    def __init__(self, collect: Collect, value: Any, strand: Strand) -> None:
        self._collect = collect
        self.value = value
        self.strand = strand

    def cancel(self) -> None:
        self._collect.give_up(self)


class Collect:
    """The list goes on with the minion whose record came last; the others end."""

    def __init__(self, timeout: float, batch_size: int | None, wheel: TimerWheel) -> None:
        self._timeout = timeout
        self._batch_size = batch_size
        self._wheel = wheel
        self._batch: dict[Collected, None] = {}
        self._timer: TimerHandle | None = None

    def take(self, context: Context) -> Any:
        """The list, when this record completes it; otherwise WAIT."""
        if self._batch_size is None or len(self._batch) + 1 < self._batch_size:
            return WAIT
        collected = self._close()
        values = [each.value for each in collected]
        values.append(context.value)
        for each in collected:
            each.strand.resume(DROP)
        return values

    def wait(self, context: Context, strand: Strand) -> Collected:
        collected = Collected(self, context.value, strand)
        if not self._batch:
            self._timer = self._wheel.call_at(self._wheel.now() + self._timeout, self._release)
        self._batch[collected] = None
        return collected

    def give_up(self, collected: Collected) -> None:
        self._batch.pop(collected, None)

    def stop(self) -> None:
        """No more passes are to begin, so the list may never fill: it goes on with what it has."""
        self._release()

    def _release(self) -> None:
        collected = self._close()
        if not collected:
            return
        *others, last = collected
        for each in others:
            each.strand.resume(DROP)
        last.strand.resume([each.value for each in collected])

    def _close(self) -> list[Collected]:
        batch, self._batch = self._batch, {}
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return list(batch)
