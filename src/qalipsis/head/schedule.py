"""When a campaign that recurs is to start: hours, days of the week or of the month, by the clocks of a place.

A place's clock is moved twice a year in many countries, and has its say here:

- a time that it skips is moved on by as much as the clock was: 02:30 becomes 03:30, so that a nightly
  campaign runs that night too. When another start has that moment already, there is one;
- a time that it shows twice counts the first time, so that there is one start.

Nothing here looks at a clock.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

HOURLY: Final = "HOURLY"
DAILY: Final = "DAILY"
MONTHLY: Final = "MONTHLY"

ALLOWED: Final[dict[str, tuple[frozenset[int], str]]] = {
    HOURLY: (frozenset(range(24)), "hours of the day, 0 to 23"),
    DAILY: (frozenset(range(1, 8)), "days of the week, 1 (Monday) to 7 (Sunday)"),
    MONTHLY: (
        frozenset((*range(1, 32), *range(-15, 0))),
        "days of the month, 1 to 31, or -1 (the last one) to -15",
    ),
}
"""The restrictions that each kind may have, and what they are called."""

_DAY: Final = timedelta(days=1)
_MOST_DAYS: Final = 70
"""Longer than any schedule pauses: no two months in a row are without a 31st, or a 29th."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Starts by the clocks of `zone`, at the time of the day that `anchor` has there; HOURLY, its minute.

    Without restrictions, each hour, each day, or each month on the day of `anchor`; months that are too short
    for it have it on their last day. A day that is among the restrictions is left out of months without it.
    """

    kind: str
    zone: ZoneInfo
    anchor: datetime
    restrictions: frozenset[int] = frozenset()


def kind_problem(kind: str) -> str | None:
    return None if kind in ALLOWED else f"a schedule is one of {', '.join(ALLOWED)}"


def restrictions_problem(kind: str, restrictions: Collection[int]) -> str | None:
    """What is wrong with restrictions of a kind that is known."""
    allowed, names = ALLOWED[kind]
    wrong = sorted(set(restrictions) - allowed)
    if not wrong:
        return None
    return f"the restrictions of {kind} are {names}; {', '.join(map(str, wrong[:5]))} cannot be among them"


def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of this name; None when there is none."""
    if name.startswith(("posix/", "right/")) or name in ("localtime", "posixrules"):
        return None  # files of the machine, not names of places; "right" counts leap seconds
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # the name becomes a path, with all that can be wrong with one
        return None


def first_start(schedule: Schedule) -> datetime:
    """The first start, at the anchor or later.

    The anchor itself counts also when its time comes for the second time, for it was asked for.
    """
    local = schedule.anchor.astimezone(schedule.zone)
    if local.replace(tzinfo=None) in _times(schedule, local.date()):
        return schedule.anchor
    return next_start(schedule, schedule.anchor)


def next_start(schedule: Schedule, after: datetime) -> datetime:
    """The first start later than `after`, in UTC; it does not matter whether `after` is a start itself."""
    zone = schedule.zone
    # A start that was moved on may belong to the day before.
    day = after.astimezone(zone).date() - _DAY
    found: datetime | None = None
    for _ in range(_MOST_DAYS):
        for time in _times(schedule, day):
            # Of a skipped time, this is as long after midnight as on other days; of one that comes twice,
            # the first.
            moment = time.replace(tzinfo=zone, fold=0).astimezone(UTC)
            if moment > after and (found is None or moment < found):
                found = moment
        if found is not None and found.astimezone(zone).date() < day:
            return found  # no time of a later day comes before it
        day += _DAY
    raise AssertionError(f"{schedule} has no start after {after}")


def _times(schedule: Schedule, day: date) -> Iterator[datetime]:
    """The times of a day at which its clock shows a start, whether it skips them or not."""
    anchor, chosen = schedule.anchor.astimezone(schedule.zone), schedule.restrictions
    time = datetime.combine(day, anchor.time())
    match schedule.kind:
        case "HOURLY":
            yield from (time.replace(hour=hour) for hour in sorted(chosen or range(24)))
        case "DAILY":
            if not chosen or day.isoweekday() in chosen:
                yield time
        case _:
            last = _last_day(day)
            days = chosen or {min(anchor.day, last)}
            if day.day in days or day.day - last - 1 in days:
                yield time


def _last_day(day: date) -> int:
    """How many days the month of this one has."""
    return monthrange(day.year, day.month)[1]
