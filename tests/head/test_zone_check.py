"""Zones that a campaign asks for and cannot have."""

import pytest

from qalipsis.head.assignment import Member
from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.head.zone_check import check_zones
from qalipsis.head.zones import Zone

ZONES = [
    Zone(key="west", title="West"),
    Zone(key="east", title="East"),
    Zone(key="old", title="Old", enabled=False),
    Zone(key="new", title="New"),
]
FACTORIES = [
    Member(node="b", workers=1, zone="east"),
    Member(node="a", workers=1, zone="east"),
    Member(node="c", workers=1, zone="west"),
    Member(node="d", workers=1, zone="old"),
    Member(node="e", workers=1),
    Member(node="f", workers=1, zone="typo"),
]
THERE = (
    "the zones and their factories are east: a, b; new: no factory; old (disabled): d; west: c; "
    "typo (not among the zones): f; in no zone: e"
)


def check(**zones: int) -> list[str]:
    return check_zones({"shop": ScenarioRequest(zones=zones)}, ZONES, FACTORIES)


def test_zones_with_factories_and_shares_that_sum_to_100_are_fine() -> None:
    assert check(west=1, east=99) == check(east=100) == []


def test_a_scenario_without_zones_runs_anywhere() -> None:
    assert check_zones({"shop": ScenarioRequest()}, [], []) == []


@pytest.mark.parametrize(
    ("zones", "problem"),
    [
        ({"old": 100}, "shop: zone old is disabled"),
        ({"wets": 100}, "shop: there is no zone wets"),
        ({"typo": 100}, "shop: there is no zone typo"),
        ({"new": 100}, "shop: zone new has no factory; start one with factory.zone: new, "),
        ({"west": 49, "east": 50}, "shop: the shares of its zones sum to 99 % instead of 100 %; add 1 to"),
        ({"west": 60, "east": 50}, "shop: the shares of its zones sum to 110 % instead of 100 %; take 10"),
        ({"west": 0, "east": 100}, "shop: the share of zone west is 0 %; give 1 to 100"),
    ],
)
def test_what_is_wrong_is_told_with_what_there_is(zones: dict[str, int], problem: str) -> None:
    found, there = check(**zones)
    assert found.startswith(problem)
    assert there == THERE


def test_everything_is_told_at_once_naming_the_scenario() -> None:
    requested = {
        "shop": ScenarioRequest(zones={"west": -1, "east": 102}),
        "search": ScenarioRequest(zones={"old": 100}),
    }
    found = check_zones(requested, ZONES, FACTORIES)
    assert [problem.split(":")[0] for problem in found[:-1]] == ["shop", "shop", "shop", "search"]


def test_an_installation_without_zones_says_so() -> None:
    found = check_zones({"shop": ScenarioRequest(zones={"west": 100})}, [], [])
    assert found == ["shop: there is no zone west", "there is no zone, and no factory"]
