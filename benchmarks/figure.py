"""One measured number, and the bound it should keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` in `unit`; without a bound it is information."""

    name: str
    value: float
    unit: str
    bound: float | None = None
    side: Literal["at most", "at least"] = "at most"

    @property
    def holds(self) -> bool | None:
        """Whether the bound is kept; None when there is none."""
        if self.bound is None:
            return None
        return self.value <= self.bound if self.side == "at most" else self.value >= self.bound


def at_most(name: str, value: float, unit: str, bound: float) -> Figure:
    return Figure(name, value, unit, bound, "at most")


def at_least(name: str, value: float, unit: str, bound: float) -> Figure:
    return Figure(name, value, unit, bound, "at least")
