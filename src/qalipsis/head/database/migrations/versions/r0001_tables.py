"""The first tables.

A copy of what `schema.py` said then: a revision never changes, whatever the schema becomes.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
)

revision = "0001"
down_revision = None

ID = BigInteger().with_variant(Integer(), "sqlite")
INSTANT = DateTime(timezone=True)
METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "uq": "%(table_name)s_%(column_0_N_name)s_uq",
        "ix": "%(table_name)s_%(column_0_N_name)s_ix",
    }
)


def _table(name: str, *parts: Column[Any] | UniqueConstraint | Index, changes: bool = True) -> None:
    sequence = Sequence(f"{name}_seq", metadata=METADATA)
    id = Column("id", ID, sequence, primary_key=True)
    version = [_moment("version")] if changes else []
    Table(name, METADATA, id, *version, *parts, sqlite_autoincrement=True)


def _moment(name: str) -> Column[Any]:
    return Column(name, INSTANT, nullable=False)


def _words(name: str, *, unique: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=False, unique=unique)


def _whole(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False)


def _number(name: str) -> Column[Any]:
    return Column(name, Double, nullable=False)


def _switch(name: str) -> Column[Any]:
    return Column(name, Boolean, nullable=False)


def _json(name: str) -> Column[Any]:
    return Column(name, JSON, nullable=False)


def _optional(name: str, type: Any = Text) -> Column[Any]:
    return Column(name, type, nullable=True)


def _of(table: str, *, optional: bool = False, unique: bool = False, index: bool = False) -> Column[Any]:
    """What belongs to a row goes with it; `index` where no constraint begins with this column."""
    key = ForeignKey(f"{table}.id", ondelete=None if optional else "CASCADE")
    return Column(f"{table}_id", ID, key, nullable=optional, unique=unique, index=index)


# Who uses it

_table("tenant", _moment("creation"), _words("reference", unique=True), _words("display_name"))
_table(
    "user",
    _moment("creation"),
    _of("tenant", optional=True),
    _words("username", unique=True),
    _words("display_name"),
)
_table(
    "api_key",
    _moment("creation"),
    _words("reference", unique=True),  # the part of the key that is no secret
    _words("name"),
    _words("hash"),
    _words("role"),
    _optional("revoked_at", INSTANT),
)

# Where load comes from

_table(
    "zone",
    _moment("creation"),
    Column("key", String(50), nullable=False, unique=True),
    _words("title"),
    _optional("description"),
    _optional("image_path"),
    _switch("enabled"),
)
_table("zone_tenant", _of("zone"), _of("tenant"), UniqueConstraint("zone_id", "tenant_id"))
_table(
    "factory",
    _moment("creation"),
    _of("tenant", optional=True),
    _words("node_id", unique=True),
    _optional("zone"),
    _whole("workers"),
    _words("qalipsis_version"),
)
_table("factory_tag", _of("factory"), _words("key"), _words("value"), UniqueConstraint("factory_id", "key"))
_table("factory_state", _of("factory", index=True), _moment("at"), _words("state"), changes=False)

# What factories can run

_table(
    "scenario",
    _of("factory"),
    _words("name"),
    _optional("description"),
    _words("digest"),  # of its source files and packages
    _optional("built_at", INSTANT),
    _whole("minions_count"),
    _json("execution_profile"),
    UniqueConstraint("factory_id", "name"),
)
_table(
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

_table(
    "campaign",
    _moment("creation"),
    _of("tenant", optional=True),
    _words("key", unique=True),
    _words("name"),
    _number("speed_factor"),
    _json("configuration"),
    _optional("configurer"),
    _optional("aborter"),
    _optional("scheduled_at", INSTANT),
    _words("state"),
    _words("status"),
    _optional("start", INSTANT),
    _optional("end", INSTANT),
    _optional("failure_reason"),
    # Which head drives it
    _whole("epoch"),
    _optional("owner"),
    _optional("lease_until", INSTANT),
    _optional("last_commit"),
    Index(None, "state", "lease_until"),
)
_table(
    "campaign_scenario",
    _of("campaign", index=True),
    _words("name"),
    _whole("minions_count"),
    _json("zones"),
)
_table(
    "campaign_factory",
    _of("campaign", index=True),
    _words("node_id"),
    _optional("zone"),
    _whole("workers"),
    _words("state"),
)
_table(
    "campaign_second",
    _of("campaign"),
    *(_number(name) for name in ("t_s", "offered_per_s", "achieved_per_s", "errors_per_s")),
    _whole("minions"),
    *(_number(name) for name in ("p50_ms", "p95_ms", "p99_ms")),
    UniqueConstraint("campaign_id", "t_s"),
    changes=False,
)
_table("campaign_checkpoint", _of("campaign", unique=True), Column("content", LargeBinary, nullable=False))
_table(
    "inbox",
    _of("campaign"),
    _words("source"),
    _whole("incarnation"),
    _whole("sequence"),
    UniqueConstraint("campaign_id", "source", "incarnation"),
    changes=False,
)
_table(
    "outbox",
    _of("campaign", index=True),
    _words("topic"),
    Column("body", LargeBinary, nullable=False),
    changes=False,
)
_table(
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
    UniqueConstraint("campaign_id", "at", "series"),
    changes=False,
)

# What came of them

_table(
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
_table(
    "scenario_report",
    _of("campaign_report", index=True),
    _words("name"),
    _words("status"),
    *(_whole(name) for name in ("started_minions", "completed_minions")),
    *(_whole(name) for name in ("successful_executions", "failed_executions")),
)
_table(
    "scenario_report_message",
    _of("scenario_report", index=True),
    _words("step_name"),
    _words("severity"),
    _words("message"),
)
_table(
    "step_report",
    _of("scenario_report", index=True),
    _words("name"),
    _words("type"),
    *(_whole(name) for name in ("total_executions", "successful_executions", "failed_executions")),
    *(_number(name) for name in ("mean_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms")),
)

# What users look at

_table(
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
_table(
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
_table(
    "data_component",
    _of("report"),
    _whole("position"),
    _words("type"),
    _json("data_series"),  # their references
    UniqueConstraint("report_id", "position"),
)
_table(
    "report_task",
    _moment("creation"),
    _of("report", index=True),
    _words("reference", unique=True),
    _words("creator"),
    _words("status"),
    _optional("failure_reason"),
)
_table(
    "report_file",
    _moment("creation"),
    _of("report_task", unique=True),
    _words("name"),
    Column("content", LargeBinary, nullable=False),
)


def upgrade() -> None:
    METADATA.create_all(op.get_bind(), checkfirst=False)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose what was measured since")
