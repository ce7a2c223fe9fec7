"""What an installation allows of the stages that a campaign asks for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, pairwise

from qalipsis.config.settings import StageLimits
from qalipsis.head.limits import KEYS
from qalipsis.plan.profile_override import PercentageStages, ProfileOverride, Stages


def check_stages(limits: StageLimits, profile: ProfileOverride | None, minions: int) -> list[str]:
    """What is too much or too little, for so many minions of the scenario."""
    if not isinstance(profile, Stages | PercentageStages):
        return []
    found: list[str] = []
    for number, (stage, count) in enumerate(zip(profile.stages, _counts(profile, minions), strict=True), 1):
        ramp, total, step = stage.ramp_up_duration_ms, stage.total_duration_ms, stage.resolution_ms
        bounds = (
            *_beyond("minions", count, "minions-count", limits.min_minions_count, limits.max_minions_count),
            *_beyond(
                "rampUpDurationMs",
                ramp,
                "start-duration",
                limits.min_start_duration,
                limits.max_start_duration,
            ),
            *_beyond("totalDurationMs", total, "duration", limits.min_duration, limits.max_duration),
            *_beyond("resolutionMs", step, "resolution", limits.min_resolution, limits.max_resolution),
        )
        found += (f"stage {number}: {problem}" for problem in bounds)
    return found


def _beyond(what: str, value: int, key: str, least: float | None, most: float | None) -> Iterator[str]:
    """Durations are given in milliseconds, and bounded in seconds."""
    scale, unit = (1, "") if what == "minions" else (1000, " ms")
    if least is not None and value < least * scale:
        yield f"{what} {value:,} should be at least {least * scale:,.0f}{unit}, by {KEYS}.stage.min-{key}"
    if most is not None and value > most * scale:
        yield f"{what} {value:,} should be at most {most * scale:,.0f}{unit}, by {KEYS}.stage.max-{key}"


def _counts(profile: Stages | PercentageStages, minions: int) -> list[int]:
    """The minions of each stage; shares are rounded down from the beginning, as the profile does it."""
    if isinstance(profile, Stages):
        return [stage.minions_count for stage in profile.stages]
    upto = accumulate((stage.minions_percentage for stage in profile.stages), initial=0.0)
    # The little that is added is what sums of percentages may lack of a whole number.
    return [last - first for first, last in pairwise(int(minions * share / 100 + 1e-9) for share in upto)]
