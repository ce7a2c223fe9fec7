"""What heads tell each other of the factories, and which of them receives these."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    Sequence,
    Text,
    UniqueConstraint,
)
from sqlalchemy.schema import CreateSequence

revision = "0002"
down_revision = "0001"

BIG = BigInteger().with_variant(Integer(), "sqlite")
INSTANT = DateTime(timezone=True)


def upgrade() -> None:
    for name, type in (
        ("incarnation", BigInteger()),
        ("handshake", LargeBinary()),
        ("heard_at", INSTANT),
        ("heartbeat", LargeBinary()),
        ("campaigns", BigInteger()),
    ):
        op.add_column("factory", Column(name, type, nullable=True))
    op.create_table(
        "head_role",
        _id("head_role"),
        Column("version", INSTANT, nullable=False),
        Column("name", Text, nullable=False),
        Column("owner", Text, nullable=False),
        Column("lease_until", INSTANT, nullable=False),
        UniqueConstraint("name", name="head_role_name_uq"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "factory_reservation",
        _id("factory_reservation"),
        Column("factory_id", BIG, nullable=False),
        Column("campaign", Text, nullable=False),
        ForeignKeyConstraint(
            ["factory_id"], ["factory.id"], name="factory_reservation_factory_id_fk", ondelete="CASCADE"
        ),
        UniqueConstraint("factory_id", "campaign", name="factory_reservation_factory_id_campaign_uq"),
        sqlite_autoincrement=True,
    )


def _id(table: str) -> Column[int]:
    counter = Sequence(f"{table}_seq")
    if op.get_bind().dialect.supports_sequences:
        op.execute(CreateSequence(counter))
    return Column("id", BIG, counter, primary_key=True)
