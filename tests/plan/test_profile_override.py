"""Profiles that a campaign asks for, as data."""

from typing import Any

import msgspec
import pytest

from qalipsis import profile
from qalipsis.language.profiles import Profile
from qalipsis.plan.profile_override import Default, ProfileOverride, Regular, problems, profile_of

STAGE = {"minionsCount": 80, "rampUpDurationMs": 500, "totalDurationMs": 2_000}
SHARE = {"minionsPercentage": 40, "rampUpDurationMs": 500, "totalDurationMs": 2_000, "resolutionMs": 100}

REQUESTED: list[tuple[dict[str, Any], Profile | None]] = [
    (
        {"profile": "REGULAR", "periodInMs": 100, "minionsCountProLaunch": 10},
        profile.regular(0.1, 10),
    ),
    (
        {
            "profile": "ACCELERATING",
            "startPeriodMs": 1_000,
            "accelerator": 1.5,
            "minPeriodMs": 100,
            "minionsCountProLaunch": 3,
        },
        profile.faster(1.0, 1.5, 0.1, 3),
    ),
    (
        {
            "profile": "PROGRESSING_VOLUME",
            "periodMs": 500,
            "minionsCountProLaunchAtStart": 2,
            "multiplier": 2,
            "maxMinionsCountProLaunch": 50,
        },
        profile.more(0.5, 2, 2.0, 50),
    ),
    (
        {"profile": "STAGE", "completion": "HARD", "stages": [STAGE]},
        profile.stages(profile.stage(minions=80, ramp_up=0.5, total=2.0, resolution=0.5), completion="hard"),
    ),
    (
        {"profile": "PERCENTAGE_STAGE", "stages": [SHARE, SHARE | {"minionsPercentage": 60}]},
        profile.stages(profile.stage(40.0, 0.5, 2.0, 0.1), profile.stage(60.0, 0.5, 2.0, 0.1)),
    ),
    ({"profile": "TIME_FRAME", "periodInMs": 100, "timeFrameInMs": 1_000}, profile.timeframe(0.1, 1.0)),
    ({"profile": "IMMEDIATE"}, profile.immediate()),
    ({"profile": "IMMEDIATELY"}, profile.immediate()),
    ({"profile": "DEFAULT"}, None),
    (
        {"profile": "ARRIVAL_RATE", "ratePerSecond": 50, "durationMs": 60_000},
        profile.arrival_rate(50.0, 60.0),
    ),
    (
        {"profile": "ARRIVAL_RATE", "ratePerSecond": 50, "durationMs": 60_000, "rampFromPerSecond": 5},
        profile.arrival_rate(50.0, 60.0, 5.0),
    ),
]


def read(requested: dict[str, Any]) -> ProfileOverride:
    override: ProfileOverride = msgspec.json.decode(msgspec.json.encode(requested), type=ProfileOverride)
    return override


@pytest.mark.parametrize(("requested", "expected"), REQUESTED, ids=lambda value: str(value)[:40])
def test_a_request_is_read_and_becomes_the_profile(
    requested: dict[str, Any], expected: Profile | None
) -> None:
    override = read(requested)
    assert profile_of(override) == expected
    assert problems(override) == []
    if expected is not None:
        assert expected.problems() == []
        assert list(expected.starts(100, 2.0))


@pytest.mark.parametrize("requested", [requested for requested, _ in REQUESTED], ids=lambda it: it["profile"])
def test_it_travels_in_a_message(requested: dict[str, Any]) -> None:
    override = read(requested)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(override), type=ProfileOverride) == override
    assert hash(override) == hash(read(requested))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"periodInMs": 0}, "Expected `int` >= 1 - at `$.periodInMs`"),
        ({"minionsCountProLaunch": "ten"}, "Expected `int`, got `str` - at `$.minionsCountProLaunch`"),
        ({"profile": "SOMETIMES"}, "Invalid value 'SOMETIMES' - at `$.profile`"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        read(REQUESTED[0][0] | change)
    assert str(refused.value) == problem


def test_what_was_not_read_from_a_request_is_held_to_the_same_bounds() -> None:
    [problem] = problems(Regular(period_in_ms=-1, minions_count_pro_launch=1))
    assert "periodInMs" in problem


@pytest.mark.parametrize(
    ("requested", "change", "problem"),
    [
        (1, {"minPeriodMs": 1_001}, "minPeriodMs 1001 is longer than startPeriodMs 1000"),
        (2, {"maxMinionsCountProLaunch": 1}, "minionsCountProLaunchAtStart 2 is above"),
        (3, {"stages": []}, "there is no stage"),
        (3, {"stages": [STAGE | {"totalDurationMs": 499}]}, "stage 1: rampUpDurationMs 500 is longer than"),
        (4, {"stages": [SHARE, SHARE]}, "the minionsPercentage of the stages sum to 80 instead of 100"),
        (5, {"timeFrameInMs": 99}, "periodInMs 100 is longer than timeFrameInMs 99"),
        (9, {"durationMs": 1}, "there is no arrival at all"),
    ],
)
def test_what_does_not_go_together_is_told_in_the_words_of_the_request(
    requested: int, change: dict[str, Any], problem: str
) -> None:
    [found] = problems(read(REQUESTED[requested][0] | change))
    assert found.startswith(problem)


def test_the_scenarios_own_profile_can_be_asked_for() -> None:
    assert profile_of(Default()) is None
