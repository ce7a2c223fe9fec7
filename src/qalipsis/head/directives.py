"""The directives that tell the factories of a campaign their part in it."""

from __future__ import annotations

from qalipsis.cluster.messages import AssignFactory, DeclareMinions
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.fleet import Fleet


def assign_factory(node: str, fleet: Fleet, request: CampaignRequest) -> AssignFactory:
    """One factory's place in the fleet."""
    return AssignFactory(
        campaign=request.key,
        zones=tuple(fleet.assignment.zones.values()),
        first_worker=fleet.assignment.first_worker[node],
        seed=request.seed,
        speed_factor=request.speed_factor,
    )


def declare_minions(fleet: Fleet, request: CampaignRequest) -> DeclareMinions:
    """The minions of the whole fleet, from which each worker derives its own."""
    requested = request.scenarios
    return DeclareMinions(
        minions=fleet.assignment.minions,
        shares=fleet.assignment.shares,
        profiles={name: each.profile for name, each in requested.items() if each.profile is not None},
    )
