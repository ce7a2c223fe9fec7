"""The table of factories, and which head receives them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Row, and_, delete, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from qalipsis.cluster.messages import Handshake
from qalipsis.head.campaign import TERMINAL
from qalipsis.head.database.schema import CAMPAIGN, FACTORY, HEAD_ROLE
from qalipsis.head.database.sql import from_now, insert
from qalipsis.head.directory import FORGOTTEN_SECONDS, Beat, FactoryRecord

_ROW = FACTORY.c
_RECEPTION: Final = "reception"


async def register(connection: AsyncConnection, handshake: Handshake, incarnation: int) -> None:
    values = {
        "version": from_now(),
        "creation": from_now(),
        "zone": handshake.zone,
        "workers": handshake.workers,
        "qalipsis_version": handshake.version,
        "incarnation": incarnation,
        "handshake": msgspec.msgpack.encode(handshake),
        "heard_at": from_now(),
        "heartbeat": None,
        "campaign": None,
    }
    await connection.execute(
        insert(connection, FACTORY)
        .values(node_id=handshake.node, **values)
        .on_conflict_do_update(index_elements=["node_id"], set_=values)
    )


async def hear(connection: AsyncConnection, beats: Sequence[Beat]) -> frozenset[tuple[str, int]]:
    unknown = set()
    # In one order, so that two heads that write at once never wait for each other.
    for beat in sorted(beats, key=lambda beat: beat.node):
        heard = await connection.execute(
            update(FACTORY)
            .where(_ROW.node_id == beat.node, _ROW.incarnation == beat.incarnation)
            .values(heard_at=from_now(), heartbeat=msgspec.msgpack.encode(beat))
        )
        if heard.rowcount == 0:
            unknown.add((beat.node, beat.incarnation))
    return frozenset(unknown)


async def leave(connection: AsyncConnection, node: str, incarnation: int) -> None:
    await connection.execute(delete(FACTORY).where(_ROW.node_id == node, _ROW.incarnation == incarnation))


async def read(connection: AsyncConnection) -> tuple[FactoryRecord, ...]:
    rows = await connection.execute(
        select(
            _ROW.node_id,
            _ROW.incarnation,
            _ROW.handshake,
            _ROW.heartbeat,
            _ROW.creation,
            _ROW.heard_at,
            from_now().label("now"),
            CAMPAIGN.c.key.label("campaign"),
        )
        .outerjoin(CAMPAIGN, and_(CAMPAIGN.c.key == _ROW.campaign, _is_running()))
        .where(_ROW.heard_at > from_now(-FORGOTTEN_SECONDS))
        .order_by(_ROW.node_id)
    )
    return tuple(map(_record, rows))


def _record(row: Row[Any]) -> FactoryRecord:
    beat = _beat(row.heartbeat)
    return FactoryRecord(
        node=row.node_id,
        incarnation=row.incarnation,
        handshake=msgspec.msgpack.decode(row.handshake, type=Handshake),
        arrived_at=row.creation,
        heard_at=row.heard_at,
        silence_s=max(0.0, (row.now - row.heard_at).total_seconds()),
        heartbeat=beat.heartbeat if beat else None,
        clock_offset_s=beat.clock_offset_s if beat else 0.0,
        campaign=row.campaign,
    )


def _beat(kept: bytes | None) -> Beat | None:
    with suppress(msgspec.MsgspecError):  # a head of another version wrote it
        return msgspec.msgpack.decode(kept, type=Beat) if kept else None
    return None


async def reserve(connection: AsyncConnection, campaign: str, factories: Collection[tuple[str, int]]) -> bool:
    wanted = [tuple_(_ROW.node_id, _ROW.incarnation).in_(sorted(factories))]
    # Locked in one order first: two campaigns that want the same factories must not wait for each other.
    found = await connection.execute(
        select(_ROW.id).where(*wanted, _is_for(campaign)).order_by(_ROW.node_id).with_for_update(of=FACTORY)
    )
    ids = [row.id for row in found]
    if len(ids) < len(factories):
        return False
    # Read again behind the lock: what waited for it may have been reserved meanwhile.
    reserved = await connection.execute(
        update(FACTORY).where(_ROW.id.in_(ids), _is_for(campaign)).values(campaign=campaign)
    )
    if reserved.rowcount < len(ids):
        await release(connection, campaign)
        return False
    return True


async def release(connection: AsyncConnection, campaign: str) -> None:
    await connection.execute(update(FACTORY).where(_ROW.campaign == campaign).values(campaign=None))


async def hold_reception(connection: AsyncConnection, head: str, lease_seconds: float) -> bool:
    row = {"owner": head, "lease_until": from_now(lease_seconds), "version": from_now()}
    held = await connection.scalar(
        insert(connection, HEAD_ROLE)
        .values(name=_RECEPTION, **row)
        .on_conflict_do_update(
            index_elements=["name"],
            set_=row,
            where=or_(HEAD_ROLE.c.owner == head, HEAD_ROLE.c.lease_until <= from_now()),
        )
        .returning(HEAD_ROLE.c.id)
    )
    return held is not None


def _is_for(campaign: str) -> ColumnElement[bool]:
    """Whether a factory is reserved for this campaign or for none that is not over."""
    others = select(CAMPAIGN.c.id).where(CAMPAIGN.c.key == _ROW.campaign, _is_running()).exists()
    return or_(_ROW.campaign.is_(None), _ROW.campaign == campaign, ~others)


def _is_running() -> ColumnElement[bool]:
    return CAMPAIGN.c.state.not_in([str(state) for state in TERMINAL])
