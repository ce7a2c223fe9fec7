"""What a campaign asks of a scenario."""

import pytest
from msgspec.structs import replace

from qalipsis.head.scenario_request import ScenarioRequest, as_requested, check_scenarios
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.profile_override import (
    ArrivalRate,
    Default,
    Regular,
    StageOfCount,
    Stages,
    TimeFrame,
)

SHOP = ScenarioDescriptor(name="shop", minions=10, profile="immediate")
STAGED = ScenarioDescriptor(name="staged", minions=80, profile="stages", fixed_minions=True)
KNOWN = {"shop": SHOP, "staged": STAGED}
STAGES = Stages(
    stages=(
        StageOfCount(minions_count=30, ramp_up_duration_ms=0, total_duration_ms=1_000),
        StageOfCount(minions_count=20, ramp_up_duration_ms=0, total_duration_ms=1_000),
    )
)
REGULAR = Regular(period_in_ms=100, minions_count_pro_launch=5)


def test_without_a_profile_the_scenario_keeps_its_own() -> None:
    for request in (None, ScenarioRequest(), ScenarioRequest(profile=Default())):
        assert as_requested(STAGED, request) == STAGED


def test_a_profile_replaces_what_the_head_knows_of_it() -> None:
    regular = as_requested(STAGED, ScenarioRequest(profile=REGULAR))
    assert (regular.profile, regular.fixed_minions) == ("regular: 5 every 100 ms", False)
    arrivals = ArrivalRate(rate_per_second=5, duration_ms=1_000)
    assert as_requested(SHOP, ScenarioRequest(profile=arrivals)).has_arrivals


def test_stages_with_counts_say_how_many_minions_there_are() -> None:
    staged = as_requested(SHOP, ScenarioRequest(profile=STAGES))
    assert (staged.minions, staged.fixed_minions) == (50, True)


@pytest.mark.parametrize(
    ("name", "request_", "problem"),
    [
        ("shop", ScenarioRequest(minions=0), "shop: 0 minions are asked for; ask for 1 to 1,000,000"),
        ("shop", ScenarioRequest(minions=1_000_001), "shop: 1,000,001 minions are asked for"),
        (
            "shop",
            ScenarioRequest(minions=51, profile=STAGES),
            "shop: 51 minions are asked for, but the stages",
        ),
        (
            "staged",
            ScenarioRequest(minions=7),
            "staged: 7 minions are asked for, but the stages of its profile",
        ),
        (
            "shop",
            ScenarioRequest(profile=TimeFrame(period_in_ms=2, time_frame_in_ms=1)),
            "shop: the profile does not fit: periodInMs 2 is longer",
        ),
        ("shpo", ScenarioRequest(), "there is no scenario shpo; did you mean shop?"),
        ("zzz", ScenarioRequest(), "there is no scenario zzz; there are: shop, staged"),
    ],
)
def test_what_does_not_fit_is_told(name: str, request_: ScenarioRequest, problem: str) -> None:
    [found] = check_scenarios({name: request_}, KNOWN)
    assert found.startswith(problem)


def test_what_fits_is_not_told() -> None:
    requested = {
        "shop": ScenarioRequest(minions=50, profile=STAGES),
        "staged": ScenarioRequest(minions=80, profile=Default()),
    }
    assert check_scenarios(requested, KNOWN) == []
    assert check_scenarios({"staged": ScenarioRequest(minions=7, profile=REGULAR)}, KNOWN) == []


def test_everything_is_told_at_once() -> None:
    requested = {
        "shop": ScenarioRequest(minions=0),
        "staged": ScenarioRequest(minions=1),
        "x": ScenarioRequest(),
    }
    assert len(check_scenarios(requested, {**KNOWN, "y": replace(SHOP, name="y")})) == 3
