"""What is to be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from qalipsis.head.campaign import OnFactoryLoss
from qalipsis.head.limits import Limits
from qalipsis.head.scenario_request import ScenarioRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRequest:
    """A campaign as it was asked for. Durations are seconds.

    When `scenarios` are named, they are those that are run, each as it is asked for; otherwise those that the
    `patterns` match.
    """

    key: str
    name: str | None
    seed: int
    is_seed_drawn: bool = False
    """Nobody has asked for this seed: what is made of this request has one of its own."""
    patterns: tuple[str, ...] = ()
    scenarios: Mapping[str, ScenarioRequest] = field(default_factory=dict)
    minions_factor: float = 1.0
    minions_per_scenario: int | None = None
    speed_factor: float = 1.0
    start_offset: float = 0.5
    grace: float = 30.0
    timeout: float | None = None
    """From the start; then the campaign is stopped, softly unless it `is_hard_timeout`."""
    is_hard_timeout: bool = False
    on_factory_loss: OnFactoryLoss = OnFactoryLoss.REDISTRIBUTE
    accept_redistribution: bool = False
    required_factories: int = 1
    factories_timeout: float = 30.0
    limits: Limits = field(default_factory=Limits)
    environment: dict[str, Any] = field(default_factory=dict)


def seed_of(key: str) -> int:
    """A seed as good as drawn, though the same on every head that goes on with the campaign."""
    return int.from_bytes(sha256(key.encode()).digest()[:8]) >> 1
