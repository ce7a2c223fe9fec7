"""Rows as authors get them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from msgspec import Struct, convert


class Row(dict[str, Any]):
    """One row: a dict by column name, with the moment it was received, in epoch seconds."""

    __slots__ = ("received_at",)

    received_at: float

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]], received_at: float) -> None:
        super().__init__(values)
        self.received_at = received_at


Shape = Callable[[Mapping[str, Any], float], Any]
"""Makes a record of a row and the moment it was received; raises ValueError when it does not fit."""


def shape(into: Any) -> Shape:
    """Makes rows into what the author asked for: `Row` when nothing, a plain dict, or a class of theirs.

    A class with a field `received_at` gets the moment there, unless the row has such a column.
    """
    if into is None:
        return Row
    if into is dict:
        return lambda values, received_at: dict(values)
    if "received_at" not in _field_names(into):
        return lambda values, received_at: convert(dict(values), into)
    return lambda values, received_at: convert({"received_at": received_at, **values}, into)


def is_shape(into: Any) -> bool:
    return into is None or into is dict or (isinstance(into, type) and _has_fields(into))


def _has_fields(into: type) -> bool:
    return is_dataclass(into) or issubclass(into, Struct)


def _field_names(into: Any) -> tuple[str, ...]:
    if is_dataclass(into):
        return tuple(field.name for field in fields(into))
    return tuple(into.__struct_encode_fields__)
