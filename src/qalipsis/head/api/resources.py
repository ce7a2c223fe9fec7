"""Everything around campaigns: scenarios, zones, factories, the user, the limits."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.exceptions import ClientException
from litestar.params import QueryParameter
from msgspec import Struct

from qalipsis.config.settings import CampaignValidation
from qalipsis.head.api.access import OPEN, Gate, User
from qalipsis.head.api.payloads import ScenarioSummary, Zone, summary_of, zone_of
from qalipsis.head.directory import FactoryRecord
from qalipsis.head.service import CampaignService

UNHEALTHY_SECONDS: Final = 5.0
OFFLINE_SECONDS: Final = 30.0

_Request = Request[User, Any, Any]


class _Answer(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class FactoryStates(_Answer, frozen=True, kw_only=True):
    """Each factory in one of them: registered is one that has just come or is at work."""

    idle: int
    registered: int
    unhealthy: int
    offline: int


class Factory(_Answer, frozen=True, kw_only=True):
    node: str
    zone: str | None
    tags: dict[str, str]
    state: str
    workers: int
    version: str
    last_heartbeat: datetime
    loop_lag_ms: float | None
    cpu: float | None
    memory_bytes: int | None
    """Of its supervisor; each worker has its own beside it."""
    clock_offset_ms: float | None
    lease: datetime | None
    """Until when it may work for its campaign without another answer of a head."""
    campaign: str | None
    campaigns: tuple[str, ...]
    """Of which `campaign` is the first."""


class ProfileUser(_Answer, frozen=True, kw_only=True):
    tenant: str | None
    username: str
    display_name: str


class Tenant(_Answer, frozen=True, kw_only=True):
    reference: str
    display_name: str
    version: datetime


class Profile(_Answer, frozen=True, kw_only=True):
    user: ProfileUser
    tenants: tuple[Tenant, ...]


class Security(_Answer, frozen=True, kw_only=True):
    """DISABLED, or API_KEY."""

    strategy: str


class StageValidation(_Answer, frozen=True, kw_only=True):
    min_minions_count: int | None
    max_minions_count: int | None
    min_resolution: str | None
    max_resolution: str | None
    min_duration: str | None
    max_duration: str | None
    min_start_duration: str | None
    max_start_duration: str | None


class Validation(_Answer, frozen=True, kw_only=True):
    max_minions_count: int
    max_execution_duration: str
    max_scenarios_count: int
    stage: StageValidation


class CampaignLimits(_Answer, frozen=True, kw_only=True):
    validation: Validation


@get("/scenarios", opt={"permission": "read:scenario"}, tags=["scenarios"])
async def list_scenarios(
    service: NamedDependency[CampaignService],
    sort: Annotated[str, QueryParameter(max_length=100)] = "name:asc",
) -> list[ScenarioSummary]:
    """What the factories can run."""
    name, _, direction = sort.partition(":")
    if name.lower() != "name" or direction.lower() not in ("", "asc", "desc"):
        raise ClientException("scenarios are sorted by name:asc or name:desc")
    found = [summary_of(scenario, since) for scenario, since in service.scenarios().values()]
    return sorted(found, key=lambda each: each.name, reverse=direction.lower() == "desc")


@get("/zones", opt={"permission": "read:campaign"}, tags=["zones"])
async def list_zones(service: NamedDependency[CampaignService]) -> list[Zone]:
    """All zones, those that are disabled included."""
    return [zone_of(zone) for zone in await service.zones()]


@get("/factories/states", opt={"permission": "read:campaign"}, tags=["factories"])
async def count_factories(service: NamedDependency[CampaignService]) -> FactoryStates:
    """How many factories are in each state."""
    counts = Counter(map(state_of, service.factories()))
    return FactoryStates(
        idle=counts["IDLE"],
        registered=counts["REGISTERED"],
        unhealthy=counts["UNHEALTHY"],
        offline=counts["OFFLINE"],
    )


@get("/factories", opt={"permission": "read:campaign"}, tags=["factories"])
async def list_factories(service: NamedDependency[CampaignService]) -> list[Factory]:
    """Each factory, as it was heard last."""
    found = []
    for factory in service.factories():
        heard, told = factory.heartbeat, factory.handshake
        found.append(
            Factory(
                node=factory.node,
                zone=told.zone,
                tags=told.tags,
                state=state_of(factory),
                workers=told.workers,
                version=told.version,
                last_heartbeat=factory.heard_at,
                loop_lag_ms=None if heard is None else heard.loop_lag_s * 1000,
                cpu=None if heard is None else heard.cpu,
                memory_bytes=None if heard is None else heard.memory_bytes,
                clock_offset_ms=None if heard is None else factory.clock_offset_s * 1000,
                lease=_lease_of(factory, service.lease_s),
                campaign=next(iter(factory.campaigns), None),
                campaigns=factory.campaigns,
            )
        )
    return found


@get("/users/profile", tags=["users"])
async def show_profile(request: _Request) -> Profile:
    """Who you are."""
    name = request.user.name
    return Profile(user=ProfileUser(tenant=None, username=name, display_name=name), tenants=())


@get("/users/permissions", tags=["users"])
async def list_permissions(request: _Request) -> list[str]:
    """What you may do."""
    return sorted(request.user.permissions)


@get("/configuration/security", opt={OPEN: True}, tags=["configuration"])
async def show_security(gate: NamedDependency[Gate]) -> Security:
    """Whether a key is needed."""
    return Security(strategy="API_KEY" if gate.needs_key else "DISABLED")


@get("/configuration/campaign", opt={"permission": "read:campaign"}, tags=["configuration"])
async def show_limits(validation: NamedDependency[CampaignValidation]) -> CampaignLimits:
    """What a campaign may ask for at most."""
    stage = validation.stage
    return CampaignLimits(
        validation=Validation(
            max_minions_count=validation.max_minions_count,
            max_execution_duration=iso(validation.max_execution_duration),
            max_scenarios_count=validation.max_scenarios_count,
            stage=StageValidation(
                min_minions_count=stage.min_minions_count,
                max_minions_count=stage.max_minions_count,
                min_resolution=_iso(stage.min_resolution),
                max_resolution=_iso(stage.max_resolution),
                min_duration=_iso(stage.min_duration),
                max_duration=_iso(stage.max_duration),
                min_start_duration=_iso(stage.min_start_duration),
                max_start_duration=_iso(stage.max_start_duration),
            ),
        )
    )


HANDLERS: Final = (
    *(list_scenarios, list_zones, count_factories, list_factories),
    *(show_profile, list_permissions, show_security, show_limits),
)


def state_of(factory: FactoryRecord) -> str:
    """By how long ago a factory was heard, and whether it works for a campaign."""
    if factory.silence_s > OFFLINE_SECONDS:
        return "OFFLINE"
    if factory.silence_s > UNHEALTHY_SECONDS:
        return "UNHEALTHY"
    return "REGISTERED" if factory.campaigns or factory.is_busy else "IDLE"


def _lease_of(factory: FactoryRecord, seconds: float | None) -> datetime | None:
    if not factory.campaigns or seconds is None:
        return None
    return factory.heard_at + timedelta(seconds=seconds)


def iso(seconds: float) -> str:
    """An ISO-8601 duration: `PT1H30M`."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = (
        f"{hours:.0f}H" if hours else "",
        f"{minutes:.0f}M" if minutes else "",
        f"{left:g}S" if left else "",
    )
    return "PT" + ("".join(parts) or "0S")


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)
