"""The counters that a worker shares with its supervisor: they outlive the worker."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from math import inf

from qalipsis.metrics.ledger import HEADER, LEASE, SLOTS, ledger_bytes


class SharedLedger:
    """Anonymous memory behind a descriptor, which the worker inherits; sized when the scenarios are known."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("qalipsis-ledger")
        self._memory: mmap.mmap | None = None
        self._scenarios: tuple[str, ...] = ()
        self._lease_until = inf

    def size_for(self, scenarios: Sequence[str]) -> None:
        """Make room for the counters of these scenarios, all zero, with the lease that is in force."""
        self._scenarios = tuple(scenarios)
        size = ledger_bytes(len(self._scenarios))
        os.ftruncate(self.descriptor, 0)
        os.ftruncate(self.descriptor, size)
        self._memory = mmap.mmap(self.descriptor, size)
        self.limit(self._lease_until)

    def limit(self, until: float) -> None:
        """Let the worker send until then, in monotonic seconds; unless said otherwise, it may for ever."""
        self._lease_until = until
        if self._memory is not None:
            with memoryview(self._memory) as whole, whole.cast("d") as cells:
                cells[LEASE] = until

    def read(self) -> dict[str, tuple[int, ...]]:
        """The counters of each scenario right now, in the order of `Slot`."""
        if self._memory is None:
            return {}
        with memoryview(self._memory) as whole, whole.cast("q") as cells:
            counts = cells.tolist()
        return {
            scenario: tuple(counts[first : first + SLOTS])
            for place, scenario in enumerate(self._scenarios)
            for first in [HEADER + SLOTS * place]
        }

    def close(self) -> None:
        """Give the memory back; safe to call twice."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def map_ledger(descriptor: int, scenarios: int) -> memoryview:
    """The worker's view of the memory behind an inherited descriptor."""
    return memoryview(mmap.mmap(descriptor, ledger_bytes(scenarios)))
