"""What heads tell each other of the factories, and which of them receives these."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, Integer, LargeBinary, Sequence, Text, UniqueConstraint
from sqlalchemy.schema import CreateSequence

revision = "0002"
down_revision = "0001"

ID = BigInteger().with_variant(Integer(), "sqlite")
INSTANT = DateTime(timezone=True)


def upgrade() -> None:
    for name, type in (
        ("incarnation", BigInteger()),
        ("handshake", LargeBinary()),
        ("heard_at", INSTANT),
        ("heartbeat", LargeBinary()),
        ("campaign", Text()),
    ):
        op.add_column("factory", Column(name, type, nullable=True))
    counter = Sequence("head_role_seq")
    if op.get_bind().dialect.supports_sequences:
        op.execute(CreateSequence(counter))
    op.create_table(
        "head_role",
        Column("id", ID, counter, primary_key=True),
        Column("version", INSTANT, nullable=False),
        Column("name", Text, nullable=False),
        Column("owner", Text, nullable=False),
        Column("lease_until", INSTANT, nullable=False),
        UniqueConstraint("name", name="head_role_name_uq"),
        sqlite_autoincrement=True,
    )
