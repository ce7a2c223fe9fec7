"""The table of zones, which administrators also write to by hand."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from qalipsis.head import zones
from qalipsis.head.database.schema import ZONE
from qalipsis.head.database.sql import from_now, insert
from qalipsis.head.zones import Zone

_COLUMNS = [ZONE.c[name] for name in Zone.__struct_fields__]


async def read(connection: AsyncConnection) -> tuple[Zone, ...]:
    rows = await connection.execute(select(*_COLUMNS).order_by(ZONE.c.key))
    return tuple(Zone(**row._mapping) for row in rows)


async def add(connection: AsyncConnection, zone: Zone) -> None:
    zones.check_key(zone.key)
    added = await connection.scalar(
        insert(connection, ZONE)
        .values(
            key=zone.key,
            creation=from_now(),
            version=from_now(),
            title=zone.title,
            description=zone.description,
            image_path=zone.image_path,
            enabled=zone.enabled,
        )
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(ZONE.c.id)
    )
    if added is None:
        raise zones.already_there(zone.key)


async def enable(connection: AsyncConnection, key: str, enabled: bool) -> Zone:
    row = (
        await connection.execute(
            update(ZONE)
            .where(ZONE.c.key == key)
            .values(enabled=enabled, version=from_now())
            .returning(*_COLUMNS)
        )
    ).one_or_none()
    if row is None:
        raise zones.not_there(key, await connection.scalars(select(ZONE.c.key)))
    return Zone(**row._mapping)
