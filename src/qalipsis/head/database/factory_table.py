"""The table of factories, and which head receives them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from sqlalchemy import Executable, Float, Row, Select, bindparam, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from qalipsis.cluster.messages import Handshake
from qalipsis.head.campaign import TERMINAL
from qalipsis.head.database.schema import CAMPAIGN, FACTORY, FACTORY_RESERVATION, HEAD_ROLE
from qalipsis.head.database.sql import Insert, from_now, insert, prepared
from qalipsis.head.directory import FORGOTTEN_SECONDS, Beat, FactoryRecord

_ROW = FACTORY.c
_RESERVATION = FACTORY_RESERVATION.c
ABANDONED_SECONDS: Final = 60.0
"""Since the lease of a campaign's head has ended: nobody drives it, so it keeps no factory."""

_RECEPTION: Final = "reception"
_HEAR = (
    update(FACTORY)
    .where(_ROW.node_id == bindparam("node"), _ROW.incarnation == bindparam("of_incarnation"))
    .values(heard_at=from_now(), heartbeat=bindparam("beat"))
)


async def register(connection: AsyncConnection, handshake: Handshake, incarnation: int) -> None:
    known = await connection.scalar(select(_ROW.incarnation).where(_ROW.node_id == handshake.node))
    is_another = known != incarnation
    values = {
        "version": from_now(),
        "creation": from_now(),
        "zone": handshake.zone,
        "workers": handshake.workers,
        "qalipsis_version": handshake.version,
        "incarnation": incarnation,
        "handshake": msgspec.msgpack.encode(handshake),
        "heard_at": from_now(),
        "campaigns": handshake.campaigns,
        **({"heartbeat": None} if is_another else {}),
    }
    id = await connection.scalar(
        insert(connection, FACTORY)
        .values(node_id=handshake.node, **values)
        .on_conflict_do_update(index_elements=["node_id"], set_=values)
        .returning(_ROW.id)
    )
    if is_another:
        await connection.execute(delete(FACTORY_RESERVATION).where(_RESERVATION.factory_id == id))
    # Names that come and go, as those of containers, must not pile up.
    await connection.execute(delete(FACTORY).where(_ROW.heard_at < from_now(-FORGOTTEN_SECONDS)))


async def hear(connection: AsyncConnection, beats: Sequence[Beat]) -> frozenset[tuple[str, int]]:
    unknown = set()
    # In one order, so that two heads that write at once never wait for each other.
    for beat in sorted(beats, key=lambda beat: beat.node):
        known = {"node": beat.node, "of_incarnation": beat.incarnation, "beat": msgspec.msgpack.encode(beat)}
        heard = await connection.execute(_HEAR, known)
        if heard.rowcount == 0:
            unknown.add((beat.node, beat.incarnation))
    return frozenset(unknown)


async def leave(connection: AsyncConnection, node: str, incarnation: int) -> None:
    await connection.execute(delete(FACTORY).where(_ROW.node_id == node, _ROW.incarnation == incarnation))


async def read(connection: AsyncConnection) -> tuple[FactoryRecord, ...]:
    campaigns: dict[int, list[str]] = {}
    for id, campaign in await connection.execute(
        _running(_RESERVATION.factory_id, _RESERVATION.campaign).order_by(_RESERVATION.id)
    ):
        campaigns.setdefault(id, []).append(campaign)
    rows = await connection.execute(
        select(
            _ROW.id,
            _ROW.node_id,
            _ROW.incarnation,
            _ROW.handshake,
            _ROW.heartbeat,
            _ROW.creation,
            _ROW.heard_at,
            from_now().label("now"),
        )
        .where(_ROW.heard_at > from_now(-FORGOTTEN_SECONDS))
        .order_by(_ROW.node_id)
    )
    found = (_record(row, campaigns.get(row.id, ())) for row in rows)
    return tuple(each for each in found if each is not None)


def _record(row: Row[Any], campaigns: Sequence[str]) -> FactoryRecord | None:
    try:
        handshake = msgspec.msgpack.decode(row.handshake, type=Handshake)
    except msgspec.MsgspecError:
        return None  # a head of another version wrote it: unknown here until it says again who it is
    beat = _beat(row.heartbeat)
    return FactoryRecord(
        node=row.node_id,
        incarnation=row.incarnation,
        handshake=handshake,
        arrived_at=row.creation,
        heard_at=row.heard_at,
        silence_s=max(0.0, (row.now - row.heard_at).total_seconds()),
        heartbeat=beat.heartbeat if beat else None,
        clock_offset_s=beat.clock_offset_s if beat else 0.0,
        campaigns=tuple(campaigns),
    )


def _beat(kept: bytes | None) -> Beat | None:
    with suppress(msgspec.MsgspecError):  # a head of another version wrote it
        return msgspec.msgpack.decode(kept, type=Beat) if kept else None
    return None


async def reserve(connection: AsyncConnection, campaign: str, factories: Collection[tuple[str, int]]) -> bool:
    allowed = {}
    # Locked one by one, in the order of `hear`: who wants some of the same never waits for who waits for it.
    for node, incarnation in sorted(factories):
        found = await connection.execute(
            select(_ROW.id, _ROW.campaigns)
            .where(_ROW.node_id == node, _ROW.incarnation == incarnation)
            .with_for_update()
        )
        row = found.one_or_none()
        if row is None:
            return False
        allowed[row.id] = row.campaigns
    # Counted behind the locks: what waited for them may have been reserved meanwhile.
    reserved = await connection.execute(
        _running(_RESERVATION.factory_id, func.count())
        .where(_RESERVATION.factory_id.in_(allowed), _RESERVATION.campaign != campaign)
        .group_by(_RESERVATION.factory_id)
    )
    if any(count >= allowed[id] for id, count in reserved):
        return False
    await connection.execute(
        insert(connection, FACTORY_RESERVATION).on_conflict_do_nothing(),
        [{"factory_id": id, "campaign": campaign} for id in allowed],
    )
    return True


async def release(connection: AsyncConnection, campaign: str) -> None:
    await connection.execute(delete(FACTORY_RESERVATION).where(_RESERVATION.campaign == campaign))


async def hold_reception(connection: AsyncConnection, head: str, lease_seconds: float) -> bool:
    held = await connection.scalar(_holding(connection), {"head": head, "lease_seconds": lease_seconds})
    return held is not None


@prepared
def _holding(insert: Insert) -> Executable:
    lease_until = from_now(bindparam("lease_seconds", type_=Float()))
    row = {"owner": bindparam("head"), "lease_until": lease_until, "version": from_now()}
    return (
        insert(HEAD_ROLE)
        .values(name=_RECEPTION, **row)
        .on_conflict_do_update(
            index_elements=["name"],
            set_=row,
            where=or_(HEAD_ROLE.c.owner == bindparam("head"), HEAD_ROLE.c.lease_until <= from_now()),
        )
        .returning(HEAD_ROLE.c.id)
    )


def _running(*columns: Any) -> Select[Any]:
    """Of the reservations of campaigns that are not over."""
    return (
        select(*columns)
        .select_from(FACTORY_RESERVATION)
        .join(CAMPAIGN, CAMPAIGN.c.key == _RESERVATION.campaign)
        .where(
            CAMPAIGN.c.state.not_in([str(state) for state in TERMINAL]),
            or_(CAMPAIGN.c.lease_until.is_(None), CAMPAIGN.c.lease_until > from_now(-ABANDONED_SECONDS)),
        )
    )
