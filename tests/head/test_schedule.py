"""When a campaign that recurs starts, whatever the clocks of its place do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qalipsis.head.schedule import (
    ALLOWED,
    Schedule,
    first_start,
    kind_problem,
    next_start,
    restrictions_problem,
    zone_of,
)

MINUTE = timedelta(minutes=1)
ODD_ZONES = (
    "Europe/Paris",
    "America/New_York",
    "Africa/Casablanca",  # summer all year but for a month
    "America/Sao_Paulo",  # until 2018, midnight was skipped
    "Antarctica/Troll",  # two hours at once
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Australia/Lord_Howe",  # half an hour
    "Pacific/Apia",  # had no 30 December 2011
)
ZONES = st.sampled_from(ODD_ZONES) | st.sampled_from(sorted(available_timezones() - {"localtime"}))
MOMENTS = st.integers(0, 40 * 365 * 24 * 60).map(
    lambda minutes: datetime(2000, 1, 1, tzinfo=UTC) + minutes * timedelta(minutes=1)
)


@st.composite
def schedules(draw: st.DrawFn, *kinds: str) -> Schedule:
    kind = draw(st.sampled_from(kinds or tuple(ALLOWED)))
    restrictions = draw(st.frozensets(st.sampled_from(sorted(ALLOWED[kind][0])), max_size=5))
    return Schedule(kind, ZoneInfo(draw(ZONES)), draw(MOMENTS), restrictions)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def starts(schedule: Schedule, after: str, count: int) -> list[str]:
    """The next starts as the clock of the place shows them."""
    moment, found = at(after, schedule.zone.key), []
    for _ in range(count):
        moment = next_start(schedule, moment)
        found.append(moment.astimezone(schedule.zone).strftime("%Y-%m-%d %H:%M %z"))
    return found


def is_shown(schedule: Schedule, time: datetime) -> bool:
    """Whether the clock of the place shows a start; MONTHLY as a calendar tells it."""
    anchor = schedule.anchor.astimezone(schedule.zone)
    if time.minute != anchor.minute:
        return False
    if schedule.kind == "HOURLY":
        return not schedule.restrictions or time.hour in schedule.restrictions
    if time.hour != anchor.hour:
        return False
    if schedule.kind == "DAILY":
        return not schedule.restrictions or time.isoweekday() in schedule.restrictions
    left = 0
    while (time + timedelta(days=left + 1)).month == time.month:
        left += 1
    if schedule.restrictions:
        return time.day in schedule.restrictions or -left - 1 in schedule.restrictions
    return time.day == anchor.day or (left == 0 and time.day < anchor.day)


def watched(schedule: Schedule, after: datetime, minutes: int) -> Iterator[datetime]:
    """Every start, by looking at the clock of the place each minute from two days before `after`."""
    moment, offset = after - timedelta(days=2), None
    skipped_until, skipped_offset = moment, timedelta(0)
    while moment < after + minutes * MINUTE:
        local = moment.astimezone(schedule.zone)
        shift = local.utcoffset()
        assert shift is not None
        if offset is not None and shift > offset:
            skipped_until, skipped_offset = moment + (shift - offset), offset
        offset = shift
        unmoved = (moment + skipped_offset).replace(tzinfo=None)
        is_first_time = local.fold == 0 and is_shown(schedule, local.replace(tzinfo=None))
        is_moved_on = moment < skipped_until and is_shown(schedule, unmoved)
        if (is_first_time or is_moved_on) and moment > after:
            yield moment
        moment += MINUTE


def near_a_change(zone: ZoneInfo, moment: datetime) -> datetime:
    """The day before the clocks of the place are moved next; where they never are, the moment itself."""
    for days in range(400):
        day = moment + timedelta(days=days)
        if day.astimezone(zone).utcoffset() != (day + timedelta(days=1)).astimezone(zone).utcoffset():
            return day
    return moment


@settings(max_examples=60, deadline=None)
@given(schedules(), MOMENTS, st.booleans())
def test_who_watches_the_clock_of_the_place_sees_the_same_starts(
    schedule: Schedule, moment: datetime, is_near_a_change: bool
) -> None:
    after = near_a_change(schedule.zone, moment) if is_near_a_change else moment
    found = after
    for seen in watched(schedule, after, 3 * 24 * 60):
        found = next_start(schedule, found)
        assert found == seen
    assert next_start(schedule, found) >= after + timedelta(days=3)


@settings(max_examples=200, deadline=None)
@given(schedules(), MOMENTS, st.timedeltas(timedelta.resolution, timedelta(days=40)))
def test_starts_are_in_their_order_and_none_is_left_out(
    schedule: Schedule, after: datetime, later: timedelta
) -> None:
    start = next_start(schedule, after)
    assert start > after
    assert start.tzinfo is UTC
    assert start - after <= timedelta(days=63)
    assert next_start(schedule, start - timedelta.resolution) == start
    assert next_start(schedule, after + later) >= start
    assert next_start(schedule, max(start - later, after)) == start


@settings(max_examples=100, deadline=None)
@given(schedules())
def test_the_first_start_is_not_before_the_anchor(schedule: Schedule) -> None:
    first = first_start(schedule)
    assert first >= schedule.anchor
    assert first == next_start(schedule, first - timedelta.resolution) or first == schedule.anchor
    if not schedule.restrictions:
        assert first == schedule.anchor


@pytest.mark.parametrize(
    ("zone", "after", "expected"),
    [
        (
            "Europe/Paris",  # 02:30 is skipped on 29 March, and shown twice on 25 October
            "2026-03-28 00:00",
            ["2026-03-28 02:30 +0100", "2026-03-29 03:30 +0200", "2026-03-30 02:30 +0200"],
        ),
        (
            "Europe/Paris",
            "2026-10-24 12:00",
            ["2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"],
        ),
        (
            "Australia/Lord_Howe",  # skips 02:00 to 02:30
            "2026-10-03 12:00",
            ["2026-10-04 02:30 +1100", "2026-10-05 02:30 +1100"],
        ),
        (
            "Pacific/Apia",  # one campaign, for the day that was not and the day that was
            "2011-12-29 00:00",
            ["2011-12-29 02:30 -1000", "2011-12-31 02:30 +1400", "2012-01-01 02:30 +1400"],
        ),
    ],
)
def test_a_nightly_campaign_runs_once_in_the_night_of_a_change(
    zone: str, after: str, expected: list[str]
) -> None:
    schedule = Schedule("DAILY", ZoneInfo(zone), at("2011-01-10 02:30", zone))
    assert starts(schedule, after, len(expected)) == expected


def test_an_hourly_campaign_starts_once_in_each_hour_that_the_clock_shows() -> None:
    paris = ZoneInfo("Europe/Paris")
    schedule = Schedule("HOURLY", paris, at("2026-01-01 00:30", "Europe/Paris"))
    assert starts(schedule, "2026-03-29 01:00", 3) == [
        "2026-03-29 01:30 +0100",
        "2026-03-29 03:30 +0200",
        "2026-03-29 04:30 +0200",
    ]
    assert starts(schedule, "2026-10-25 01:00", 3) == [
        "2026-10-25 01:30 +0200",
        "2026-10-25 02:30 +0200",
        "2026-10-25 03:30 +0100",
    ]
    nights = Schedule("HOURLY", paris, schedule.anchor, frozenset({2, 22}))
    assert starts(nights, "2026-03-28 23:00", 2) == ["2026-03-29 03:30 +0200", "2026-03-29 22:30 +0200"]


def test_a_daily_campaign_keeps_its_time_in_summer_and_winter() -> None:
    schedule = Schedule("DAILY", ZoneInfo("America/New_York"), at("2026-01-05 14:00"), frozenset({1, 5}))
    assert starts(schedule, "2026-03-05 12:00", 3) == [
        "2026-03-06 09:00 -0500",
        "2026-03-09 09:00 -0400",
        "2026-03-13 09:00 -0400",
    ]


@pytest.mark.parametrize(
    ("days", "after", "expected"),
    [
        ({29}, "2027-01-30", ["2027-03-29", "2027-04-29"]),
        ({29}, "2028-01-30", ["2028-02-29", "2028-03-29"]),
        ({30, 31}, "2028-01-31", ["2028-03-30", "2028-03-31", "2028-04-30", "2028-05-30"]),
        ({31}, "2027-07-01", ["2027-07-31", "2027-08-31", "2027-10-31", "2027-12-31"]),
        ({-1}, "2028-02-01", ["2028-02-29", "2028-03-31", "2028-04-30"]),
        ({-1}, "2100-02-01", ["2100-02-28"]),
        ({-1, 28}, "2027-02-01", ["2027-02-28", "2027-03-28", "2027-03-31"]),
        ({-15}, "2027-02-01", ["2027-02-14", "2027-03-17", "2027-04-16"]),
        (set(), "2027-01-01", ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
    ],
)
def test_months_of_all_lengths_have_their_days(days: set[int], after: str, expected: list[str]) -> None:
    schedule = Schedule("MONTHLY", ZoneInfo("UTC"), at("2026-12-31 08:00"), frozenset(days))
    assert starts(schedule, f"{after} 12:00", len(expected)) == [f"{day} 08:00 +0000" for day in expected]


def test_seconds_of_the_anchor_are_kept() -> None:
    anchor = datetime(2026, 1, 1, 10, 20, 30, 400, UTC)
    for kind in ALLOWED:
        found = next_start(Schedule(kind, ZoneInfo("Asia/Kolkata"), anchor), anchor)
        assert (found.minute, found.second, found.microsecond) == (20, 30, 400)


def test_a_thousand_hours_are_a_thousand_starts_where_the_clock_is_left_alone() -> None:
    schedule = Schedule("HOURLY", ZoneInfo("Asia/Kathmandu"), at("2026-01-01 00:05"))
    found = [moment := schedule.anchor, *(moment := next_start(schedule, moment) for _ in range(1000))]
    assert {after - before for before, after in pairwise(found)} == {timedelta(hours=1)}


def test_what_is_no_schedule_is_told_in_a_sentence() -> None:
    assert kind_problem("DAILY") is None
    assert kind_problem("YEARLY") == "a schedule is one of HOURLY, DAILY, MONTHLY"
    for kind, wrong in (("HOURLY", 24), ("HOURLY", -1), ("DAILY", 0), ("DAILY", 8), ("MONTHLY", 0)):
        assert f"{wrong} cannot be among them" in str(restrictions_problem(kind, [1, wrong]))
    for wrong in (32, -16):
        assert restrictions_problem("MONTHLY", [wrong]) is not None
    assert restrictions_problem("MONTHLY", [*range(1, 32), *range(-15, 0)]) is None


@pytest.mark.parametrize(
    "name",
    [
        *("", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "x\0y", "\ud800", "a" * 5000),
        *("right/Europe/Paris", "localtime", "tzdata.zi", "."),
    ],
)
def test_what_is_no_time_zone_is_none(name: str) -> None:
    assert zone_of(name) is None
    assert zone_of("Europe/Paris") is not None
