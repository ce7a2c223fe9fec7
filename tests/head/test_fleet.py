"""Which factories a campaign gets, and why it gets none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.cluster.messages import PROTOCOL, Handshake
from qalipsis.errors import CampaignRefused, ScenarioErrors
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.directory import FactoryRecord
from qalipsis.head.fleet import Fleet, NoFactoryFree, choose
from qalipsis.head.limits import Limits
from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.head.zones import Zone
from qalipsis.plan.model import ScenarioDescriptor

ZONES = (Zone(key="east", title="East"), Zone(key="west", title="West"))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def scenario(name: str, digest: str = "1" * 40) -> ScenarioDescriptor:
    return ScenarioDescriptor(name=name, minions=12, profile="immediate", digest=digest)


SHOP, SEARCH = scenario("shop"), scenario("search")


def factory(
    node: str,
    *scenarios: ScenarioDescriptor,
    zone: str | None = None,
    workers: int = 2,
    campaign: str | None = None,
) -> FactoryRecord:
    return FactoryRecord(
        node=node,
        incarnation=1,
        handshake=Handshake(
            node=node,
            protocol=PROTOCOL,
            version="1",
            workers=workers,
            scenarios=scenarios or (SHOP,),
            zone=zone,
        ),
        arrived_at=NOW,
        heard_at=NOW,
        silence_s=0.0,
        campaigns=() if campaign is None else (campaign,),
    )


def chosen(*there: FactoryRecord, **request: object) -> Fleet:
    settings: dict[str, object] = {"key": "c-1", "name": None, "seed": 1} | request
    return choose(CampaignRequest(**settings), there, ZONES)  # type: ignore[arg-type]


def nodes(fleet: Fleet) -> list[str]:
    return [each.node for each in fleet.factories]


def test_all_free_factories_share_the_minions() -> None:
    fleet = chosen(factory("a"), factory("b", workers=1))
    assert nodes(fleet) == ["a", "b"]
    assert fleet.assignment.minions == {"shop": 12}
    assert [fleet.assignment.share("a", worker, "shop") for worker in (0, 1)] == [4, 4]


def test_factories_that_lack_a_scenario_take_no_part() -> None:
    both = factory("both", SHOP, SEARCH)
    only = factory("only", SEARCH)
    assert nodes(chosen(both, only)) == ["both"]
    assert nodes(chosen(both, only, scenarios={"search": ScenarioRequest()})) == ["both", "only"]


def test_scenarios_that_nobody_has_together_are_refused_with_what_to_do() -> None:
    with pytest.raises(CampaignRefused) as refused:
        chosen(factory("a", SHOP), factory("b", SEARCH))
    assert str(refused.value) == (
        "no factory has all of the scenarios shop, search: run them in campaigns of their own, or give the "
        "factories the same files"
    )
    assert not isinstance(refused.value, NoFactoryFree)


def test_different_versions_of_a_scenario_are_refused_by_name() -> None:
    old, new = scenario("shop", "a" * 40), scenario("shop", "b" * 40)
    with pytest.raises(CampaignRefused) as refused:
        chosen(factory("eu-1", old), factory("eu-2", new), factory("eu-3", old))
    assert str(refused.value) == (
        "the factories have different versions of scenario shop: aaaaaaaaaaaa on eu-1, eu-3; bbbbbbbbbbbb on "
        "eu-2; install the same files and packages everywhere, and start those factories again"
    )


def test_versions_of_scenarios_that_are_not_run_do_not_matter() -> None:
    there = factory("a", SHOP, scenario("search", "x")), factory("b", SHOP, scenario("search", "y"))
    assert nodes(chosen(*there, scenarios={"shop": ScenarioRequest()})) == ["a", "b"]
    assert nodes(chosen(*there, patterns=("shop",))) == ["a", "b"]


def test_versions_in_zones_that_take_no_part_do_not_matter() -> None:
    there = (
        factory("a", scenario("shop", "x"), zone="east"),
        factory("b", scenario("shop", "y"), zone="west"),
    )
    assert nodes(chosen(*there, scenarios={"shop": ScenarioRequest(zones={"east": 100})})) == ["a"]


def test_a_busy_factory_of_another_version_refuses_the_campaign_as_well() -> None:
    """It would run it next time, and the figures of two versions cannot be compared."""
    with pytest.raises(CampaignRefused, match="different versions"):
        chosen(factory("a", scenario("shop", "x")), factory("b", scenario("shop", "y"), campaign="c-0"))


def test_when_all_are_busy_it_is_told_with_whom() -> None:
    with pytest.raises(NoFactoryFree) as busy:
        chosen(factory("a", campaign="c-0"), factory("b", campaign="c-9"))
    assert str(busy.value) == "no factory is free: a works for c-0, b works for c-9"


def test_busy_factories_are_left_out_while_others_are_free() -> None:
    assert nodes(chosen(factory("a", campaign="c-0"), factory("b"))) == ["b"]


def test_factories_that_are_reserved_for_the_campaign_are_its_own() -> None:
    assert nodes(chosen(factory("a", campaign="c-1"), factory("b", campaign="c-0"))) == ["a"]


def test_a_zone_that_is_needed_and_busy_is_waited_for() -> None:
    there = factory("a", zone="east"), factory("b", zone="west", campaign="c-0")
    wanted = {"shop": ScenarioRequest(zones={"east": 50, "west": 50})}
    with pytest.raises(NoFactoryFree, match="b works for c-0"):
        chosen(*there, scenarios=wanted)
    assert nodes(chosen(*there, scenarios={"shop": ScenarioRequest(zones={"east": 100})})) == ["a"]


def test_what_waiting_does_not_change_is_told_at_once() -> None:
    with pytest.raises(CampaignRefused, match="there is no scenario shpo; did you mean shop"):
        chosen(factory("a", campaign="c-0"), scenarios={"shpo": ScenarioRequest()})
    with pytest.raises(ScenarioErrors):
        chosen(factory("a"), patterns=("nothing*",))
    with pytest.raises(CampaignRefused, match="max-minions-count"):
        chosen(factory("a"), limits=Limits(max_minions=11))


FACTORIES = st.lists(
    st.tuples(st.sampled_from(["east", "west", None]), st.integers(1, 3), st.booleans()),
    min_size=1,
    max_size=6,
)


@given(FACTORIES, st.integers(1, 500), st.sampled_from([{}, {"east": 100}, {"east": 30, "west": 70}]))
def test_a_fleet_is_free_able_and_has_every_minion_once(
    given_factories: list[tuple[str | None, int, bool]], minions: int, zones: dict[str, int]
) -> None:
    there = [
        factory(f"n{number}", zone=zone, workers=workers, campaign="c-0" if is_busy else None)
        for number, (zone, workers, is_busy) in enumerate(given_factories)
    ]
    by_node = {each.node: each for each in there}
    try:
        fleet = chosen(*there, scenarios={"shop": ScenarioRequest(minions=minions, zones=zones)})
    except NoFactoryFree:
        free_zones = {each.handshake.zone for each in there if not each.campaigns}
        assert not free_zones or not set(zones) <= free_zones
        return
    except CampaignRefused:
        assert not set(zones) <= {each.handshake.zone for each in there}  # nobody stands there
        return
    assert fleet.factories
    assert all(not by_node[node].campaigns for node in nodes(fleet))
    if zones:
        assert {each.zone for each in fleet.factories} == set(zones)
    shares = [
        fleet.assignment.share(each.node, worker, "shop")
        for each in fleet.factories
        for worker in range(each.workers)
    ]
    assert sum(shares) == minions
