"""What a campaign asks of one scenario."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.profile_override import ProfileOverride, Stages, problems, profile_of

MOST_MINIONS = 1_000_000


class ScenarioRequest(Struct, frozen=True, kw_only=True):
    """Whatever is None or empty is as the scenario, or the configuration, has it."""

    minions: Annotated[int, Meta(ge=1, le=MOST_MINIONS)] | None = None
    zones: dict[str, int] = field(default_factory=dict)
    """Percentages of the minions, by key of the zone; they sum to 100."""
    profile: ProfileOverride | None = None


def check_scenarios(
    requested: Mapping[str, ScenarioRequest], known: Mapping[str, ScenarioDescriptor]
) -> list[str]:
    """Every reason why the scenarios cannot be run as asked for, zones aside."""
    found: list[str] = []
    for name, request in requested.items():
        scenario = known.get(name)
        if scenario is None:
            found.append(f"there is no scenario {name}; {_there(name, known)}")
            continue
        found += (f"{name}: {problem}" for problem in _problems(request, scenario))
    return found


def as_requested(scenario: ScenarioDescriptor, request: ScenarioRequest | None) -> ScenarioDescriptor:
    """The scenario with the profile and the minions that the campaign asks for."""
    if request is None:
        return scenario
    profile = None if request.profile is None else profile_of(request.profile)
    if profile is not None:
        fixed = profile.minions()
        scenario = replace(
            scenario,
            profile=profile.describe(),
            has_arrivals=profile.is_arrivals,
            fixed_minions=fixed is not None,
            minions=scenario.minions if fixed is None else fixed,
        )
    return scenario


def _problems(request: ScenarioRequest, scenario: ScenarioDescriptor) -> Iterator[str]:
    if request.minions is not None and not 1 <= request.minions <= MOST_MINIONS:
        yield f"{request.minions:,} minions are asked for; ask for 1 to {MOST_MINIONS:,}"
    wrong = [] if request.profile is None else problems(request.profile)
    yield from (f"the profile does not fit: {problem}" for problem in wrong)
    if wrong or request.minions is None:
        return
    fixed = as_requested(scenario, request)
    if fixed.fixed_minions and fixed.minions != request.minions:
        yield (
            f"{request.minions:,} minions are asked for, but the stages of its profile start "
            f"{fixed.minions:,}: ask for {fixed.minions:,}, or change the "
            f"{'stages' if isinstance(request.profile, Stages) else 'profile'}"
        )


def _there(name: str, known: Mapping[str, ScenarioDescriptor] | Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there are: {', '.join(sorted(known)) or 'none'}"
