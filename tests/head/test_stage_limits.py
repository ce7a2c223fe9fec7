"""The bounds of an installation on stages."""

import pytest

from qalipsis.config.settings import StageLimits
from qalipsis.head.stage_limits import check_stages
from qalipsis.plan.profile_override import Immediate, PercentageStages, StageOfCount, StageOfShare, Stages

COUNTS = Stages(stages=(StageOfCount(minions_count=30, ramp_up_duration_ms=1_000, total_duration_ms=5_000),))
SHARES = PercentageStages(
    stages=tuple(
        StageOfShare(minions_percentage=share, ramp_up_duration_ms=1_000, total_duration_ms=5_000)
        for share in (29, 71)
    )
)
KEY = "campaign.configuration.validation.stage"


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (StageLimits(min_minions_count=31), f"minions 30 should be at least 31, by {KEY}.min-minions-count"),
        (StageLimits(max_minions_count=29), f"minions 30 should be at most 29, by {KEY}.max-minions-count"),
        (
            StageLimits(min_start_duration=1.5),
            f"rampUpDurationMs 1,000 should be at least 1,500 ms, by {KEY}.min-start-duration",
        ),
        (
            StageLimits(max_start_duration=0.5),
            f"rampUpDurationMs 1,000 should be at most 500 ms, by {KEY}.max-start-duration",
        ),
        (
            StageLimits(min_duration=6.0),
            f"totalDurationMs 5,000 should be at least 6,000 ms, by {KEY}.min-duration",
        ),
        (
            StageLimits(max_duration=4.0),
            f"totalDurationMs 5,000 should be at most 4,000 ms, by {KEY}.max-duration",
        ),
        (
            StageLimits(min_resolution=1.0),
            f"resolutionMs 500 should be at least 1,000 ms, by {KEY}.min-resolution",
        ),
        (
            StageLimits(max_resolution=0.1),
            f"resolutionMs 500 should be at most 100 ms, by {KEY}.max-resolution",
        ),
    ],
)
def test_what_is_beyond_is_told_with_the_setting(limits: StageLimits, problem: str) -> None:
    assert check_stages(limits, COUNTS, 30) == [f"stage 1: {problem}"]


def test_within_its_bounds_every_stage_is_fine() -> None:
    limits = StageLimits(
        min_minions_count=30,
        max_minions_count=30,
        min_duration=5.0,
        max_duration=5.0,
        min_start_duration=1.0,
        max_start_duration=1.0,
        min_resolution=0.5,
        max_resolution=0.5,
    )
    assert check_stages(limits, COUNTS, 30) == []


def test_shares_are_counted_as_the_profile_counts_them() -> None:
    limits = StageLimits(min_minions_count=29, max_minions_count=71)
    assert check_stages(limits, SHARES, 100) == []
    assert [each.split(" should")[0] for each in check_stages(limits, SHARES, 10)] == [
        "stage 1: minions 2",
        "stage 2: minions 8",
    ]


def test_other_profiles_have_no_stages() -> None:
    limits = StageLimits(min_minions_count=1_000)
    assert check_stages(limits, None, 10) == check_stages(limits, Immediate(), 10) == []
