"""Campaigns as they are listed: what was asked for, where each stands, which ones a page shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct, field

from qalipsis.errors import CampaignRefused
from qalipsis.head.campaign import TERMINAL, Phase

Item = TypeVar("Item")

UNENDED: Final = ("SCHEDULED", "QUEUED", "IN_PROGRESS")
"""The statuses of campaigns that are not over."""

SORTS: Final = ("creation", "start", "end", "scheduled_at", "name", "key", "status")


class CampaignScenario(Struct, frozen=True, kw_only=True):
    """One scenario of a campaign; `zones` are the percentages of its minions by key of the zone."""

    name: str
    minions: int
    zones: dict[str, int] = field(default_factory=dict)


class NewCampaign(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    key: str
    name: str
    scenarios: tuple[CampaignScenario, ...] = ()
    speed_factor: float = 1.0
    configuration: dict[str, Any] = field(default_factory=dict)
    """The request as it came, to be shown and replayed."""
    configurer: str | None = None
    scheduled_at: datetime | None = None
    """Not to be claimed before; None: at once."""


class CampaignRecord(NewCampaign, frozen=True, kw_only=True):
    """A campaign that is kept: what was asked for and what came of it."""

    creation: datetime
    version: datetime
    state: str
    status: str
    """As the REST API shows it."""
    start: datetime | None = None
    end: datetime | None = None
    failure_reason: str | None = None
    aborter: str | None = None
    epoch: int = 0
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignQuery:
    """Which campaigns, and which page of them.

    A filter matches a whole name, key, scenario or configurer, without regard to case; `*` stands for any
    text, `?` for one character. One filter that matches is enough. Campaigns that have no value to sort by
    come last; among equals the newest comes first.
    """

    filters: tuple[str, ...] = ()
    excluded_statuses: tuple[str, ...] = ()
    sort: str = "creation"
    descending: bool = True
    page: int = 0
    size: int = 20

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            raise ValueError(f"campaigns are not sorted by {self.sort}, but by {', '.join(SORTS)}")
        if self.page < 0 or self.size < 1:
            raise ValueError(f"there is no page {self.page} of {self.size}: pages start at 0, sizes at 1")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A piece of a list; `total` counts all elements of the list."""

    elements: tuple[Item, ...]
    page: int
    size: int
    total: int

    @property
    def total_pages(self) -> int:
        return -(-self.total // self.size)


def first_status(new: NewCampaign) -> str:
    """The status of a campaign that nobody has begun."""
    return "QUEUED" if new.scheduled_at is None else "SCHEDULED"


def status_of(state: str) -> str | None:
    """The status that goes with a state; None when the state does not change it.

    Of a completed campaign only its report can tell, and until there is one it is as it was.
    """
    match state:
        case Phase.PREPARING | Phase.ASSIGNING | Phase.WARMUP:
            return "QUEUED"
        case Phase.FAILED | Phase.ABORTED:
            return state
        case Phase.SCHEDULED | Phase.COMPLETED:
            return None
        case _:
            return "IN_PROGRESS"


def is_terminal(state: str) -> bool:
    return state in TERMINAL


def page_of(records: Iterable[CampaignRecord], query: CampaignQuery) -> Page[CampaignRecord]:
    """The page of `records`, given in the order in which they were created."""
    patterns = [_pattern(text) for text in query.filters]
    found = [
        record
        for record in records
        if record.status not in query.excluded_statuses
        and (not patterns or any(pattern.fullmatch(text) for pattern in patterns for text in _texts(record)))
    ]
    found.reverse()
    known = [record for record in found if getattr(record, query.sort) is not None]
    unknown = [record for record in found if getattr(record, query.sort) is None]
    # Sorted twice instead of reversed: a sort keeps the order of equals.
    known.sort(key=lambda record: getattr(record, query.sort), reverse=query.descending)
    first = query.page * query.size
    return Page(tuple((known + unknown)[first : first + query.size]), query.page, query.size, len(found))


def moment(epoch_seconds: float) -> datetime:
    return datetime.fromtimestamp(epoch_seconds, UTC)


def key_taken(key: str) -> CampaignRefused:
    return CampaignRefused(f"there is a campaign {key} already; give this one another key")


def not_reschedulable(key: str, status: str | None) -> CampaignRefused:
    """`status` is None when there is no such campaign."""
    if status is None:
        return CampaignRefused(f"there is no campaign {key} to schedule again")
    if status == "SCHEDULED":
        return CampaignRefused(
            f"campaign {key} cannot be scheduled again: it is due, and a head has taken it"
        )
    return CampaignRefused(
        f"campaign {key} cannot be scheduled again: it is {status}, and only one that waits can"
    )


def _texts(record: CampaignRecord) -> Iterator[str]:
    yield record.name
    yield record.key
    yield from (scenario.name for scenario in record.scenarios)
    if record.configurer is not None:
        yield record.configurer


def _pattern(text: str) -> re.Pattern[str]:
    escaped = re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.IGNORECASE | re.DOTALL)
