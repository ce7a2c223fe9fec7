"""Who runs what."""

from hypothesis import given
from hypothesis import strategies as st

from qalipsis.head.assignment import Member, assign, eligible, minions_of
from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.ownership import largest_remainder


def scenario(name: str, minions: int, fixed: bool = False) -> ScenarioDescriptor:
    return ScenarioDescriptor(name=name, minions=minions, profile="immediate", fixed_minions=fixed)


FLEET = [
    Member(node="w1", workers=2, zone="west"),
    Member(node="e1", workers=3, zone="east"),
    Member(node="n1", workers=1),
    Member(node="w2", workers=1, zone="west"),
]


def test_a_factor_multiplies_and_leaves_at_least_one() -> None:
    assert minions_of(scenario("shop", 10), 1.5, None) == 15
    assert minions_of(scenario("shop", 10), 0.01, None) == 1


def test_a_given_count_replaces_the_scenarios_own() -> None:
    assert minions_of(scenario("shop", 10), 3.0, 7) == 7


def test_counts_of_a_profile_are_not_touched() -> None:
    assert minions_of(scenario("shop", 80, fixed=True), 2.0, 7) == 80


def test_what_is_asked_of_a_scenario_counts_before_what_holds_for_all() -> None:
    shops = [scenario("shop", 10), scenario("search", 10)]
    assert assign(shops, FLEET, 3.0, 7, {"shop": ScenarioRequest(minions=4)}).minions == {
        "shop": 4,
        "search": 7,
    }


@given(st.integers(1, 10_000), st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5), min_size=1))
def test_every_minion_belongs_to_exactly_one_worker(minions: int, factories: dict[str, int]) -> None:
    members = [Member(node=node, workers=workers) for node, workers in factories.items()]
    assignment = assign([scenario("shop", minions)], members)
    shares = [
        assignment.share(factory, worker, "shop")
        for factory, workers in factories.items()
        for worker in range(workers)
    ]
    assert sum(shares) == minions
    assert max(shares) - min(shares) <= 1
    assert assignment.in_zones("shop") == {}


@given(st.integers(1, 10_000), st.integers(1, 99))
def test_zones_get_exactly_their_shares_and_share_them_alike(minions: int, east: int) -> None:
    requested = {"shop": ScenarioRequest(zones={"west": 100 - east, "east": east})}
    assignment = assign([scenario("shop", minions)], FLEET, requested=requested)
    of_east, of_west = largest_remainder(minions, (east, 100 - east))
    expected = {zone: own for zone, own in (("east", of_east), ("west", of_west)) if own}
    assert assignment.in_zones("shop") == expected
    west = [assignment.share(node, worker, "shop") for node, worker in (("w1", 0), ("w1", 1), ("w2", 0))]
    assert sum(west) == of_west
    assert max(west) - min(west) <= 1
    assert assignment.share("n1", 0, "shop") == 0


def test_each_scenario_runs_where_it_was_asked_for() -> None:
    requested = {"shop": ScenarioRequest(zones={"east": 100}), "search": ScenarioRequest()}
    assignment = assign([scenario("shop", 9), scenario("search", 14)], FLEET, requested=requested)
    assert assignment.in_zones("shop") == {"east": 9}
    assert assignment.in_zones("search") == {"east": 6, "west": 6}
    assert assignment.share("n1", 0, "search") == 2


def test_factories_take_part_unless_every_scenario_runs_elsewhere() -> None:
    west = ScenarioRequest(zones={"west": 100})
    assert [each.node for each in eligible(FLEET, {"shop": west})] == ["w1", "w2"]
    assert eligible(FLEET, {"shop": west, "search": ScenarioRequest()}) == FLEET
    assert eligible(FLEET, {}) == FLEET


def test_two_hundred_factories_are_assigned_a_million_minions() -> None:
    fleet = [Member(node=f"f{n}", workers=4, zone=f"z{n % 7}") for n in range(200)]
    zones = dict(zip((f"z{n}" for n in range(7)), (31, 23, 17, 11, 7, 8, 3), strict=True))
    assignment = assign(
        [scenario("shop", 1_000_000)], fleet, requested={"shop": ScenarioRequest(zones=zones)}
    )
    own = [assignment.share(each.node, worker, "shop") for each in fleet for worker in range(4)]
    assert sum(own) == 1_000_000
    assert assignment.in_zones("shop") == {zone: share * 10_000 for zone, share in sorted(zones.items())}
