"""The tables. What is here is what the migrations make, and a test compares both.

Each has a surrogate `id`, counted in PostgreSQL by the sequence `<table>_seq`, and a `version`, the moment of
its last change, by which a stale writer is known; only rows that are many and never change have none. What
people or their services write has room for as much as they like.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    String,
    Table,
    UniqueConstraint,
    false,
)

from qalipsis.head.database.sql import BigId, Instant, Json, Words

METADATA: Final = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "uq": "%(table_name)s_%(column_0_N_name)s_uq",
        "ix": "%(table_name)s_%(column_0_N_name)s_ix",
    }
)


def _table(name: str, *parts: Column[Any] | UniqueConstraint | Index, changes: bool = True) -> Table:
    sequence = Sequence(f"{name}_seq", metadata=METADATA)
    id = Column("id", BigId, sequence, primary_key=True)
    version = [_moment("version")] if changes else []
    # Without autoincrement, SQLite gives the id of a deleted row to the next one.
    return Table(name, METADATA, id, *version, *parts, sqlite_autoincrement=True)


def _moment(name: str) -> Column[Any]:
    return Column(name, Instant, nullable=False)


def _words(name: str, *, unique: bool = False) -> Column[Any]:
    return Column(name, Words, nullable=False, unique=unique)


def _whole(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False)


def _number(name: str) -> Column[Any]:
    return Column(name, Double, nullable=False)


def _switch(name: str) -> Column[Any]:
    return Column(name, Boolean, nullable=False)


def _json(name: str) -> Column[Any]:
    return Column(name, Json, nullable=False)


def _optional(name: str, type: Any = Words) -> Column[Any]:
    return Column(name, type, nullable=True)


def _of(table: str, *, optional: bool = False, unique: bool = False, index: bool = False) -> Column[Any]:
    """What belongs to a row goes with it; `index` where no constraint begins with this column."""
    key = ForeignKey(f"{table}.id", ondelete=None if optional else "CASCADE")
    return Column(f"{table}_id", BigId, key, nullable=optional, unique=unique, index=index)


# Who uses it

TENANT = _table("tenant", _moment("creation"), _words("reference", unique=True), _words("display_name"))
USER = _table(
    "user",
    _moment("creation"),
    _of("tenant", optional=True),
    _words("username", unique=True),
    _words("display_name"),
)
API_KEY = _table(
    "api_key",
    _moment("creation"),
    _words("reference", unique=True),  # the part of the key that is no secret
    _words("name"),
    _words("hash"),
    _words("role"),
    _optional("revoked_at", Instant),
)

# Where load comes from

ZONE = _table(
    "zone",
    _moment("creation"),
    Column("key", String(50), nullable=False, unique=True),
    _words("title"),
    _optional("description"),
    _optional("image_path"),
    _switch("enabled"),
)
ZONE_TENANT = _table("zone_tenant", _of("zone"), _of("tenant"), UniqueConstraint("zone_id", "tenant_id"))
FACTORY = _table(
    "factory",
    _moment("creation"),
    _of("tenant", optional=True),
    _words("node_id", unique=True),
    _optional("zone"),
    _whole("workers"),
    _words("qalipsis_version"),
    _optional("incarnation", BigInteger),
    _optional("handshake", LargeBinary),
    _optional("heard_at", Instant),
    _optional("heartbeat", LargeBinary),
    _optional("campaigns", BigInteger),  # how many it works for at once
)
FACTORY_RESERVATION = _table(
    "factory_reservation",
    _of("factory"),
    _words("campaign"),  # its key
    UniqueConstraint("factory_id", "campaign"),
    changes=False,
)
FACTORY_TAG = _table(
    "factory_tag", _of("factory"), _words("key"), _words("value"), UniqueConstraint("factory_id", "key")
)
FACTORY_STATE = _table(
    "factory_state", _of("factory", index=True), _moment("at"), _words("state"), changes=False
)

# What factories can run

SCENARIO = _table(
    "scenario",
    _of("factory"),
    _words("name"),
    _optional("description"),
    _words("digest"),  # of its source files and packages
    _optional("built_at", Instant),
    _whole("minions_count"),
    _json("execution_profile"),
    UniqueConstraint("factory_id", "name"),
)
DIRECTED_ACYCLIC_GRAPH = _table(
    "directed_acyclic_graph",
    _of("scenario"),
    _words("name"),
    _switch("is_singleton"),
    _switch("is_root"),
    _switch("is_under_load"),
    _whole("number_of_steps"),
    _json("tags"),
    UniqueConstraint("scenario_id", "name"),
)

# Campaigns

CAMPAIGN = _table(
    "campaign",
    _moment("creation"),
    _of("tenant", optional=True),
    _words("key", unique=True),
    _words("name"),
    _number("speed_factor"),
    _json("configuration"),
    _optional("configurer"),
    _optional("aborter"),
    _optional("scheduled_at", Instant),
    _words("state"),
    _words("status"),
    _optional("start", Instant),
    _optional("end", Instant),
    _optional("failure_reason"),
    # Which head drives it
    _whole("epoch"),
    _optional("owner"),
    _optional("lease_until", Instant),
    _optional("last_commit"),
    Index(None, "state", "lease_until"),
)
CAMPAIGN_SCENARIO = _table(
    "campaign_scenario",
    _of("campaign", index=True),
    _words("name"),
    _whole("minions_count"),
    _json("zones"),
)
CAMPAIGN_FACTORY = _table(
    "campaign_factory",
    _of("campaign", index=True),
    _words("node_id"),
    _optional("zone"),
    _whole("workers"),
    _words("state"),
)
CAMPAIGN_SECOND = _table(
    "campaign_second",
    _of("campaign"),
    *(_number(name) for name in ("t_s", "offered_per_s", "achieved_per_s", "errors_per_s")),
    _whole("minions"),
    *(_number(name) for name in ("p50_ms", "p95_ms", "p99_ms")),
    UniqueConstraint("campaign_id", "t_s"),
    changes=False,
)
CAMPAIGN_CHECKPOINT = _table(
    "campaign_checkpoint", _of("campaign", unique=True), Column("content", LargeBinary, nullable=False)
)
INBOX = _table(
    "inbox",
    _of("campaign"),
    _words("source"),
    _whole("incarnation"),
    _whole("sequence"),
    UniqueConstraint("campaign_id", "source", "incarnation"),
    changes=False,
)
OUTBOX = _table(
    "outbox",
    _of("campaign", index=True),
    _words("topic"),
    Column("body", LargeBinary, nullable=False),
    changes=False,
)
CAMPAIGN_METERS = _table(
    "campaign_meters",
    _of("campaign"),
    _words("scenario"),
    _words("name"),
    _json("tags"),
    _words("series"),  # a digest of scenario, name and tags, which may be too long for an index
    _moment("at"),
    _words("type"),
    _optional("count", BigInteger),
    *(_optional(name, Double) for name in ("value", "sum", "mean", "max")),
    _json("other"),
    Column("zone", Words, nullable=False, server_default=""),
    Column("is_part", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("campaign_id", "at", "series", "zone"),
    changes=False,
)

# What one head does for all of them

HEAD_ROLE = _table("head_role", _words("name", unique=True), _words("owner"), _moment("lease_until"))

# What came of them

CAMPAIGN_REPORT = _table(
    "campaign_report",
    _moment("creation"),
    _of("campaign", unique=True),
    _words("status"),
    _words("verdict"),
    _json("reasons"),
    *(_whole(name) for name in ("started_minions", "completed_minions")),
    *(_whole(name) for name in ("successful_executions", "failed_executions")),
    _words("content"),  # the whole of it, as report.json
)
SCENARIO_REPORT = _table(
    "scenario_report",
    _of("campaign_report", index=True),
    _words("name"),
    _words("status"),
    *(_whole(name) for name in ("started_minions", "completed_minions")),
    *(_whole(name) for name in ("successful_executions", "failed_executions")),
)
SCENARIO_REPORT_MESSAGE = _table(
    "scenario_report_message",
    _of("scenario_report", index=True),
    _words("step_name"),
    _words("severity"),
    _words("message"),
)
STEP_REPORT = _table(
    "step_report",
    _of("scenario_report", index=True),
    _words("name"),
    _words("type"),
    *(_whole(name) for name in ("total_executions", "successful_executions", "failed_executions")),
    *(_number(name) for name in ("mean_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms")),
)

# What users look at

DATA_SERIES = _table(
    "data_series",
    _moment("creation"),
    _of("tenant", optional=True),
    _words("reference", unique=True),
    _words("creator"),
    _words("display_name"),
    _words("sharing_mode"),
    _words("data_type"),
    _words("value_name"),
    _json("filters"),
    *(_optional(name) for name in ("color", "field_name", "aggregation_operation")),
    *(_optional(name) for name in ("timeframe_unit", "display_format")),
    _optional("color_opacity", Integer),
)
REPORT = _table(
    "report",
    _moment("creation"),
    _of("tenant", optional=True),
    _words("reference", unique=True),
    _words("creator"),
    _words("display_name"),
    _optional("description"),
    _words("sharing_mode"),
    *(_json(name) for name in ("campaign_keys", "campaign_names_patterns", "scenario_names_patterns")),
)
DATA_COMPONENT = _table(
    "data_component",
    _of("report"),
    _whole("position"),
    _words("type"),
    _json("data_series"),  # their references
    UniqueConstraint("report_id", "position"),
)
REPORT_TASK = _table(
    "report_task",
    _moment("creation"),
    _of("report", index=True),
    _words("reference", unique=True),
    _words("creator"),
    _words("status"),
    _optional("failure_reason"),
)
REPORT_FILE = _table(
    "report_file",
    _moment("creation"),
    _of("report_task", unique=True),
    _words("name"),
    Column("content", LargeBinary, nullable=False),
)
