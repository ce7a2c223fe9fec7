"""What a configuration says of its schedule, from the first start to the next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qalipsis.errors import CampaignRefused
from qalipsis.head.campaign_configuration import CampaignConfiguration, Scheduling, from_kept, to_kept
from qalipsis.head.schedule_request import next_of, problems, start_of, without_schedule

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MOMENTS = st.integers(-(10**8), 10**9).map(lambda seconds: (NOW + timedelta(seconds=seconds)).isoformat())


def asked(scheduled_at: str | None, scheduling: Scheduling | None = None) -> CampaignConfiguration:
    return CampaignConfiguration(
        name="a campaign", scenarios={}, scheduled_at=scheduled_at, scheduling=scheduling
    )


def series(kept: dict[str, Any], count: int) -> list[str]:
    """The starts after the first one, each counted from the one before."""
    moment, found = start_of(from_kept(kept)), []
    for _ in range(count):
        following = next_of(kept, moment)
        assert following is not None
        moment, kept = following
        assert kept["scheduledAt"] == moment.isoformat().replace("+00:00", "Z")
        found.append(f"{moment:%m-%d %H:%M}")
    return found


def test_a_start_that_summer_time_moves_on_does_not_move_those_after_it() -> None:
    nightly = asked("2026-03-27T02:30:00+01:00", Scheduling(scheduling="DAILY", time_zone="Europe/Paris"))
    assert series(to_kept(nightly), 4) == ["03-28 01:30", "03-29 01:30", "03-30 00:30", "03-31 00:30"]


def test_a_short_month_does_not_shorten_those_after_it() -> None:
    monthly = asked("2026-03-31T09:00:00Z", Scheduling(scheduling="MONTHLY"))
    assert series(to_kept(monthly), 3) == ["04-30 09:00", "05-31 09:00", "06-30 09:00"]


def test_a_series_that_cannot_be_read_any_more_is_refused() -> None:
    kept = to_kept(asked("2026-03-31T09:00:00Z", Scheduling(scheduling="DAILY")))
    for wrong in ({"recursFrom": "then"}, {"scheduling": {"scheduling": "DAILY", "timeZone": "Mars"}}):
        with pytest.raises(CampaignRefused):
            next_of(kept | wrong, NOW)


def test_what_does_not_recur_has_no_next_start() -> None:
    once = asked("2026-03-31T09:00:00Z")
    assert start_of(once) == datetime(2026, 3, 31, 9, tzinfo=UTC)
    assert next_of(to_kept(once), NOW) is None
    assert without_schedule(once).scheduled_at is None


@settings(max_examples=200, deadline=None)
@given(
    st.none() | st.text() | MOMENTS | st.datetimes().map(datetime.isoformat),
    st.none()
    | st.builds(
        Scheduling,
        scheduling=st.sampled_from(["HOURLY", "DAILY", "MONTHLY"]) | st.text(),
        time_zone=st.sampled_from(["UTC", "Europe/Paris", "Europe", "../UTC"]) | st.text(),
        restrictions=st.lists(st.integers(-20, 40) | st.integers()).map(tuple),
    ),
)
def test_whatever_is_asked_is_refused_or_has_a_start(
    scheduled_at: str | None, scheduling: Scheduling | None
) -> None:
    configuration = asked(scheduled_at, scheduling)
    found = problems(configuration, NOW)
    assert all(each.property.startswith("campaign.sched") and each.message for each in found)
    if not found:
        start = start_of(configuration)
        assert start > NOW
        following = next_of(to_kept(configuration), start)
        assert (following is None) == (scheduling is None)
