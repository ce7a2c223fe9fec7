"""The contract between the engine and a reader: what reads a source in a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qalipsis.clock import Clock
from qalipsis.metrics.meters import StepMeters

MOST_IN_BATCH = 1_000
"""Records a reader hands over at once, at the most: handing out more in a row would stall the loop."""


class Numbered(list[Any]):
    """Records with a number each, the same in every worker: it says who owns the record.

    For readers of different workers that may not read the same records in the same order; those of a plain
    sequence are numbered as they come.
    """

    __slots__ = ("numbers",)

    def __init__(self, records: Iterable[Any], numbers: Sequence[int]) -> None:
        super().__init__(records)
        self.numbers = numbers


@dataclass(frozen=True, slots=True)
class ReaderRuntime:
    """Everything a reader may use; given when it opens."""

    clock: Clock
    meters: StepMeters
    """Of the step that takes the records; `count` adds the reader's own figures, for example bad rows."""
    group: str | None
    """Readers with the same group share the records of a source whose service deals them out (a consumer
    group). None: this reader reads everything by itself, and leaves nothing behind in the service."""


class Reader(Protocol):
    """Reads one source. `open`, `batches` and `aclose` are called once each, in this order."""

    async def open(self, runtime: ReaderRuntime) -> None:
        """Connect, and take the place from which on nothing is missed; bounded in time.

        Raises ServiceUnavailable when the source cannot be read: the campaign does not start then. The
        message names service and address, never a password.
        """

    def batches(self) -> AsyncIterator[Sequence[Any]]:
        """The records in order, at most MOST_IN_BATCH at a time; ends when the source does.

        Raises StepError(kind, message) when reading breaks for good: who waits for a record fails with it.
        Is not asked for more while the buffer is full.
        """

    async def aclose(self) -> None:
        """Give everything back; safe after a failed open, and while `batches` waits."""
