"""The answers that Redis owes, and whether one of them is late."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Awaited:
    """Requests that were sent and not answered yet, each with the moment from which its answer is late.

    What nobody has sent is not late, however long nobody sends: a reader that waits for room owes nothing.
    """

    def __init__(self) -> None:
        self._late_from: dict[object, float] = {}

    @contextmanager
    def until(self, moment: float) -> Iterator[None]:
        """What is asked within should be answered by then; it is owed until the end, however that comes."""
        request = object()
        self._late_from[request] = moment
        try:
            yield
        finally:
            del self._late_from[request]

    def is_late(self, now: float) -> bool:
        """Whether any of them is: with several servers, one that hangs may be the one that is listened to."""
        return any(moment <= now for moment in self._late_from.values())
