"""What a configuration says of when its campaign is to start: checked, and kept from start to start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from qalipsis.errors import CampaignRefused
from qalipsis.head import campaign_configuration
from qalipsis.head.campaign_configuration import CampaignConfiguration, Problem, Scheduling
from qalipsis.head.schedule import (
    Schedule,
    first_start,
    kind_problem,
    next_start,
    restrictions_problem,
    zone_of,
)

LONGEST_AHEAD: Final = timedelta(days=3660)
ANCHOR: Final = "recursFrom"
"""In a kept configuration, what `scheduledAt` was when the series began. The time of the day is taken from
there: a start that the change to summer time has moved on must not move those after it."""


def is_scheduled(asked: CampaignConfiguration) -> bool:
    return asked.scheduled_at is not None or asked.scheduling is not None


def without_schedule(asked: CampaignConfiguration) -> CampaignConfiguration:
    return replace(asked, scheduled_at=None, scheduling=None)


def problems(asked: CampaignConfiguration, now: datetime) -> tuple[Problem, ...]:
    """Everything that keeps its schedule from being kept."""
    return (*_moment_problems(asked, now), *_recurrence_problems(asked))


def start_of(asked: CampaignConfiguration) -> datetime:
    """The first start of a configuration without problems: `scheduledAt`, or when the schedule comes next."""
    anchor = _moment(asked.scheduled_at or "")
    return anchor if asked.scheduling is None else first_start(_schedule(asked.scheduling, anchor))


def next_of(kept: Mapping[str, Any], after: datetime) -> tuple[datetime, dict[str, Any]] | None:
    """When a campaign of this kept configuration starts again, and what is kept of it then; None: never.

    Raises CampaignRefused when it cannot be read.
    """
    asked = campaign_configuration.from_kept(kept)
    if asked.scheduling is None or asked.scheduled_at is None:
        return None
    anchor = str(kept.get(ANCHOR, asked.scheduled_at))
    try:
        start = next_start(_schedule(asked.scheduling, _moment(anchor)), after)
    except ValueError as error:
        raise CampaignRefused(f"the schedule of this campaign cannot be read: {error}") from error
    return start, {**kept, "scheduledAt": _text(start), ANCHOR: anchor}


def _moment_problems(asked: CampaignConfiguration, now: datetime) -> Iterator[Problem]:
    if asked.scheduled_at is None:
        yield Problem(
            "campaign.scheduledAt", "say when the campaign is to start, such as 2030-01-31T09:00:00Z"
        )
        return
    try:
        moment = _moment(asked.scheduled_at)
    except ValueError:
        yield Problem(
            "campaign.scheduledAt",
            "the start must be a moment with its offset from UTC, such as 2030-01-31T09:00:00Z",
        )
        return
    if moment <= now:
        yield Problem("campaign.scheduledAt", f"the start must be in the future; it is {_text(now)} now")
    elif moment > now + LONGEST_AHEAD:
        yield Problem("campaign.scheduledAt", "the start must be within ten years")


def _recurrence_problems(asked: CampaignConfiguration) -> Iterator[Problem]:
    if asked.scheduling is None:
        return
    kind, restrictions = asked.scheduling.scheduling, asked.scheduling.restrictions
    if (problem := kind_problem(kind)) is not None:
        yield Problem("campaign.scheduling.scheduling", problem)
    elif (problem := restrictions_problem(kind, restrictions)) is not None:
        yield Problem("campaign.scheduling.restrictions", problem)
    if zone_of(asked.scheduling.time_zone) is None:
        yield Problem(
            "campaign.scheduling.timeZone",
            f"there is no time zone {asked.scheduling.time_zone[:50]!r}; give its name, such as Europe/Paris "
            "or UTC",
        )


def _schedule(asked: Scheduling, anchor: datetime) -> Schedule:
    zone = zone_of(asked.time_zone)
    if zone is None:  # it was there when the campaign was scheduled, by another head perhaps
        raise CampaignRefused(
            f"this machine knows no time zone {asked.time_zone}; run `pip install tzdata` on it"
        )
    return Schedule(asked.scheduling, zone, anchor, frozenset(asked.restrictions))


def _moment(text: str) -> datetime:
    """Raises ValueError for what is no moment, or one of which nobody knows where."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no offset from UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text} is beyond all calendars") from error


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
