"""What a campaign may ask for at most: an installation's protection against a typing mistake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qalipsis.config.settings import StageLimits

KEYS = "campaign.configuration.validation"


@dataclass(frozen=True, slots=True)
class Limits:
    max_minions: int = 1_000_000
    max_duration: float = 3600.0
    max_scenarios: int = 20
    stage: StageLimits = field(default_factory=StageLimits)


def refusal(limits: Limits, minions: Mapping[str, int]) -> str | None:
    """Why these minions, by scenario, are too much; None when they are not."""
    if len(minions) > limits.max_scenarios:
        return (
            f"{len(minions)} scenarios are more than the {limits.max_scenarios} of a campaign: "
            f"choose some with --scenarios, or raise {KEYS}.max-scenarios-count"
        )
    total = sum(minions.values())
    if total > limits.max_minions:
        return (
            f"{total:,} minions are more than the {limits.max_minions:,} of a campaign: "
            f"use fewer, or raise {KEYS}.max-minions-count"
        )
    return None


def refusal_of_duration(limits: Limits, planned_seconds: float) -> str | None:
    """Why a campaign of so many seconds is too long; None when it is not."""
    if planned_seconds <= limits.max_duration:
        return None
    return (
        f"the profiles take {planned_seconds:g} s, more than the {limits.max_duration:g} s of a campaign: "
        f"shorten them, raise the speed factor, or raise {KEYS}.max-execution-duration"
    )
