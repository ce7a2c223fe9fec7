"""Campaigns as rows: kept, found again, listed by page, moved from state to state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, case, exists, func, literal, or_, select, update
from sqlalchemy import insert as plain_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from qalipsis.head.campaign import Phase
from qalipsis.head.campaign_list import (
    CampaignQuery,
    CampaignRecord,
    CampaignScenario,
    NewCampaign,
    Page,
    first_status,
    is_terminal,
    key_taken,
    moment,
    not_reschedulable,
    status_of,
)
from qalipsis.head.database.schema import CAMPAIGN, CAMPAIGN_REPORT, CAMPAIGN_SCENARIO
from qalipsis.head.database.sql import Instant, Words, from_now, insert

_ROW = CAMPAIGN.c
_SORTS: dict[str, ColumnElement[Any]] = {
    "creation": _ROW.creation,
    "start": _ROW.start,
    "end": _ROW.end,
    "scheduled_at": _ROW.scheduled_at,
    "name": _ROW.name,
    "key": _ROW.key,
    "status": _ROW.status,
}


# Looked for each second, so built once.
_OF_KEY = select(CAMPAIGN).where(_ROW.key == bindparam("key"))
_SCENARIOS_OF = (
    select(CAMPAIGN_SCENARIO)
    .where(CAMPAIGN_SCENARIO.c.campaign_id.in_(bindparam("campaigns", expanding=True)))
    .order_by(CAMPAIGN_SCENARIO.c.id)
)


async def create(connection: AsyncConnection, new: NewCampaign) -> CampaignRecord:
    if await _insert(connection, new) is None:
        raise key_taken(new.key)
    return await _known(connection, new.key)


async def id_of(connection: AsyncConnection, key: str) -> int:
    """The id of a campaign, which is kept from now on if it was not."""
    known = select(_ROW.id).where(_ROW.key == key)
    id = await connection.scalar(known)
    if id is None:
        id = await _insert(connection, NewCampaign(key=key, name=key))
    # Nobody's turn came between the two: another caller may have kept it.
    return int(id if id is not None else (await connection.execute(known)).scalar_one())


async def reschedule(connection: AsyncConnection, new: NewCampaign) -> CampaignRecord:
    id = await connection.scalar(
        update(CAMPAIGN)
        .where(_ROW.key == new.key, _ROW.state == Phase.SCHEDULED, _ROW.owner.is_(None))
        .values(_asked(new) | {"version": from_now()})
        .returning(_ROW.id)
    )
    if id is None:
        status = await connection.scalar(select(_ROW.status).where(_ROW.key == new.key))
        raise not_reschedulable(new.key, status)
    await connection.execute(CAMPAIGN_SCENARIO.delete().where(CAMPAIGN_SCENARIO.c.campaign_id == id))
    await _insert_scenarios(connection, id, new.scenarios)
    return await _known(connection, new.key)


async def find(connection: AsyncConnection, key: str) -> CampaignRecord | None:
    found = await _records(connection, _OF_KEY, key=key)
    return found[0] if found else None


async def page(connection: AsyncConnection, query: CampaignQuery) -> Page[CampaignRecord]:
    conditions = list(_conditions(query))
    total = await connection.scalar(select(func.count()).select_from(CAMPAIGN).where(*conditions))
    column = _SORTS[query.sort]
    found = (
        select(CAMPAIGN)
        .where(*conditions)
        .order_by((column.desc() if query.descending else column.asc()).nulls_last(), _ROW.id.desc())
        .limit(query.size)
        .offset(query.page * query.size)
    )
    return Page(tuple(await _records(connection, found)), query.page, query.size, int(total or 0))


async def enter(connection: AsyncConnection, id: int, state: str, at: float) -> None:
    """Move a campaign that is driven by this process alone."""
    values = in_state(state, literal(moment(at), Instant())) | {"version": from_now()}
    await connection.execute(update(CAMPAIGN).where(_ROW.id == id, _ROW.state != state).values(values))


async def keep_outcome(
    connection: AsyncConnection, key: str, failure_reason: str | None, aborter: str | None
) -> None:
    values = {
        "failure_reason": func.coalesce(_ROW.failure_reason, literal(failure_reason, Words())),
        "aborter": func.coalesce(_ROW.aborter, literal(aborter, Words())),
        "version": from_now(),
    }
    await connection.execute(update(CAMPAIGN).where(_ROW.key == key).values(values))


def in_state(state: str, at: ColumnElement[datetime]) -> dict[str, Any]:
    """What changes in a campaign that enters a state; its first beginning and first end stay."""
    values: dict[str, Any] = {"state": str(state)}
    if (status := status_of(state)) is not None:
        has_report = exists().where(CAMPAIGN_REPORT.c.campaign_id == _ROW.id)
        values["status"] = case((has_report, _ROW.status), else_=status)
    if state == Phase.RUNNING:
        values["start"] = func.coalesce(_ROW.start, at, type_=_ROW.start.type)
    if is_terminal(state):
        values["end"] = func.coalesce(_ROW.end, at, type_=_ROW.end.type)
    return values


async def _insert(connection: AsyncConnection, new: NewCampaign) -> int | None:
    """The id of the new row; None when the key is taken."""
    values = {
        **_asked(new),
        "key": new.key,
        "creation": from_now(),
        "version": from_now(),
        "state": str(Phase.SCHEDULED),
        "epoch": 0,
    }
    statement = insert(connection, CAMPAIGN).values(values).on_conflict_do_nothing(index_elements=["key"])
    id: int | None = await connection.scalar(statement.returning(_ROW.id))
    if id is not None:
        await _insert_scenarios(connection, id, new.scenarios)
    return id


def _asked(new: NewCampaign) -> dict[str, Any]:
    return {
        "name": new.name,
        "speed_factor": new.speed_factor,
        "configuration": new.configuration,
        "configurer": new.configurer,
        "scheduled_at": new.scheduled_at,
        "status": first_status(new),
    }


async def _insert_scenarios(
    connection: AsyncConnection, campaign: int, scenarios: Iterable[CampaignScenario]
) -> None:
    rows = [
        {"campaign_id": campaign, "name": each.name, "minions_count": each.minions, "zones": each.zones}
        for each in scenarios
    ]
    if rows:
        await connection.execute(plain_insert(CAMPAIGN_SCENARIO).values(version=from_now()), rows)


def _conditions(query: CampaignQuery) -> Iterable[ColumnElement[bool]]:
    if query.excluded_statuses:
        yield _ROW.status.not_in(query.excluded_statuses)
    if query.filters:
        yield or_(*(_matches(text) for text in query.filters))


def _matches(text: str) -> ColumnElement[bool]:
    pattern = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    pattern = pattern.replace("*", "%").replace("?", "_")
    scenario = exists().where(
        CAMPAIGN_SCENARIO.c.campaign_id == _ROW.id, CAMPAIGN_SCENARIO.c.name.ilike(pattern, escape="\\")
    )
    texts = (_ROW.name, _ROW.key, _ROW.configurer)
    return or_(*(each.ilike(pattern, escape="\\") for each in texts), scenario)


async def _known(connection: AsyncConnection, key: str) -> CampaignRecord:
    found = await find(connection, key)
    assert found is not None  # written in this transaction
    return found


async def _records(connection: AsyncConnection, found: Select[Any], **known: str) -> list[CampaignRecord]:
    rows = (await connection.execute(found, known)).all()
    scenarios: dict[int, list[CampaignScenario]] = defaultdict(list)
    for each in await connection.execute(_SCENARIOS_OF, {"campaigns": [row.id for row in rows]}):
        scenarios[each.campaign_id].append(
            CampaignScenario(name=each.name, minions=each.minions_count, zones=each.zones)
        )
    return [_record(row, tuple(scenarios[row.id])) for row in rows]


def _record(row: Row[Any], scenarios: tuple[CampaignScenario, ...]) -> CampaignRecord:
    same = (
        *(
            "key",
            "name",
            "speed_factor",
            "configuration",
            "configurer",
            "scheduled_at",
            "creation",
            "version",
        ),
        *("state", "status", "start", "end", "failure_reason", "aborter", "epoch", "owner"),
    )
    return CampaignRecord(scenarios=scenarios, **{name: getattr(row, name) for name in same})
