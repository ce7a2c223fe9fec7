"""The seconds of a campaign, as rows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Executable, select
from sqlalchemy.ext.asyncio import AsyncConnection

from qalipsis.head.database.schema import CAMPAIGN, CAMPAIGN_SECOND
from qalipsis.head.database.sql import Insert, prepared
from qalipsis.reports.model import Second

_COLUMNS = [CAMPAIGN_SECOND.c[name] for name in Second.__struct_fields__]


async def save(connection: AsyncConnection, campaign: int, seconds: Sequence[Second]) -> None:
    """A second that is there already stays as it is."""
    if not seconds:
        return
    rows = [{"campaign_id": campaign, **msgspec.structs.asdict(second)} for second in seconds]
    await connection.execute(_adding(connection), rows)


@prepared
def _adding(insert: Insert) -> Executable:
    return insert(CAMPAIGN_SECOND).on_conflict_do_nothing(index_elements=["campaign_id", "t_s"])


async def read(connection: AsyncConnection, campaign: str) -> tuple[Second, ...]:
    rows = await connection.execute(
        select(*_COLUMNS)
        .join(CAMPAIGN, CAMPAIGN.c.id == CAMPAIGN_SECOND.c.campaign_id)
        .where(CAMPAIGN.c.key == campaign)
        .order_by(CAMPAIGN_SECOND.c.t_s)
    )
    return tuple(Second(**row._mapping) for row in rows)
