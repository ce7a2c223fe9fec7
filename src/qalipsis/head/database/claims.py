"""Which head drives a campaign: a change happens only to the epoch and the version that its owner knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Float, bindparam, delete, func, or_, select, update
from sqlalchemy import insert as plain_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from qalipsis.head.campaign import TERMINAL, Phase
from qalipsis.head.campaign_list import is_terminal, moment
from qalipsis.head.database import meter_table, outbox, reports, timeline
from qalipsis.head.database.campaigns import in_state
from qalipsis.head.database.schema import CAMPAIGN, CAMPAIGN_CHECKPOINT, INBOX, OUTBOX
from qalipsis.head.database.sql import Insert, Instant, Words, from_now, later, prepared
from qalipsis.head.ownership import Claim, Commit, Fenced, fenced

_ROW = CAMPAIGN.c
_TICK = timedelta(microseconds=1)
_IS_OWNER = (
    _ROW.key == bindparam("own_campaign"),
    _ROW.owner == bindparam("own_head"),
    _ROW.epoch == bindparam("own_epoch"),
)
_NEXT_VERSION = later(from_now(), bindparam("own_next_version", type_=Instant()))
_RENEW = (
    update(CAMPAIGN)
    .where(*_IS_OWNER)
    .values(lease_until=from_now(bindparam("own_lease_seconds", type_=Float())))
)
_RELEASE = update(CAMPAIGN).where(*_IS_OWNER).values(owner=None, lease_until=None, version=_NEXT_VERSION)
_REPEATED = select(_ROW.version).where(*_IS_OWNER, _ROW.last_commit == bindparam("commit"))


async def claim(connection: AsyncConnection, campaign: str, head: str, lease_seconds: float) -> Claim | None:
    # Of two at once, the second waits for the first's row and then finds that it does not match any more.
    row = (
        await connection.execute(
            update(CAMPAIGN)
            .where(_ROW.key == campaign, *_is_free())
            .values(
                owner=head,
                epoch=_ROW.epoch + 1,
                lease_until=from_now(lease_seconds),
                version=from_now(),
            )
            .returning(_ROW.epoch, _ROW.version)
        )
    ).one_or_none()
    if row is None:
        return None
    await outbox.forget_ownerless(connection)
    return Claim(
        campaign=campaign, head=head, epoch=row.epoch, version=row.version, lease_seconds=lease_seconds
    )


async def renew(connection: AsyncConnection, claim: Claim) -> None:
    """Leaves the version alone, so that it never meets a commit of the same head."""
    renewed = await connection.execute(_RENEW, _own(claim) | {"own_lease_seconds": claim.lease_seconds})
    if renewed.rowcount == 0:
        raise await _fenced(connection, claim)


async def release(connection: AsyncConnection, claim: Claim) -> None:
    await connection.execute(_RELEASE, _own(claim) | {"own_next_version": claim.version + _TICK})


async def claimable(connection: AsyncConnection) -> tuple[str, ...]:
    is_due = or_(_ROW.scheduled_at.is_(None), _ROW.scheduled_at <= from_now())
    found = select(_ROW.key).where(*_is_free(), is_due).order_by(_ROW.state == Phase.SCHEDULED, _ROW.id)
    return tuple(await connection.scalars(found))


async def commit(connection: AsyncConnection, claim: Claim, commit: Commit) -> Claim:
    known = _own(claim) | {
        "own_version": claim.version,
        "own_next_version": claim.version + _TICK,
        "moment": moment(commit.at),
        "commit": commit.id,
        "reason": commit.failure_reason,
        "by": commit.aborter,
    }
    row = (await connection.execute(_advance(str(commit.state)), known)).one_or_none()
    if row is None:
        return await _repeated(connection, claim, commit)
    if commit.checkpoint is not None:
        await _keep_checkpoint(connection, row.id, commit.checkpoint)
    await _raise_watermarks(connection, row.id, commit.watermarks)
    if commit.outgoing:
        bodies = [{"campaign_id": row.id, "topic": topic, "body": body} for topic, body in commit.outgoing]
        await connection.execute(plain_insert(OUTBOX), bodies)
    await timeline.save(connection, row.id, commit.seconds)
    if commit.meters:
        await meter_table.save(connection, row.id, commit.meters)
    if commit.report is not None:
        await reports.save(connection, row.id, commit.report)
    if is_terminal(commit.state):
        # Nobody goes on from here, or hears anything of it any more.
        await connection.execute(
            delete(CAMPAIGN_CHECKPOINT).where(CAMPAIGN_CHECKPOINT.c.campaign_id == row.id)
        )
        await connection.execute(delete(INBOX).where(INBOX.c.campaign_id == row.id))
    return replace(claim, version=row.version)


@cache
def _advance(state: str) -> Executable:
    """To this state, if the version is still the known one; built once, for it is done each second."""
    values = in_state(state, bindparam("moment", type_=Instant())) | {
        "version": _NEXT_VERSION,
        "last_commit": bindparam("commit"),
        "failure_reason": func.coalesce(bindparam("reason", type_=Words()), _ROW.failure_reason),
        "aborter": func.coalesce(bindparam("by", type_=Words()), _ROW.aborter),
    }
    return (
        update(CAMPAIGN)
        .where(*_IS_OWNER, _ROW.version == bindparam("own_version"))
        .values(values)
        .returning(_ROW.id, _ROW.version)
    )


async def checkpoint(connection: AsyncConnection, campaign: str) -> bytes | None:
    found: bytes | None = await connection.scalar(
        select(CAMPAIGN_CHECKPOINT.c.content).join(CAMPAIGN).where(_ROW.key == campaign)
    )
    return found


async def watermarks(connection: AsyncConnection, campaign: str) -> dict[tuple[str, int], int]:
    rows = await connection.execute(select(INBOX).join(CAMPAIGN).where(_ROW.key == campaign))
    return {(row.source, row.incarnation): row.sequence for row in rows}


def _is_free() -> tuple[ColumnElement[bool], ...]:
    has_ended = or_(_ROW.lease_until.is_(None), _ROW.lease_until <= from_now())
    return _ROW.state.not_in([str(state) for state in TERMINAL]), has_ended


def _own(claim: Claim) -> dict[str, Any]:
    return {"own_campaign": claim.campaign, "own_head": claim.head, "own_epoch": claim.epoch}


async def _repeated(connection: AsyncConnection, claim: Claim, commit: Commit) -> Claim:
    """The claim after a commit whose answer was lost; raises Fenced when this is another one."""
    version = await connection.scalar(_REPEATED, _own(claim) | {"commit": commit.id})
    if version is None:
        raise await _fenced(connection, claim)
    return replace(claim, version=version)


async def _fenced(connection: AsyncConnection, claim: Claim) -> Fenced:
    found = (
        await connection.execute(select(_ROW.epoch, _ROW.owner).where(_ROW.key == claim.campaign))
    ).one_or_none()
    return fenced(claim, *(found or (None, None)))


async def _keep_checkpoint(connection: AsyncConnection, campaign: int, content: bytes) -> None:
    await connection.execute(_keeping(connection), {"of_campaign": campaign, "frozen": content})


@prepared
def _keeping(insert: Insert) -> Executable:
    row = {"content": bindparam("frozen"), "version": from_now()}
    return (
        insert(CAMPAIGN_CHECKPOINT)
        .values(campaign_id=bindparam("of_campaign"), **row)
        .on_conflict_do_update(index_elements=["campaign_id"], set_=row)
    )


async def _raise_watermarks(
    connection: AsyncConnection, campaign: int, watermarks: Mapping[tuple[str, int], int]
) -> None:
    if not watermarks:
        return
    rows = [
        {"campaign_id": campaign, "source": source, "incarnation": incarnation, "sequence": sequence}
        for (source, incarnation), sequence in watermarks.items()
    ]
    await connection.execute(_raising(connection), rows)


@prepared
def _raising(insert: Insert) -> Executable:
    statement = insert(INBOX)
    given: Any = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["campaign_id", "source", "incarnation"],
        set_={"sequence": given.sequence},
        where=INBOX.c.sequence < given.sequence,
    )
