"""The table of data series."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.engine import Row

from qalipsis.head.data_series import DataSeries
from qalipsis.head.database.database import Database
from qalipsis.head.database.schema import DATA_SERIES
from qalipsis.head.database.sql import from_now, insert, later
from qalipsis.head.series_store import changed_meanwhile
from qalipsis.head.sharing import not_there

_ROW = DATA_SERIES.c
_COLUMNS = [_ROW[name] for name in DataSeries.__struct_fields__]
_MOMENTS = ("creation", "version")


class DatabaseSeries:
    """Data series in a database that somebody else closes."""

    def __init__(self, database: Database) -> None:
        self._transaction = database.transaction

    async def all(self) -> tuple[DataSeries, ...]:
        async with self._transaction() as connection:
            rows = (await connection.execute(select(*_COLUMNS).order_by(_ROW.id))).all()
        return tuple(_series(row) for row in rows)

    async def add(self, series: DataSeries) -> DataSeries:
        async with self._transaction() as connection:
            await connection.execute(
                insert(connection, DATA_SERIES)
                .values(**_values(series), creation=from_now(), version=from_now())
                .on_conflict_do_nothing(index_elements=["reference"])
            )
            found = await connection.execute(select(*_COLUMNS).where(_ROW.reference == series.reference))
            return _series(found.one())

    async def replace(self, series: DataSeries) -> DataSeries:
        next_version = later(from_now(), series.version + timedelta(milliseconds=1))
        async with self._transaction() as connection:
            found = await connection.execute(
                update(DATA_SERIES)
                .where(_ROW.reference == series.reference, _ROW.version == series.version)
                .values(**_values(series), version=next_version)
                .returning(*_COLUMNS)
            )
            row = found.one_or_none()
            if row is not None:
                return _series(row)
            known = await connection.scalar(select(_ROW.id).where(_ROW.reference == series.reference))
        if known is None:
            raise not_there("data series", series.reference)
        raise changed_meanwhile("data series", series.reference)

    async def delete(self, reference: str) -> None:
        async with self._transaction() as connection:
            await connection.execute(delete(DATA_SERIES).where(_ROW.reference == reference))


def _values(series: DataSeries) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(series)
    return {name: value for name, value in values.items() if name not in _MOMENTS}


def _series(row: Row[Any]) -> DataSeries:
    return msgspec.convert(dict(zip(DataSeries.__struct_fields__, row, strict=True)), DataSeries)
