"""Whether a campaign can run in the zones that it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from qalipsis.head.assignment import Member
from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.head.zones import Zone


def check_zones(
    requested: Mapping[str, ScenarioRequest], zones: Sequence[Zone], factories: Sequence[Member]
) -> list[str]:
    """Every reason why not, each with what there is instead; `factories` are those that could run it now."""
    found: list[str] = []
    for name, request in requested.items():
        if request.zones:
            found += (f"{name}: {problem}" for problem in _problems(request.zones, zones, factories))
    if found:
        found.append(_there(zones, factories))
    return found


def _problems(shares: Mapping[str, int], zones: Sequence[Zone], factories: Sequence[Member]) -> Iterator[str]:
    known = {zone.key: zone for zone in zones}
    for key, share in shares.items():
        if not 1 <= share <= 100:
            yield f"the share of zone {key} is {share} %; give 1 to 100, and leave out zones that get nothing"
    if (total := sum(shares.values())) != 100:
        change = f"add {100 - total} to" if total < 100 else f"take {total - 100} from"
        yield f"the shares of its zones sum to {total} % instead of 100 %; {change} one of them"
    for key in shares:
        if key not in known:
            yield f"there is no zone {key}"
        elif not known[key].enabled:
            yield f"zone {key} is disabled"
        elif not any(factory.zone == key for factory in factories):
            yield f"zone {key} has no factory; start one with factory.zone: {key}, or choose another zone"


def _there(zones: Sequence[Zone], factories: Sequence[Member]) -> str:
    """One sentence about all zones and factories."""
    listed = [
        f"{zone.key}{'' if zone.enabled else ' (disabled)'}: {_nodes(factories, zone.key)}"
        for zone in sorted(zones, key=lambda zone: zone.key)
    ]
    known = {zone.key for zone in zones}
    # A factory's zone may be written wrong, or not be in the table yet: that is worth seeing.
    listed += [
        f"{key} (not among the zones): {_nodes(factories, key)}"
        for key in sorted({factory.zone for factory in factories if factory.zone} - known)
    ]
    elsewhere = [factory for factory in factories if not factory.zone]
    if elsewhere:
        listed.append(f"in no zone: {_nodes(factories, None)}")
    return (
        f"the zones and their factories are {'; '.join(listed)}"
        if listed
        else "there is no zone, and no factory"
    )


def _nodes(factories: Iterable[Member], zone: str | None) -> str:
    nodes = sorted(factory.node for factory in factories if (factory.zone or None) == zone)
    return ", ".join(nodes) or "no factory"
