"""Which factories a campaign takes where they may work for several at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from qalipsis.cluster.messages import PROTOCOL, Handshake
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.directory import FactoryRecord
from qalipsis.head.fleet import NoFactoryFree, choose
from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.head.zones import Zone
from qalipsis.plan.model import ScenarioDescriptor

SCENARIOS = tuple(
    ScenarioDescriptor(name=name, minions=10, profile="immediate") for name in ("shop", "search")
)
ZONES = (Zone(key="east", title="East"), Zone(key="west", title="West"))
NOW = datetime(2030, 1, 31, tzinfo=UTC)


def factory(node: str, *campaigns: str, allowed: int = 2, zone: str | None = None) -> FactoryRecord:
    handshake = Handshake(
        node=node,
        protocol=PROTOCOL,
        version="1",
        workers=1,
        campaigns=allowed,
        scenarios=SCENARIOS,
        zone=zone,
    )
    return FactoryRecord(
        node=node,
        incarnation=1,
        handshake=handshake,
        arrived_at=NOW,
        heard_at=NOW,
        silence_s=0.5,
        campaigns=campaigns,
    )


def chosen(*there: FactoryRecord, **zones: dict[str, int]) -> list[str]:
    """The nodes for campaign c-1 of both scenarios, of which some name their zones."""
    request = CampaignRequest(
        key="c-1",
        name=None,
        seed=1,
        scenarios={name: ScenarioRequest(zones=zones.get(name, {})) for name in ("shop", "search")},
    )
    return [each.node for each in choose(request, there, ZONES).factories]


def test_factories_that_work_for_nobody_are_taken_first() -> None:
    assert chosen(factory("a", "c-9"), factory("b"), factory("c", allowed=1)) == ["b", "c"]


def test_where_all_work_for_others_those_that_allow_one_more_are_shared() -> None:
    assert chosen(factory("a", "c-9"), factory("b", "c-9", allowed=1), factory("c", "c-8")) == ["a", "c"]


def test_at_their_limits_they_are_named_with_their_campaigns() -> None:
    with pytest.raises(
        NoFactoryFree, match=r"^no factory is free: a works for c-8 and c-9, b works for c-9$"
    ):
        chosen(factory("a", "c-8", "c-9"), factory("b", "c-9", allowed=1))


def test_a_zone_without_an_idle_factory_is_served_by_a_shared_one() -> None:
    east, west = factory("e", zone="east"), factory("w", "c-9", zone="west")
    elsewhere = factory("n", "c-9")
    both = {"shop": {"east": 50, "west": 50}, "search": {"east": 50, "west": 50}}
    assert chosen(east, west, elsewhere, **both) == ["e", "w"]
    assert chosen(east, west, elsewhere, shop={"west": 100}) == ["e", "w"]
    assert chosen(east, west, elsewhere, shop={"east": 100}) == ["e"]
    with pytest.raises(NoFactoryFree, match="w works for c-8 and c-9"):
        chosen(east, factory("w", "c-8", "c-9", zone="west"), **both)


def test_what_is_reserved_for_the_campaign_already_stays_with_it() -> None:
    assert chosen(factory("a", "c-9", "c-1"), factory("b"), factory("c", "c-9")) == ["a", "b"]
