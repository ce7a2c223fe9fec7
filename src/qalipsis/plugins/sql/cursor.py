"""How far a poll has come: which rows are new, and what to ask for next.

Rows do not appear in the order of their values. Several may share a value, and a transaction that took its
number first may commit last. So a poll asks two questions: for the rows from a little behind its place, the
`floor`, up to its place, the `head`, where it remembers what it has taken; and for the rows beyond the head,
which are all new.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

AnyRow = TypeVar("AnyRow", bound=Mapping[str, Any])

Values = tuple[Any, ...]
"""Of the ordering columns."""

LOOK_BACK_ROWS = 5_000
"""So many are compared in 15 ms, during which the worker does nothing else."""


class Taken(NamedTuple):
    """A row that was taken already."""

    values: Values
    digest: bytes
    at: float
    """When it was taken, in seconds of any one clock."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place of a poll, and how its rows are ordered and told apart."""

    by: tuple[str, ...]
    key: tuple[str, ...] = ()
    """Columns that identify a row; none: all of its columns do."""
    lateness: float = 0.0
    """Seconds during which a row may still appear before others that were taken."""
    most: int = LOOK_BACK_ROWS
    """Rows to look back at, however many were taken in these seconds; more only when they are equal."""
    floor: Values | None = None
    """Where looking back begins, these values included; None: at the first row."""
    head: Values | None = None
    """Of the last row in the order that was taken; None: nothing was, and all from the floor on is new."""
    taken: tuple[Taken, ...] = ()
    """What was taken from floor to head and was still there lately, in order."""

    def look_back(self, rows: Sequence[AnyRow], now: float) -> tuple[list[AnyRow], Cursor]:
        """The new ones of all rows from floor to head, which are given in order, and the next place."""
        known: dict[bytes, list[float]] = defaultdict(list)
        for earlier in self.taken:
            known[earlier.digest].append(earlier.at)
        seen = []
        for row in rows:
            digest = self._digest(row)
            seen.append((self._values(row), digest, known[digest].pop() if known.get(digest) else None))
        changed = {} if self.key or not any(known.values()) else self._changed([here for here, _, _ in seen])
        fresh: list[AnyRow] = []
        taken: list[Taken] = []
        for row, (values, digest, moment) in zip(rows, seen, strict=True):
            at = changed.get(repr(values)) if moment is None else moment
            if at is None:
                fresh.append(row)
            taken.append(Taken(values, digest, now if at is None else at))
        return fresh, self._trimmed(taken, now)

    def look_ahead(self, rows: Sequence[Mapping[str, Any]], now: float) -> Cursor:
        """The next place, once these rows beyond the head were taken, with all that equal the last one."""
        if not rows:
            return self
        taken = [Taken(self._values(row), self._digest(row), now) for row in rows]
        return replace(self, head=taken[-1].values)._trimmed([*self.taken, *taken], now)

    def behind(self, rows: Sequence[Mapping[str, Any]], now: float) -> Cursor:
        """The place behind the last rows there are, which are equal; none: the beginning."""
        if not rows:
            return self
        return replace(self.look_ahead(rows, now), floor=self._values(rows[0]))

    def number(self, row: Mapping[str, Any]) -> int:
        """A number of the row, the same in every process."""
        return int.from_bytes(self._digest(row)[:8])

    def _values(self, row: Mapping[str, Any]) -> Values:
        return tuple(row[column] for column in self.by)

    def _digest(self, row: Mapping[str, Any]) -> bytes:
        columns = (*self.by, *self.key) if self.key else row.keys()
        told = repr([row[column] for column in columns])
        return blake2b(told.encode("utf-8", "backslashreplace"), digest_size=16).digest()

    def _changed(self, here: Sequence[Values]) -> dict[str, float]:
        """When rows were taken that are the only ones with their values, before and now: changed, not new."""
        before = Counter(repr(row.values) for row in self.taken)
        after = Counter(map(repr, here))
        places = ((repr(row.values), row.at) for row in self.taken)
        return {place: at for place, at in places if before[place] == after[place] == 1}

    def _trimmed(self, taken: Sequence[Taken], now: float) -> Cursor:
        """Raise the floor to the last row that no late one can precede, or to where `most` rows begin."""
        settled = [place for place, row in enumerate(taken) if row.at <= now - self.lateness]
        first = max(0, len(taken) - self.most, *settled[-1:])
        if not first and not settled:
            return replace(self, taken=tuple(taken))
        floor = taken[first].values
        while first and _is_equal(taken[first - 1].values, floor):
            first -= 1
        return replace(self, floor=floor, taken=tuple(taken[first:]))


def _is_equal(one: Values, other: Values) -> bool:
    # PostgreSQL takes NaN for equal to itself, and Python does not.
    return all(
        here == there or (here != here and there != there) for here, there in zip(one, other, strict=True)
    )
