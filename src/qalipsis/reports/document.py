"""A report that users put together, ready to be drawn: no lookups are left."""

from __future__ import annotations

from msgspec import Struct


class CampaignLine(Struct, frozen=True, kw_only=True):
    """One campaign of the report; `start` is ISO-8601, empty when it never began."""

    key: str
    name: str
    status: str
    start: str
    duration_s: float | None = None


class Line(Struct, frozen=True, kw_only=True):
    """One data series in one campaign: (seconds since the start of the campaign, value)."""

    label: str
    campaign: str
    unit: str
    points: tuple[tuple[float, float], ...]
    color: str | None = None
    opacity: float = 1.0
    summary: float | None = None
    width_s: float = 1.0
    """How long a point lasts."""


class Part(Struct, frozen=True, kw_only=True):
    """A diagram or a table of these lines."""

    kind: str
    lines: tuple[Line, ...]


class Document(Struct, frozen=True, kw_only=True):
    title: str
    description: str
    created: str
    creator: str
    campaigns: tuple[CampaignLine, ...]
    scenarios: tuple[str, ...]
    parts: tuple[Part, ...]
