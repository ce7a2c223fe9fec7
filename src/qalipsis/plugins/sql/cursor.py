"""How far a poll has come: which rows of an answer are new, and where to ask from next.

The database is asked for rows at the last value and beyond, in order. Several rows may share that value, and
some of them may appear only after others were read; so the rows at the last value are remembered, by a digest
each, and those that come again are left out. Rows beyond it cannot have been read before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeVar

AnyRow = TypeVar("AnyRow", bound=Mapping[str, Any])


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place of a poll, and how its rows are ordered and told apart."""

    by: tuple[str, ...]
    key: tuple[str, ...] = ()
    """Columns that identify a row; none: all its columns do, and rows that are alike are counted."""
    values: tuple[Any, ...] | None = None
    """Of the ordering columns, in the last row taken or where to begin; None before the first row."""
    taken: Mapping[bytes, int] = field(default_factory=dict)
    """The rows at these values that were taken already, and how often each."""

    def limit(self, batch: int) -> int:
        """How many rows to ask for. Those taken come again, so among them are `batch` new ones, or all."""
        return batch + sum(self.taken.values())

    def digest(self, row: Mapping[str, Any]) -> bytes:
        """What tells a row from others, the same in every process."""
        values = [row[column] for column in self.key] if self.key else list(row.values())
        return blake2b(repr(values).encode("utf-8", "backslashreplace"), digest_size=16).digest()

    def advance(self, rows: Sequence[AnyRow]) -> tuple[list[AnyRow], Cursor]:
        """The new ones of `rows`, which are in order, and the place behind them."""
        known = dict(self.taken)
        fresh = []
        for row in rows:
            if known and self._is_at(row, self.values):
                digest = self.digest(row)
                if known.get(digest):
                    known[digest] -= 1
                    continue
            fresh.append(row)
        return fresh, self._behind(fresh)

    def _behind(self, fresh: Sequence[Mapping[str, Any]]) -> Cursor:
        if not fresh:
            return self
        values = tuple(fresh[-1][column] for column in self.by)
        taken = Counter(self.taken if self._is_at(fresh[-1], self.values) else ())
        for row in reversed(fresh):
            if not self._is_at(row, values):
                break
            taken[self.digest(row)] += 1
        return Cursor(self.by, self.key, values, taken)

    def _is_at(self, row: Mapping[str, Any], values: tuple[Any, ...] | None) -> bool:
        if values is None:
            return False
        for column, there in zip(self.by, values, strict=True):
            here = row[column]
            # PostgreSQL takes NaN for equal to itself, and Python does not.
            if here != there and (here == here or there == there):
                return False
        return True
