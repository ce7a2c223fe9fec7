"""Campaigns as the configuration asks for them."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from qalipsis.config.settings import Settings
from qalipsis.head.campaign import OnFactoryLoss
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.limits import Limits
from qalipsis.wiring.request import RunRequest


def campaign_here(request: RunRequest, workers: int) -> CampaignRequest:
    """The campaign of this machine, whose only factory is the one of this process."""
    known = environment() | {"workers": workers, **request.environment}
    return replace(campaign_of(request.settings, known, request.patterns), required_factories=1)


def environment() -> dict[str, Any]:
    """Where a head runs, for the report."""
    return {
        "qalipsis": version("qalipsis"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
    }


def campaign_of(
    settings: Settings, environment: Mapping[str, Any], patterns: Sequence[str] = ()
) -> CampaignRequest:
    """A campaign of the scenarios that the patterns match, as the configuration asks for it."""
    campaign, validation = settings.campaign, settings.campaign.configuration.validation
    return CampaignRequest(
        key=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        name=campaign.name,
        seed=secrets.randbits(63) if campaign.seed is None else campaign.seed,
        is_seed_drawn=campaign.seed is None,
        patterns=tuple(patterns),
        minions_factor=campaign.minions_factor,
        minions_per_scenario=campaign.minions_count_per_scenario,
        speed_factor=campaign.speed_factor,
        start_offset=campaign.start_offset,
        grace=settings.factory.graceful_shutdown.campaign,
        on_factory_loss=OnFactoryLoss(campaign.on_factory_loss),
        accept_redistribution=campaign.accept_redistribution,
        required_factories=campaign.required_factories,
        factories_timeout=settings.factory.handshake.timeout,
        limits=Limits(
            max_minions=validation.max_minions_count,
            max_duration=validation.max_execution_duration,
            max_scenarios=validation.max_scenarios_count,
            stage=validation.stage,
        ),
        environment=dict(environment),
    )
