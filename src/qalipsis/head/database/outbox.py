"""Messages that were decided together with a step of a campaign, until a relay has sent them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from qalipsis.head.campaign import TERMINAL
from qalipsis.head.database.schema import CAMPAIGN, OUTBOX
from qalipsis.head.database.sql import from_now
from qalipsis.head.ownership import Outgoing


async def waiting(connection: AsyncConnection, campaign: str, limit: int) -> tuple[Outgoing, ...]:
    # Their ids are in order: whoever commits a step holds the campaign's row meanwhile.
    rows = await connection.execute(
        select(OUTBOX).join(CAMPAIGN).where(CAMPAIGN.c.key == campaign).order_by(OUTBOX.c.id).limit(limit)
    )
    return tuple(Outgoing(row.id, row.topic, row.body) for row in rows)


async def forget_ownerless(connection: AsyncConnection) -> None:
    """Those of campaigns that are over: who was to send them has died after the last commit."""
    is_over = CAMPAIGN.c.state.in_([str(state) for state in TERMINAL])
    has_ended = or_(CAMPAIGN.c.lease_until.is_(None), CAMPAIGN.c.lease_until <= from_now())
    ownerless = select(CAMPAIGN.c.id).where(is_over, has_ended)
    await connection.execute(delete(OUTBOX).where(OUTBOX.c.campaign_id.in_(ownerless)))


async def forget(connection: AsyncConnection, ids: Sequence[int]) -> None:
    if ids:
        await connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(ids)))
