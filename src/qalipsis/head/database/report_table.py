"""The tables of reports that users put together, of their renderings and of the files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from qalipsis.head.database.database import Database
from qalipsis.head.database.schema import DATA_COMPONENT, REPORT, REPORT_FILE, REPORT_TASK
from qalipsis.head.database.sql import from_now, later
from qalipsis.head.report_task import COMPLETED, FAILED, PROCESSING, ReportTask
from qalipsis.head.report_template import Component, ReportTemplate
from qalipsis.head.series_store import changed_meanwhile
from qalipsis.head.sharing import not_there

_NAMES = tuple(name for name in ReportTemplate.__struct_fields__ if name != "components")
_KEPT = tuple(name for name in _NAMES if name not in ("creation", "version"))
_TASK = REPORT_TASK.c


class DatabaseReports:
    """Reports in a database that somebody else closes."""

    def __init__(self, database: Database) -> None:
        self._transaction = database.transaction

    async def all(self) -> tuple[ReportTemplate, ...]:
        async with self._transaction() as connection:
            return await _read(connection, _select())

    async def find(self, reference: str) -> ReportTemplate | None:
        async with self._transaction() as connection:
            found = await _read(connection, _select().where(REPORT.c.reference == reference))
        return found[0] if found else None

    async def add(self, report: ReportTemplate) -> ReportTemplate:
        async with self._transaction() as connection:
            id = await connection.scalar(
                insert(REPORT)
                .values(**_values(report), creation=from_now(), version=from_now())
                .returning(REPORT.c.id)
            )
            await _save_components(connection, id, report.components)
            (added,) = await _read(connection, _select().where(REPORT.c.id == id))
            return added

    async def replace(self, report: ReportTemplate) -> ReportTemplate:
        next_version = later(from_now(), report.version + timedelta(milliseconds=1))
        is_it = REPORT.c.reference == report.reference
        async with self._transaction() as connection:
            id = await connection.scalar(
                update(REPORT)
                .where(is_it, REPORT.c.version == report.version)
                .values(**_values(report), version=next_version)
                .returning(REPORT.c.id)
            )
            if id is None:
                if await connection.scalar(select(REPORT.c.id).where(is_it)) is None:
                    raise not_there("report", report.reference)
                raise changed_meanwhile("report", report.reference)
            await connection.execute(delete(DATA_COMPONENT).where(DATA_COMPONENT.c.report_id == id))
            await _save_components(connection, id, report.components)
            (changed,) = await _read(connection, _select().where(REPORT.c.id == id))
            return changed

    async def delete(self, reference: str) -> None:
        async with self._transaction() as connection:
            await connection.execute(delete(REPORT).where(REPORT.c.reference == reference))

    async def begin(self, reference: str, report: str, creator: str) -> ReportTask:
        async with self._transaction() as connection:
            id = await connection.scalar(select(REPORT.c.id).where(REPORT.c.reference == report))
            if id is None:
                raise not_there("report", report)
            await connection.execute(
                insert(REPORT_TASK).values(
                    report_id=id,
                    reference=reference,
                    creator=creator,
                    status=PROCESSING,
                    creation=from_now(),
                    version=from_now(),
                )
            )
            task = await _task(connection, reference)
            assert task is not None
            return task

    async def task(self, reference: str) -> ReportTask | None:
        async with self._transaction() as connection:
            return await _task(connection, reference)

    async def finish(self, reference: str, content: bytes) -> None:
        async with self._transaction() as connection:
            id = await _end(connection, reference, COMPLETED, None)
            if id is not None:
                await connection.execute(
                    insert(REPORT_FILE).values(
                        report_task_id=id,
                        name=f"{reference}.pdf",
                        content=content,
                        creation=from_now(),
                        version=from_now(),
                    )
                )

    async def fail(self, reference: str, reason: str) -> None:
        async with self._transaction() as connection:
            await _end(connection, reference, FAILED, reason)

    async def file(self, task: str) -> bytes | None:
        async with self._transaction() as connection:
            found: bytes | None = await connection.scalar(
                select(REPORT_FILE.c.content)
                .join(REPORT_TASK, _TASK.id == REPORT_FILE.c.report_task_id)
                .where(_TASK.reference == task)
            )
            return found

    async def forget(self, most: int, before: datetime) -> None:
        latest = select(_TASK.id).order_by(_TASK.id.desc()).limit(most)
        async with self._transaction() as connection:
            await connection.execute(
                delete(REPORT_TASK).where((_TASK.creation < before) | _TASK.id.not_in(latest))
            )


def _select() -> Select[Any]:
    return select(REPORT.c.id, *(REPORT.c[name] for name in _NAMES)).order_by(REPORT.c.id)


async def _read(connection: AsyncConnection, statement: Select[Any]) -> tuple[ReportTemplate, ...]:
    rows = (await connection.execute(statement)).all()
    of = DATA_COMPONENT.c
    which = select(of.report_id, of.type, of.data_series).order_by(of.report_id, of.position)
    if len(rows) == 1:
        which = which.where(of.report_id == rows[0][0])
    components: dict[int, list[Component]] = {}
    for id, type, series in await connection.execute(which):
        components.setdefault(id, []).append(Component(type=type, data_series=tuple(series)))
    return tuple(
        msgspec.convert(
            dict(zip(_NAMES, fields, strict=True)) | {"components": components.get(id, [])}, ReportTemplate
        )
        for id, *fields in rows
    )


async def _save_components(connection: AsyncConnection, report: Any, components: Sequence[Component]) -> None:
    rows = [
        {
            "report_id": report,
            "position": position,
            "type": each.type,
            "data_series": list(each.data_series),
        }
        for position, each in enumerate(components)
    ]
    if rows:
        await connection.execute(insert(DATA_COMPONENT).values(version=from_now()), rows)


async def _task(connection: AsyncConnection, reference: str) -> ReportTask | None:
    row = (
        await connection.execute(
            select(
                *(_TASK.reference, REPORT.c.reference.label("report"), _TASK.creator),
                *(_TASK.creation, _TASK.status, _TASK.failure_reason),
            )
            .join(REPORT, REPORT.c.id == _TASK.report_id)
            .where(_TASK.reference == reference)
        )
    ).one_or_none()
    return None if row is None else ReportTask(**row._mapping)


async def _end(connection: AsyncConnection, reference: str, status: str, reason: str | None) -> Any:
    return await connection.scalar(
        update(REPORT_TASK)
        .where(_TASK.reference == reference, _TASK.status == PROCESSING)
        .values(status=status, failure_reason=reason, version=from_now())
        .returning(_TASK.id)
    )


def _values(report: ReportTemplate) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(report)
    return {name: values[name] for name in _KEPT}
