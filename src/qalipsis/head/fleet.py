"""Which scenarios a campaign runs, on which of the factories, and who has which minions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qalipsis.errors import CampaignRefused
from qalipsis.head import limits
from qalipsis.head.assignment import Assignment, Member, assign, eligible
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.directory import FactoryRecord
from qalipsis.head.scenario_request import ScenarioRequest, as_requested, check_scenarios
from qalipsis.head.stage_limits import check_stages
from qalipsis.head.zone_check import check_zones
from qalipsis.head.zones import Zone
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.selection import select


class NoFactoryFree(CampaignRefused):
    """The campaign could run on factories that all work for others now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What was chosen."""

    scenarios: tuple[ScenarioDescriptor, ...]
    factories: tuple[Member, ...]
    assignment: Assignment

    def workers_of(self, node: str) -> range:
        """A factory's workers by their numbers in the whole fleet; none when it does not belong to it."""
        first = self.assignment.first_worker.get(node, 0)
        return range(first, first + sum(each.workers for each in self.factories if each.node == node))

    def zone_of(self, node: str) -> str:
        """A factory's zone; empty when it stands in none, or does not belong to the fleet."""
        return next((each.zone or "" for each in self.factories if each.node == node), "")


NOBODY: Final = Fleet(scenarios=(), factories=(), assignment=Assignment({}, {}, {}))
"""Before anything was chosen."""


def choose(request: CampaignRequest, there: Sequence[FactoryRecord], zones: Sequence[Zone]) -> Fleet:
    """The fleet of the campaign among the factories that are `there`.

    Those that work for nobody are taken. Those that work for others as well, and may work for one more, are
    only taken where there is no other: in a zone that the campaign needs, or at all. Raises NoFactoryFree,
    and CampaignRefused or ScenarioErrors for what waiting would not change.
    """
    known = {scenario.name: scenario for each in there for scenario in each.handshake.scenarios}
    requested = request.scenarios
    problems = check_scenarios(requested, known)
    if any(each.zones for each in requested.values()):
        problems += check_zones(requested, zones, members(there))
    if problems:
        raise CampaignRefused("\n".join(problems))
    names = tuple(requested or select(known, request.patterns))
    able = [each for each in there if set(names) <= {own.name for own in each.handshake.scenarios}]
    if not able:
        raise CampaignRefused(
            f"no factory has all of the scenarios {', '.join(names)}: run them in campaigns of their own, or "
            "give the factories the same files"
        )
    wanted = {each.node for each in eligible(members(able), requested)}
    able = [each for each in able if each.node in wanted]
    _check_versions(names, able)
    _check_leaving(able, request.key)
    free = members(_taken(requested, able, request.key))
    _check_free(requested, free, able)
    scenarios = tuple(as_requested(known[name], requested.get(name)) for name in names)
    assignment = assign(
        scenarios, free, request.minions_factor, request.minions_per_scenario, request.scenarios
    )
    _check_limits(request, assignment.minions)
    return Fleet(scenarios=scenarios, factories=tuple(free), assignment=assignment)


def members(factories: Iterable[FactoryRecord]) -> list[Member]:
    return [
        Member(
            node=each.node,
            incarnation=each.incarnation,
            workers=each.handshake.workers,
            zone=each.handshake.zone,
        )
        for each in factories
    ]


def _check_versions(names: Iterable[str], factories: Sequence[FactoryRecord]) -> None:
    """Directives carry no code: whoever runs a scenario must have the same one."""
    for name in names:
        nodes: dict[str, list[str]] = {}
        for factory in factories:
            for scenario in factory.handshake.scenarios:
                if scenario.name == name:
                    nodes.setdefault(scenario.digest, []).append(factory.node)
        if len(nodes) > 1:
            listed = "; ".join(f"{digest[:12]} on {', '.join(each)}" for digest, each in nodes.items())
            raise CampaignRefused(
                f"the factories have different versions of scenario {name}: {listed}; install the same "
                "files and packages everywhere, and start those factories again"
            )


def _needed_zones(requested: Mapping[str, ScenarioRequest]) -> set[str]:
    return {zone for each in requested.values() for zone in each.zones}


def _taken(
    requested: Mapping[str, ScenarioRequest], able: Sequence[FactoryRecord], campaign: str
) -> list[FactoryRecord]:
    """All that work for nobody else, or are reserved already; others only where there would be none."""
    own = {each.node: each for each in able if not each.campaigns or campaign in each.campaigns}
    missing = _needed_zones(requested) - {each.handshake.zone for each in own.values()}
    return [
        each
        for each in able
        if each.node in own or (each.is_free and (not own or each.handshake.zone in missing))
    ]


def _check_leaving(able: Sequence[FactoryRecord], campaign: str) -> None:
    """A factory that is reserved for nobody and says that it works is about to be free: its campaign has
    ended, and one that was cut off then is told so. Who did not wait would make the load of fewer machines.
    """
    leaving = [each.node for each in able if each.is_busy and each.is_free and campaign not in each.campaigns]
    if leaving:
        raise NoFactoryFree(
            f"{', '.join(leaving)} will be free in a moment: its last campaign has just ended"
        )


def _check_free(
    requested: Mapping[str, ScenarioRequest], free: Sequence[Member], able: Sequence[FactoryRecord]
) -> None:
    if free and _needed_zones(requested) <= {each.zone for each in free}:
        return
    busy = ", ".join(
        f"{each.node} works for {' and '.join(each.campaigns) or 'a campaign that ended without it'}"
        for each in able
        if each.campaigns or each.is_busy
    )
    raise NoFactoryFree(f"no factory is free: {busy}")


def _check_limits(request: CampaignRequest, minions: Mapping[str, int]) -> None:
    """More than the installation allows is refused."""
    refusal = limits.refusal(request.limits, minions)
    if refusal is not None:
        raise CampaignRefused(refusal)
    problems = [
        f"{name}: {problem}"
        for name, each in request.scenarios.items()
        for problem in check_stages(request.limits.stage, each.profile, minions[name])
    ]
    if problems:
        raise CampaignRefused("\n".join(problems))
