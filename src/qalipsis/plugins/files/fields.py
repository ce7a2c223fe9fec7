"""What the author's class wants to be filled with."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, Struct, structs
from msgspec.inspect import CustomType, type_info


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the name it has in a file, its type, and whether the class can do without."""

    name: str
    type: Any
    is_required: bool


def is_class(into: Any) -> bool:
    """True for a dataclass or a msgspec Struct."""
    return isinstance(into, type) and (is_dataclass(into) or issubclass(into, Struct))


def fields_of(into: Any) -> tuple[Field, ...]:
    """The fields of a dataclass or Struct. Raises NameError or TypeError when annotations do not resolve."""
    if issubclass(into, Struct):
        return tuple(
            Field(
                field.encode_name,
                field.type,
                field.default is NODEFAULT and field.default_factory is NODEFAULT,
            )
            for field in structs.fields(into)
        )
    hints = get_type_hints(into, include_extras=True)
    return tuple(
        Field(field.name, hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(into)
        if field.init
    )


def is_type(given: Any) -> bool:
    """True for what an annotation can be, such as `int` or `date | None`; else it may be a function."""
    return isinstance(given, type | UnionType) or get_origin(given) is not None


def allows_none(given: Any) -> bool:
    return get_origin(given) in (Union, UnionType) and NoneType in get_args(given)


def without_none(given: Any) -> Any:
    """`int` of `int | None`; the type itself when there are several others."""
    others = [arg for arg in get_args(given) if arg is not NoneType] if allows_none(given) else []
    return others[0] if len(others) == 1 else given


def is_unknown(given: Any) -> bool:
    """True for a class that msgspec cannot make from a text, so that it is called with the text."""
    return isinstance(given, type) and isinstance(type_info(given), CustomType)


def name_of(given: Any) -> str:
    """A type as an author writes it."""
    return given.__name__ if isinstance(given, type) else str(given).replace("typing.", "")
