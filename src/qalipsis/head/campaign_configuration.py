"""What clients of the REST API ask for: read with patience, checked completely, turned into a request."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from msgspec import Struct

from qalipsis.config.durations import seconds
from qalipsis.errors import CampaignRefused
from qalipsis.head.campaign_request import CampaignRequest, seed_of
from qalipsis.head.limits import Limits
from qalipsis.head.scenario_request import ScenarioRequest, check_scenarios
from qalipsis.head.zones import Zone
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.profile_override import Default, ProfileOverride

NAME_LENGTHS: Final = (3, 300)
MOST_SPEED: Final = 999.0
MOST_START_OFFSET_MS: Final = 15_000
MOST_MINIONS: Final = 1_000_000
LONGEST_TIMEOUT: Final = 366 * 86_400.0


class _Payload(Struct, frozen=True, kw_only=True, rename="camel"):
    """Named in camel case outside; fields that nobody knows are ignored."""


class ScenarioConfiguration(_Payload, frozen=True, kw_only=True):
    """`zones` are percentages of the minions by key of the zone, 100 in all."""

    minions_count: int
    execution_profile: ProfileOverride | None = None
    zones: dict[str, int] | None = None


class Scheduling(_Payload, frozen=True, kw_only=True):
    """HOURLY, DAILY or MONTHLY, by the clocks of `time_zone`: see `head/schedule.py`."""

    scheduling: str
    time_zone: str = "UTC"
    restrictions: tuple[int, ...] = ()


class CampaignConfiguration(_Payload, frozen=True, kw_only=True):
    """A campaign as a client asks for it.

    `timeout` is an ISO duration such as `PT10M`, `scheduled_at` a moment such as `2030-01-31T09:00:00Z`.
    """

    name: str
    scenarios: dict[str, ScenarioConfiguration]
    speed_factor: float = 1.0
    start_offset_ms: int = 1000
    timeout: str | None = None
    hard_timeout: bool | None = None
    scheduled_at: str | None = None
    scheduling: Scheduling | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one property, `campaign.name` for example."""

    property: str
    message: str


class InvalidConfiguration(CampaignRefused):
    """Every problem of a configuration."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{each.property}: {each.message}" for each in problems))


def normalised(payload: Any) -> Any:
    """The payload with words in upper case and single values as lists, where these are expected.

    Only there: a scenario may well be called `stages`.
    """
    match payload:
        case {"scenarios": dict(scenarios)}:
            payload = payload | {"scenarios": {name: _scenario(each) for name, each in scenarios.items()}}
        case {}:
            pass
        case _:
            return payload
    return payload | {"scheduling": _part(payload["scheduling"])} if "scheduling" in payload else payload


def _scenario(asked: Any) -> Any:
    match asked:
        case {"executionProfile": profile}:
            return asked | {"executionProfile": _part(profile)}
        case _:
            return asked


def _part(part: Any) -> Any:
    return {key: _normal(key, value) for key, value in part.items()} if isinstance(part, dict) else part


def _normal(key: str, value: Any) -> Any:
    match key:
        case "profile" | "completion" | "scheduling" if isinstance(value, str):
            word = value.strip().upper()
            return "IMMEDIATE" if word == "IMMEDIATELY" else word
        case "stages" | "restrictions" if value is not None and not isinstance(value, list | tuple):
            return [value]
        case _:
            return value


def from_kept(kept: Mapping[str, Any]) -> CampaignConfiguration:
    """The configuration of a campaign as the store keeps it; raises CampaignRefused when there is none."""
    try:
        return msgspec.convert(normalised(kept), CampaignConfiguration, strict=False)
    except msgspec.ValidationError as error:
        raise CampaignRefused(f"this campaign was not started with a configuration: {error}") from error


def to_kept(configuration: CampaignConfiguration) -> dict[str, Any]:
    kept: dict[str, Any] = msgspec.to_builtins(configuration)
    return kept


def timeout_seconds(configuration: CampaignConfiguration) -> float | None:
    return None if configuration.timeout is None else seconds(configuration.timeout)


def problems(
    configuration: CampaignConfiguration,
    known: Mapping[str, ScenarioDescriptor],
    zones: Collection[Zone],
    limits: Limits,
) -> tuple[Problem, ...]:
    """Everything that keeps it from being run, with these scenarios, zones and limits."""
    return tuple(_problems(configuration, known, {zone.key: zone for zone in zones}, limits))


def _problems(
    asked: CampaignConfiguration,
    known: Mapping[str, ScenarioDescriptor],
    zones: Mapping[str, Zone],
    limits: Limits,
) -> Iterator[Problem]:
    least, most = NAME_LENGTHS
    if not least <= len(asked.name.strip()) or len(asked.name) > most:
        yield Problem("campaign.name", f"the name must have {least} to {most} characters")
    if not 0 < asked.speed_factor <= MOST_SPEED:
        yield Problem(
            "campaign.speedFactor", f"the speed factor must be greater than 0, at most {MOST_SPEED:g}"
        )
    if not 0 <= asked.start_offset_ms <= MOST_START_OFFSET_MS:
        yield Problem(
            "campaign.startOffsetMs", f"the start offset must be 0 to {MOST_START_OFFSET_MS} milliseconds"
        )
    yield from _timeout_problems(asked)
    if not asked.scenarios:
        yield Problem("campaign.scenarios", "at least one scenario is needed")
    if len(asked.scenarios) > limits.max_scenarios:
        yield Problem("campaign.scenarios", f"a campaign has at most {limits.max_scenarios} scenarios")
    total = sum(each.minions_count for each in asked.scenarios.values())
    if total > limits.max_minions:
        yield Problem("campaign.scenarios", f"a campaign has at most {limits.max_minions:,} minions in all")
    for name, scenario in asked.scenarios.items():
        yield from _scenario_problems(f"campaign.scenarios[{name}]", name, scenario, known, zones)


def _timeout_problems(asked: CampaignConfiguration) -> Iterator[Problem]:
    try:
        timeout = timeout_seconds(asked)
    except ValueError:
        yield Problem("campaign.timeout", "the timeout must be a duration such as PT10M")
        return
    if timeout is not None and not 0 < timeout <= LONGEST_TIMEOUT:
        yield Problem("campaign.timeout", "the timeout must be longer than 0, and a year at most")


def _scenario_problems(
    place: str,
    name: str,
    asked: ScenarioConfiguration,
    known: Mapping[str, ScenarioDescriptor],
    zones: Mapping[str, Zone],
) -> Iterator[Problem]:
    if name not in known:
        listed = ", ".join(sorted(known)) or "none, for no factory has come"
        yield Problem(place, f"there is no scenario {name}; the scenarios are: {listed}")
    if not 1 <= asked.minions_count <= MOST_MINIONS:
        yield Problem(f"{place}.minionsCount", f"the minions must be 1 to {MOST_MINIONS:,}")
    elif name in known:
        for problem in check_scenarios({name: _requested(asked)}, known):
            yield Problem(place, problem)
    shares = asked.zones or {}
    for key, share in shares.items():
        if key not in zones:
            listed = ", ".join(sorted(zones)) or "none; `qalipsis zones add KEY` makes one"
            yield Problem(f"{place}.zones", f"there is no zone {key}; the zones are: {listed}")
        elif not zones[key].enabled:
            yield Problem(f"{place}.zones", f"the zone {key} is disabled; choose another one")
        if not 1 <= share <= 100:
            yield Problem(f"{place}.zones", f"the share of zone {key} must be 1 to 100 percent")
    if shares and (total := sum(shares.values())) != 100:
        yield Problem(f"{place}.zones", f"the shares of the zones sum to {total} percent instead of 100")


def request_of(
    configuration: CampaignConfiguration,
    known: Mapping[str, ScenarioDescriptor],
    defaults: CampaignRequest,
    key: str,
) -> CampaignRequest:
    """What the orchestrator is to run, whenever that is.

    The only place that knows what a request has room for.
    """
    return replace(
        defaults,
        key=key,
        seed=seed_of(key) if defaults.is_seed_drawn else defaults.seed,
        name=configuration.name,
        scenarios={name: _requested(asked) for name, asked in configuration.scenarios.items()},
        minions_factor=1.0,
        minions_per_scenario=None,
        speed_factor=configuration.speed_factor,
        start_offset=configuration.start_offset_ms / 1000,
        timeout=timeout_seconds(configuration),
        is_hard_timeout=bool(configuration.hard_timeout),
        factories_timeout=LONGEST_TIMEOUT,
    )


def _requested(asked: ScenarioConfiguration) -> ScenarioRequest:
    profile = asked.execution_profile
    return ScenarioRequest(
        minions=asked.minions_count,
        zones=asked.zones or {},
        profile=None if isinstance(profile, Default) else profile,
    )
