"""What a campaign measured over time: one value of one meter at one moment, and how to ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from msgspec import Struct, field
from msgspec.structs import replace


class Meter(Struct, frozen=True, kw_only=True):
    """A meter of one second. Campaign, scenario, name, tags, moment and zone tell it from all others."""

    name: str
    at: datetime
    type: str
    scenario: str = ""
    """Empty for a meter of the whole campaign."""
    tags: dict[str, str] = field(default_factory=dict)
    count: int | None = None
    value: float | None = None
    sum: float | None = None
    mean: float | None = None
    max: float | None = None
    other: dict[str, float] = field(default_factory=dict)
    """Further figures by name, `percentile_99.0` for example."""
    zone: str = ""
    """Where it was measured; empty when that was in several zones, or in none."""
    is_part: bool = False
    """Whether it tells of one zone of several; then there is another one, of the whole fleet."""


def finite(meter: Meter) -> Meter:
    """The meter without figures that are no numbers: JSON and databases have no words for them."""
    kept = {name: figure for name, figure in meter.other.items() if isfinite(figure)}
    figures = {
        name: None
        for name in ("value", "sum", "mean", "max")
        if (figure := getattr(meter, name)) is not None and not isfinite(figure)
    }
    return replace(meter, other=kept, **figures)


def identity(meter: Meter) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """The same for all moments of one meter, and for all zones."""
    return meter.scenario, meter.name, tuple(sorted(meter.tags.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterQuery:
    """Which meters; what is empty or None does not narrow them. `since` is included, `until` is not."""

    campaigns: tuple[str, ...]
    names: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    like: tuple[Meter, ...] = ()
    """Meters of which one has the same name, scenario and tags."""
    zones: tuple[str, ...] = ()
    """Only what was measured in one of these; when empty, the meters of the whole fleet."""
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 10_000
