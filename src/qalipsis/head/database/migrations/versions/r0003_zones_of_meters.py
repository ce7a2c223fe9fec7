"""Meters of single zones beside those of the whole fleet; all that are there are the fleet's."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Text, false

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # SQLite changes no constraint: there the table is written anew.
    with op.batch_alter_table("campaign_meters", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.add_column(Column("zone", Text, nullable=False, server_default=""))
        table.add_column(Column("is_part", Boolean, nullable=False, server_default=false()))
        table.drop_constraint("campaign_meters_campaign_id_at_series_uq", type_="unique")
        table.create_unique_constraint(
            "campaign_meters_campaign_id_at_series_zone_uq", ["campaign_id", "at", "series", "zone"]
        )
