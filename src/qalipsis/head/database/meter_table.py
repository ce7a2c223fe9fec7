"""Meters over time, as rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256

import msgspec
from sqlalchemy import ColumnElement, Executable, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from qalipsis.head.database.schema import CAMPAIGN, CAMPAIGN_METERS
from qalipsis.head.database.sql import Insert, prepared, storable
from qalipsis.head.meter_series import Meter, MeterQuery, finite, identity

_ROW = CAMPAIGN_METERS.c
_COLUMNS = [_ROW[name] for name in Meter.__struct_fields__]


async def save(connection: AsyncConnection, campaign: int, meters: Sequence[Meter]) -> None:
    """A meter that is there already stays as it is."""
    if not meters:
        return
    rows = [
        {"campaign_id": campaign, "series": _series(each), **msgspec.structs.asdict(finite(each))}
        for each in meters
    ]
    await connection.execute(_adding(connection), rows)


@prepared
def _adding(insert: Insert) -> Executable:
    of_one = ["campaign_id", "at", "series", "zone"]
    return insert(CAMPAIGN_METERS).on_conflict_do_nothing(index_elements=of_one)


async def read(connection: AsyncConnection, query: MeterQuery) -> tuple[Meter, ...]:
    # Joined, the rows of one campaign would be sorted whole for each piece; so its index has them in order.
    ids = (await connection.scalars(select(CAMPAIGN.c.id).where(CAMPAIGN.c.key.in_(query.campaigns)))).all()
    if not ids:
        return ()
    is_of = _ROW.campaign_id == ids[0] if len(ids) == 1 else _ROW.campaign_id.in_(ids)
    rows = await connection.execute(
        select(*_COLUMNS).where(is_of, *_conditions(query)).order_by(_ROW.at, _ROW.id).limit(query.limit)
    )
    return tuple(Meter(**row._mapping) for row in rows)


async def samples(connection: AsyncConnection, campaigns: Sequence[str], limit: int) -> tuple[Meter, ...]:
    newest = (
        select(func.max(_ROW.id))
        .join(CAMPAIGN, CAMPAIGN.c.id == _ROW.campaign_id)
        .where(CAMPAIGN.c.key.in_(campaigns), _ROW.is_part.is_(False))
        .group_by(_ROW.campaign_id, _ROW.series)
        .limit(limit)
    )
    rows = await connection.execute(select(*_COLUMNS).where(_ROW.id.in_(newest)).order_by(_ROW.id))
    return tuple(Meter(**row._mapping) for row in rows)


def _conditions(query: MeterQuery) -> Iterator[ColumnElement[bool]]:
    yield _ROW.zone.in_(query.zones) if query.zones else _ROW.is_part.is_(False)
    if query.names:
        yield _ROW.name.in_(query.names)
    if query.scenarios:
        yield _ROW.scenario.in_(query.scenarios)
    if query.like:
        yield _ROW.series.in_([_series(each) for each in query.like])
    if query.since is not None:
        yield _ROW.at >= query.since
    if query.until is not None:
        yield _ROW.at < query.until


def _series(meter: Meter) -> str:
    """The identity, short enough for an index."""
    scenario, name, tags = identity(meter)
    # As they are read again, so that a meter that was read has the same.
    known = json.dumps((storable(scenario), storable(name), tags))
    return sha256(known.encode()).hexdigest()
