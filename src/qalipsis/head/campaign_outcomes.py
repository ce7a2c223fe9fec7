"""How campaigns ended, counted by day or any other period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

MOST_PERIODS: Final = 1000

_ZERO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_GOOD: Final = ("SUCCESSFUL", "WARNING")
_BAD: Final = ("FAILED", "ABORTED")


class Period(Struct, frozen=True, kw_only=True):
    """The campaigns that began in it, those with a warning among the successful, the aborted ones failed."""

    start: datetime
    successful: int
    failed: int


class Outcomes:
    """Periods are whole: the first holds `since`, the last `until`, and days begin at midnight there.

    `offset` is how much later than in UTC it is where the reader lives.
    """

    def __init__(self, since: datetime, until: datetime, offset: timedelta, length: timedelta) -> None:
        self._zero, self._length = _ZERO - offset, length
        self._first = (since - self._zero) // length
        self._last = max(self._first, (until - self._zero) // length)
        self.since = self._zero + self._first * length
        self._counts: dict[int, tuple[int, int]] = {}

    def add(self, start: datetime | None, status: str) -> None:
        """A campaign that began then; one that never began belongs to no period."""
        if start is None:
            return
        number = (start - self._zero) // self._length
        if self._first <= number <= self._last:
            good, bad = self._counts.get(number, (0, 0))
            self._counts[number] = (good + (status in _GOOD), bad + (status in _BAD))

    def periods(self) -> tuple[Period, ...]:
        """All of them, the empty ones included, oldest first."""
        last = min(self._last, self._first + MOST_PERIODS)
        return tuple(
            Period(start=self._zero + number * self._length, successful=good, failed=bad)
            for number in range(self._first, last + 1)
            for good, bad in (self._counts.get(number, (0, 0)),)
        )
