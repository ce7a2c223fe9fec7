"""The profile that a campaign asks for instead of a scenario's own: data, in the words of the REST API."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from qalipsis.language import profiles
from qalipsis.language.profiles import Profile

Period = Annotated[int, Meta(ge=1, le=31_536_000_000)]
"""Milliseconds, at most a year."""
PeriodOrZero = Annotated[int, Meta(ge=0, le=31_536_000_000)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Factor = Annotated[float, Meta(gt=0, le=1_000_000)]


class _Override(Struct, frozen=True, kw_only=True, rename="camel", tag_field="profile"):
    pass


class Regular(_Override, frozen=True, tag="REGULAR"):
    period_in_ms: Period
    minions_count_pro_launch: Count


class Accelerating(_Override, frozen=True, tag="ACCELERATING"):
    start_period_ms: Period
    accelerator: Factor
    min_period_ms: PeriodOrZero
    minions_count_pro_launch: Count


class ProgressingVolume(_Override, frozen=True, tag="PROGRESSING_VOLUME"):
    period_ms: Period
    minions_count_pro_launch_at_start: Count
    multiplier: Factor
    max_minions_count_pro_launch: Count


class _AnyStage(Struct, frozen=True, kw_only=True, rename="camel"):
    ramp_up_duration_ms: PeriodOrZero
    total_duration_ms: Period
    resolution_ms: Period = 500


class StageOfCount(_AnyStage, frozen=True):
    minions_count: Count


class StageOfShare(_AnyStage, frozen=True):
    minions_percentage: Annotated[float, Meta(gt=0, le=100)]


Completion = Literal["GRACEFUL", "HARD"]


class Stages(_Override, frozen=True, tag="STAGE"):
    """The minions of the scenario are the sum of the stages' own."""

    stages: tuple[StageOfCount, ...]
    completion: Completion = "GRACEFUL"


class PercentageStages(_Override, frozen=True, tag="PERCENTAGE_STAGE"):
    stages: tuple[StageOfShare, ...]
    completion: Completion = "GRACEFUL"


class TimeFrame(_Override, frozen=True, tag="TIME_FRAME"):
    period_in_ms: Period
    time_frame_in_ms: Period


class Immediate(_Override, frozen=True, tag="IMMEDIATE"):
    pass


class Immediately(_Override, frozen=True, tag="IMMEDIATELY"):
    """The other name of IMMEDIATE."""


class ArrivalRate(_Override, frozen=True, tag="ARRIVAL_RATE"):
    """The scenario's minions are the pool."""

    rate_per_second: Factor
    duration_ms: Period
    ramp_from_per_second: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None


class Default(_Override, frozen=True, tag="DEFAULT"):
    """The scenario's own."""


ProfileOverride = (
    Regular
    | Accelerating
    | ProgressingVolume
    | Stages
    | PercentageStages
    | TimeFrame
    | Immediate
    | Immediately
    | ArrivalRate
    | Default
)


def profile_of(override: ProfileOverride) -> Profile | None:
    """The profile to walk; None when it is the scenario's own. Ask `problems` before."""
    match override:
        case Regular():
            return profiles.regular(override.period_in_ms / 1000, override.minions_count_pro_launch)
        case Accelerating():
            return profiles.faster(
                override.start_period_ms / 1000,
                override.accelerator,
                override.min_period_ms / 1000,
                override.minions_count_pro_launch,
            )
        case ProgressingVolume():
            return profiles.more(
                override.period_ms / 1000,
                override.minions_count_pro_launch_at_start,
                override.multiplier,
                override.max_minions_count_pro_launch,
            )
        case Stages() | PercentageStages():
            stages = [_stage(stage) for stage in override.stages]
            return profiles.stages(*stages, completion=override.completion.lower())
        case TimeFrame():
            return profiles.timeframe(override.period_in_ms / 1000, override.time_frame_in_ms / 1000)
        case Immediate() | Immediately():
            return profiles.immediate()
        case ArrivalRate():
            return profiles.arrival_rate(
                override.rate_per_second, override.duration_ms / 1000, override.ramp_from_per_second
            )
        case Default():
            return None


def problems(override: ProfileOverride) -> list[str]:
    """Everything that does not fit, in the words of the request, each with what to write instead."""
    try:
        # Whoever built it here, and not from a request, is held to the same bounds.
        msgspec.convert(msgspec.to_builtins(override), ProfileOverride)
    except msgspec.ValidationError as error:
        return [str(error)]
    return list(_contradictions(override))


def _contradictions(override: ProfileOverride) -> Iterator[str]:
    match override:
        case Accelerating() if override.min_period_ms > override.start_period_ms:
            yield (
                f"minPeriodMs {override.min_period_ms} is longer than startPeriodMs "
                f"{override.start_period_ms}; give a minPeriodMs of at most startPeriodMs"
            )
        case ProgressingVolume() if (
            override.minions_count_pro_launch_at_start > override.max_minions_count_pro_launch
        ):
            yield (
                f"minionsCountProLaunchAtStart {override.minions_count_pro_launch_at_start} is above "
                f"maxMinionsCountProLaunch {override.max_minions_count_pro_launch}; give at most that"
            )
        case TimeFrame() if override.period_in_ms > override.time_frame_in_ms:
            yield (
                f"periodInMs {override.period_in_ms} is longer than timeFrameInMs "
                f"{override.time_frame_in_ms}; give a periodInMs of at most timeFrameInMs"
            )
        case ArrivalRate():
            profile = profile_of(override)
            if isinstance(profile, profiles.ArrivalRate) and profile.total() == 0:
                yield "there is no arrival at all; give a higher ratePerSecond or a longer durationMs"
        case Stages() | PercentageStages():
            yield from _contradictions_of_stages(override)
        case _:
            return


def _contradictions_of_stages(override: Stages | PercentageStages) -> Iterator[str]:
    if not override.stages:
        yield "there is no stage; give at least one"
    for number, stage in enumerate(override.stages, 1):
        if stage.ramp_up_duration_ms > stage.total_duration_ms:
            yield (
                f"stage {number}: rampUpDurationMs {stage.ramp_up_duration_ms} is longer than "
                f"totalDurationMs {stage.total_duration_ms}; give a totalDurationMs of at least that"
            )
    if isinstance(override, PercentageStages) and override.stages:
        total = sum(stage.minions_percentage for stage in override.stages)
        if not isclose(total, 100, abs_tol=1e-6):
            yield f"the minionsPercentage of the stages sum to {total:g} instead of 100; change one of them"


def _stage(stage: StageOfCount | StageOfShare) -> profiles.Stage:
    ramp_up, total = stage.ramp_up_duration_ms / 1000, stage.total_duration_ms / 1000
    resolution = stage.resolution_ms / 1000
    if isinstance(stage, StageOfCount):
        return profiles.stage(
            minions=stage.minions_count, ramp_up=ramp_up, total=total, resolution=resolution
        )
    return profiles.stage(stage.minions_percentage, ramp_up, total, resolution)
