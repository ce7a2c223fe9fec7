"""A value from configuration, resolved when the plan is compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from qalipsis.language.location import Location, caller

T = TypeVar("T")


class Missing:
    """Marks a property without default."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


@dataclass(frozen=True, slots=True)
class Prop:
    """A placeholder: `key` of the configuration, converted to `type`, or `default`."""

    key: str
    default: Any
    type: Any
    location: Location = field(compare=False)


def prop(key: str, default: T | Missing = MISSING, type: Any = None) -> T:
    """A value the configuration gives; stands wherever a verb or plugin takes a plain value.

    Compiling fails with the key's name when it is neither configured nor has a default. The placeholder is
    typed as the value it will become.
    """
    wanted = type if type is not None else (str if isinstance(default, Missing) else default.__class__)
    return cast(T, Prop(key, default, wanted, caller()))
