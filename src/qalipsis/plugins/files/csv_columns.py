"""Rows of cells to records: as dicts, lists, or instances of the author's class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from qalipsis.plugins.files.fields import (
    allows_none,
    fields_of,
    is_class,
    is_type,
    is_unknown,
    name_of,
    without_none,
)
from qalipsis.plugins.files.parser import shown

OWN_DEFAULT = object()
"""The class has a default for the column."""
STRICT = (datetime, timedelta)
"""Leniently read, "20240102" would be a number of seconds."""


class BadCell(Exception):
    """Why a row makes no record: `column` is the one at fault, if it is one alone."""

    def __init__(self, column: str | int | None, reason: str) -> None:
        super().__init__(reason)
        self.column = column


@dataclass(frozen=True, slots=True)
class Column:
    """What happens to the cells of one column."""

    name: str | int
    place: int
    type: Any
    function: Callable[[str], Any] | None
    """Makes the value where msgspec does not."""
    is_optional: bool
    """An empty cell is None."""
    default: Any

    def value(self, cell: str) -> Any:
        if self.is_optional and not cell:
            return None
        try:
            if self.function is not None:
                return self.function(cell)
            return cell if self.type is str else msgspec.convert(cell, self.type, strict=False)
        except Exception as error:
            raise BadCell(self.name, self._reason(cell, error)) from error

    def _reason(self, cell: str, error: Exception) -> str:
        # What msgspec says of a type is that it is not the type; of constraints, it says which one.
        is_plain = self.function is None and " got `" in str(error)
        detail = "" if is_plain else f": {str(error) or type(error).__name__}"
        if self.function is not None and not is_type(self.type):
            return f"{shown(cell)} is refused by the column's function{detail}"
        return f"{shown(cell)} is no {name_of(self.type)}{detail}"


def column(name: str | int, place: int, given: Any, default: Any) -> Column:
    """The column for a type or a function of the text."""
    if not is_type(given):
        return Column(name, place, given, given, False, default)
    bare = without_none(given)
    function: Callable[[str], Any] | None = None
    if bare in STRICT:
        function = partial(msgspec.convert, type=bare)
    elif is_unknown(bare):
        function = bare
    return Column(name, place, given, function, allows_none(given), default)


class CsvColumns:
    """Makes the records of rows that have `width` cells each.

    `records` makes many at once, and raises anything when there is a row among them that makes none; `record`
    and `completed` then take the rows one by one.
    """

    def __init__(self, spec: Any, names: Sequence[str | int]) -> None:
        self.names = names
        self.width = len(names)
        self._into = spec.into
        self._is_list = spec.into is list
        self._is_class = is_class(spec.into)
        self._columns = tuple(_columns(spec, names))
        self._by_name = tuple(each.name for each in self._columns)
        self._places = [each.place for each in self._columns]
        self._is_every_column = self._places == list(range(self.width))
        self._functions = [each for each in self._columns if each.function is not None]
        self._optionals = [each.place for each in self._columns if each.is_optional]
        self._typed: Any = None
        if self._is_class:
            self._typed = list[spec.into]
        elif any(each.function is None and each.type is not str for each in self._columns):
            types = (Any if each.function is not None else each.type for each in self._columns)
            self._typed = list[tuple[tuple(types)]]  # type: ignore[misc]

    def records(self, rows: list[list[str]]) -> list[Any]:
        if set(map(len, rows)) != {self.width}:
            raise BadCell(None, "a row has another number of columns")
        values: list[Any] = rows
        if self._functions or self._optionals:
            values = [row[:] for row in rows]  # the rows are looked at again when one is bad
            self._prepare(values)
        if self._is_class:
            return msgspec.convert(self._dicts(values), self._typed, strict=False)  # type: ignore[no-any-return]
        if self._typed is not None:
            values = msgspec.convert(values, self._typed, strict=False)
            if self._is_list:
                return list(map(list, values))
        return values if self._is_list else self._dicts(values)

    def record(self, row: list[str]) -> Any:
        """The record of one row. Raises BadCell."""
        if len(row) < self.width:
            missing = self.names[len(row)]
            raise BadCell(missing, f"is missing: the row has {len(row)} columns instead of {self.width}")
        if len(row) > self.width:
            raise BadCell(
                None,
                f"it has {len(row)} columns instead of {self.width}; the first too many is "
                f"{shown(row[self.width])}",
            )
        return self._made({each.name: each.value(row[each.place]) for each in self._columns})

    def completed(self, row: list[str]) -> Any:
        """The record of a bad row, with defaults for what is missing or no value. Raises BadCell."""
        made = {}
        for each in self._columns:
            try:
                value = each.value(row[each.place]) if each.place < len(row) else each.default
            except BadCell:
                value = each.default
            if value is not OWN_DEFAULT:
                made[each.name] = value
        return self._made(made)

    def _made(self, values: dict[Any, Any]) -> Any:
        if self._is_list:
            return list(values.values())
        if not self._is_class:
            return values
        try:
            return msgspec.convert(values, self._into, strict=False)
        except (msgspec.ValidationError, TypeError, ValueError) as error:
            raise BadCell(None, f"it makes no {self._into.__name__}: {error}") from error

    def _prepare(self, rows: list[list[Any]]) -> None:
        for place in self._optionals:
            for row in rows:
                row[place] = row[place] or None
        for each in self._functions:
            function, place = each.function, each.place
            assert function is not None
            for row in rows:
                if row[place] is not None:
                    row[place] = function(row[place])

    def _dicts(self, rows: Sequence[Sequence[Any]]) -> list[dict[Any, Any]]:
        names = self._by_name
        if self._is_every_column:
            return [dict(zip(names, row, strict=True)) for row in rows]
        places = self._places
        return [dict(zip(names, [row[place] for place in places], strict=True)) for row in rows]


def missing_columns(spec: Any, names: Sequence[str | int]) -> list[tuple[str | int, str]]:
    """Columns that something needs and the file does not have: (name, who needs it)."""
    needed: list[tuple[str | int, str]] = []
    if is_class(spec.into):
        needed += [(each.name, spec.into.__name__) for each in fields_of(spec.into) if each.is_required]
    for option in ("types", "defaults"):
        needed += [(name, option) for name in getattr(spec, option) or {}]
    return [(name, who) for name, who in needed if name not in names]


def _columns(spec: Any, names: Sequence[str | int]) -> list[Column]:
    types: Mapping[Any, Any] = spec.types or {}
    defaults: Mapping[Any, Any] = spec.defaults or {}
    if not is_class(spec.into):
        return [
            column(name, place, types.get(name, str), defaults.get(name)) for place, name in enumerate(names)
        ]
    known = {each.name: each for each in fields_of(spec.into)}
    made = []
    for place, name in enumerate(names):
        field = known.get(str(name))
        if field is not None:
            own = None if field.is_required else OWN_DEFAULT
            made.append(column(name, place, types.get(name, field.type), defaults.get(name, own)))
    return made
