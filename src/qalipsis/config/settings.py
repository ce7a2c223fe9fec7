"""Every setting there is: its key, its type, its default and what it means.

A field's key is its name with dashes, below the key of its group; `docs/configuration.md` lists the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, get_type_hints

from qalipsis.config.secret import Secret
from qalipsis.config.values import (
    DURATION,
    REDIS_URI,
    SECRET,
    SWITCH,
    TEXT,
    WORKERS,
    Form,
    list_of,
    number,
    one_of,
    rest_of,
    table_of,
    whole,
)

LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "OFF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    origins: Annotated[
        tuple[str, ...], list_of(TEXT), "Origins whose pages may use the REST API, `https://host:port` each."
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    port: Annotated[int, whole(0, 65535), "Port of the REST API; 0 picks a free one."] = 8400
    host: Annotated[
        str | None, TEXT, "Address the head listens on; unset: `127.0.0.1` standalone, `0.0.0.0` for a head."
    ] = None
    api_root: Annotated[str, TEXT, "Path under which the REST API is served."] = "/api"
    cors: Cors = Cors()


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPool:
    enabled: Annotated[bool, SWITCH, "Use a pool of connections instead of a single one."] = False
    min_idle: Annotated[int, whole(0), "Connections kept open when idle, at least."] = 0
    max_idle: Annotated[int, whole(0), "Connections kept open when idle, at most."] = 8
    max_total: Annotated[int, whole(1), "Connections open at the same time, at most."] = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    uri: Annotated[
        Secret | None,
        REDIS_URI,
        "The Redis instance; the query may hold `verifyPeer`, `clientName`, `timeout` and `database`.",
    ] = None
    uris: Annotated[tuple[Secret, ...], list_of(REDIS_URI), "The nodes of a Redis cluster."] = ()
    username: Annotated[str | None, TEXT, "User for the URIs that name none."] = None
    password: Annotated[Secret | None, SECRET, "Password for the URIs that hold none."] = None
    client_name: Annotated[str | None, TEXT, "Name shown by Redis for the connections of this node."] = None
    timeout: Annotated[float | None, DURATION, "Longest wait for an answer of Redis."] = None
    pool: RedisPool = RedisPool()


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    platform: Annotated[
        str | None,
        one_of("memory", "redis", "kafka"),
        "What carries messages between head and factories; unset: `memory`, `redis` when `redis.*` is set.",
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasourcePool:
    min: Annotated[int, whole(0), "Connections kept open, at least."] = 4
    max: Annotated[int, whole(1), "Connections open at the same time, at most."] = 20
    max_life_time: Annotated[float, DURATION, "Age at which a connection is replaced."] = 600.0
    max_idle_time: Annotated[float, DURATION, "Idle time after which a connection is closed."] = 240.0
    max_acquire_time: Annotated[float, DURATION, "Longest wait for a free connection."] = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Datasource:
    host: Annotated[
        str | None, TEXT, "Address of PostgreSQL; unset: an embedded SQLite file in `./data` is used."
    ] = None
    port: Annotated[int, whole(1, 65535), "Port of PostgreSQL."] = 5432
    database: Annotated[str, TEXT, "Name of the database."] = "qalipsis"
    schema: Annotated[str, TEXT, "Schema that holds the tables."] = "qalipsis"
    username: Annotated[str | None, TEXT, "User of the database."] = None
    password: Annotated[Secret | None, SECRET, "Password of that user."] = None
    pool: DatasourcePool = DatasourcePool()


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    heartbeat_delay: Annotated[float, DURATION, "Time between two heartbeats of a factory."] = 1.0
    lease: Annotated[float, DURATION, "Time a factory may go on without renewing its lease."] = 15.0
    claim_lease: Annotated[float, DURATION, "Time a head owns a campaign without renewing its claim."] = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    timeout: Annotated[
        float, DURATION, "Longest wait of a factory for a head, and of `head --autostart` for its factories."
    ] = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GracefulShutdown:
    minion: Annotated[
        float, DURATION, "Time that interrupted minions get to clean up when a campaign is closed."
    ] = 2.0
    scenario: Annotated[
        float, DURATION, "Time that each scenario then gets to close its sources and steps."
    ] = 10.0
    campaign: Annotated[
        float, DURATION, "Time that running passes get to end after a soft stop, before they are interrupted."
    ] = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Factory:
    node_id: Annotated[
        str | None,
        TEXT,
        "Name of this factory, no other has it; unset: the one in `metadata-path`, or of the machine.",
    ] = None
    zone: Annotated[str | None, TEXT, "Key of the zone this factory belongs to."] = None
    tags: Annotated[
        Mapping[str, str], table_of(TEXT), "Tags that the REST API shows with this factory, one key each."
    ] = field(default_factory=dict)
    tenant: Annotated[
        str | None, TEXT, "Tenant that this factory tells the heads; they do not keep tenants apart yet."
    ] = None
    workers: Annotated[
        int | None,
        WORKERS,
        "Worker processes; `auto`: the usable cores, one less standalone, at least 1. 0 runs minions in the "
        "parent process, for a debugger.",
    ] = None
    campaigns: Annotated[
        int,
        whole(1),
        "Campaigns this factory works for at once, with `factory.workers` for each; `qalipsis run` has one.",
    ] = 1
    metadata_path: Annotated[
        str | None,
        TEXT,
        "Folder where the factory keeps its name: made once, and used again after each restart.",
    ] = None
    handshake: Handshake = Handshake()
    graceful_shutdown: GracefulShutdown = GracefulShutdown()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLimits:
    min_minions_count: Annotated[int | None, whole(0), "Fewest minions of a stage; unset: no limit."] = None
    max_minions_count: Annotated[int | None, whole(0), "Most minions of a stage; unset: no limit."] = None
    min_resolution: Annotated[float | None, DURATION, "Finest steps of a ramp; unset: no limit."] = None
    max_resolution: Annotated[float | None, DURATION, "Coarsest steps of a ramp; unset: no limit."] = None
    min_duration: Annotated[float | None, DURATION, "Shortest total of a stage; unset: no limit."] = None
    max_duration: Annotated[float | None, DURATION, "Longest total of a stage; unset: no limit."] = None
    min_start_duration: Annotated[float | None, DURATION, "Shortest ramp of a stage; unset: no limit."] = None
    max_start_duration: Annotated[float | None, DURATION, "Longest ramp of a stage; unset: no limit."] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignValidation:
    max_minions_count: Annotated[int, whole(1), "Most minions of a campaign."] = 1_000_000
    max_execution_duration: Annotated[float, DURATION, "Longest planned duration of a campaign."] = 3600.0
    max_scenarios_count: Annotated[int, whole(1), "Most scenarios of a campaign."] = 20
    stage: StageLimits = StageLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignConfiguration:
    validation: CampaignValidation = CampaignValidation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    name: Annotated[str | None, TEXT, "Name of the campaign; unset: one is made from its scenarios."] = None
    required_factories: Annotated[
        int, whole(1), "Factories that a head waits for before a campaign starts, at least."
    ] = 1
    minions_count_per_scenario: Annotated[
        int | None, whole(1), "Minions of each scenario, instead of what the scenario says."
    ] = None
    minions_factor: Annotated[
        float, number(0, 1_000_000), "Factor on the minions of each scenario that does not fix them itself."
    ] = 1.0
    speed_factor: Annotated[float, number(0, 999), "How much faster than written profiles run."] = 1.0
    start_offset: Annotated[float, DURATION, "Time between the start order and the first minion."] = 0.5
    on_factory_loss: Annotated[
        str,
        one_of("redistribute", "continue", "abort"),
        "What happens to the minions of a lost factory.",
    ] = "redistribute"
    accept_redistribution: Annotated[
        bool, SWITCH, "Keep the verdict VALID when every minion of a lost factory was restarted and ended."
    ] = False
    seed: Annotated[int | None, whole(0, 2**63 - 1), "Seed of everything random; unset: a new one."] = None
    configuration: CampaignConfiguration = CampaignConfiguration()


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    enabled: Annotated[bool, SWITCH, "Print the result of the campaign at its end."] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConsole:
    enabled: Annotated[
        bool | None, SWITCH, "Show the running campaign; unset: a live view in a terminal, else plain lines."
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileExport:
    enabled: Annotated[bool, SWITCH, "Write this form of the report."] = True
    folder: Annotated[str | None, TEXT, "Folder for it; unset: `reports/<campaign key>`."] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportExport:
    console: Console = Console()
    console_live: LiveConsole = LiveConsole()
    junit: FileExport = FileExport()
    html: FileExport = FileExport()
    json: FileExport = FileExport()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    export: ReportExport = ReportExport()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsExport:
    enabled: Annotated[bool, SWITCH, "Write events to the log `qalipsis.events`."] = False
    targets: Annotated[
        Mapping[str, str | Secret],
        rest_of(TEXT),
        "Settings of targets, of which there are none yet.",
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    root: Annotated[str, one_of(*LEVELS), "Least level of the events that are kept."] = "DEBUG"
    level: Annotated[
        Mapping[str, str],
        table_of(one_of(*LEVELS)),
        "Least level of the events whose names start with this prefix; the longest prefix wins.",
    ] = field(default_factory=dict)
    export: EventsExport = EventsExport()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetersExport:
    enabled: Annotated[bool, SWITCH, "Send meters to targets, of which there are none yet."] = False
    campaign_step: Annotated[float, DURATION, "Time between two snapshots sent to targets."] = 1.0
    targets: Annotated[
        Mapping[str, str | Secret], rest_of(TEXT), "Settings of targets, of which there are none yet."
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meters:
    export: MetersExport = MetersExport()


@dataclass(frozen=True, slots=True, kw_only=True)
class Logging:
    level: Annotated[
        str | None,
        one_of("DEBUG", "INFO", "WARN", "ERROR", "OFF"),
        "Least level logged; unset: `INFO` of a head and a factory, else `WARN`.",
    ] = None
    format: Annotated[
        str,
        one_of("auto", "text", "json"),
        "`auto`: text for people in a terminal, one JSON object per line otherwise.",
    ] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, decoded and checked. Durations are seconds; secrets are `Secret`."""

    server: Server = Server()
    redis: Redis = Redis()
    streaming: Streaming = Streaming()
    datasource: Datasource = Datasource()
    head: Head = Head()
    factory: Factory = field(default_factory=Factory)
    campaign: Campaign = Campaign()
    report: ReportSettings = ReportSettings()
    events: Events = field(default_factory=Events)
    meters: Meters = field(default_factory=Meters)
    logging: Logging = Logging()


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the settings; for a table, the key that its own keys stand below."""

    path: tuple[str, ...]
    key: str
    form: Form
    default: Any
    meaning: str


_STAGE = "campaign.configuration.validation.stage"
IN_ORDER = (
    ("datasource.pool.min", "datasource.pool.max"),
    ("redis.pool.min-idle", "redis.pool.max-idle"),
    ("redis.pool.max-idle", "redis.pool.max-total"),
    *(
        (
            f"campaign.configuration.validation.stage.min-{name}",
            f"campaign.configuration.validation.stage.max-{name}",
        )
        for name in ("minions-count", "resolution", "duration", "start-duration")
    ),
)
"""Settings of which the first must not be greater than the second."""

AT_MOST_TOGETHER = (
    (
        ("factory.graceful-shutdown.minion", "factory.graceful-shutdown.scenario"),
        15.0,
        "a head waits 20 s for the accounts of a factory",
    ),
)
"""Settings whose sum has a limit, and why."""


@cache
def every_setting() -> tuple[Setting, ...]:
    """All settings, in the order of the documentation."""
    return tuple(_settings_of(Settings, ()))


def build(values: Mapping[tuple[str, ...], Any]) -> Settings:
    """The settings with these values, by path; everything else keeps its default."""
    built: Settings = _build(Settings, (), values)
    return built


def _settings_of(group: type, path: tuple[str, ...]) -> Iterator[Setting]:
    hints = get_type_hints(group, include_extras=True)
    for item in fields(group):
        here = (*path, item.name)
        if is_dataclass(hints[item.name]):
            yield from _settings_of(hints[item.name], here)
            continue
        form, meaning = hints[item.name].__metadata__
        default = item.default if item.default_factory is MISSING else item.default_factory()
        key = ".".join(path if form.is_rest else here).replace("_", "-")
        yield Setting(here, key, form, default, meaning)


def _build(group: Any, path: tuple[str, ...], values: Mapping[tuple[str, ...], Any]) -> Any:
    hints = get_type_hints(group, include_extras=True)
    arguments: dict[str, Any] = {}
    for item in fields(group):
        here = (*path, item.name)
        if is_dataclass(hints[item.name]):
            arguments[item.name] = _build(hints[item.name], here, values)
        elif here in values:
            arguments[item.name] = values[here]
    return group(**arguments)
