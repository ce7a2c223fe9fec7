"""The store that lives as long as its process."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

import msgspec

from qalipsis.clock import Clock
from qalipsis.head import zones
from qalipsis.head.campaign import Phase
from qalipsis.head.campaign_list import (
    CampaignQuery,
    CampaignRecord,
    NewCampaign,
    Page,
    first_status,
    is_terminal,
    key_taken,
    moment,
    not_reschedulable,
    page_of,
    status_of,
)
from qalipsis.head.meter_series import Meter, MeterQuery, finite, identity
from qalipsis.head.ownership import Claim, Commit, Fenced, Outgoing, fenced
from qalipsis.head.zones import Zone
from qalipsis.reports.model import Report, Second
from qalipsis.system_clock import SystemClock

_Series = tuple[str, str, tuple[tuple[str, str], ...], str, datetime]


@dataclass(slots=True)
class _Kept:
    """One campaign and all that belongs to it."""

    record: CampaignRecord
    lease_until: float = 0.0
    last_commit: tuple[str, Claim] | None = None
    checkpoint: bytes | None = None
    watermarks: dict[tuple[str, int], int] = field(default_factory=dict)
    outbox: dict[int, Outgoing] = field(default_factory=dict)
    meters: dict[_Series, Meter] = field(default_factory=dict)


class MemoryStore:
    """Keeps campaigns in this process; a second of the timeline takes 64 bytes.

    Nothing here awaits, so that each call is one transaction.
    """

    def __init__(self, clock: Clock | None = None, *, keeps_meters: bool = True) -> None:
        """Meters take memory each second; where nobody will ask for them, they are not kept."""
        self._keeps_meters = keeps_meters
        self.states: dict[str, list[tuple[str, float]]] = {}
        self.reports: dict[str, Report] = {}
        self._clock = clock or SystemClock()
        self._timelines: dict[str, array[float]] = {}
        self._kept: dict[str, _Kept] = {}
        self._last_id = 0
        self._zones: dict[str, Zone] = {}

    async def save_state(self, campaign: str, state: str, at: float) -> None:
        kept = self._kept.get(campaign) or self._keep(NewCampaign(key=campaign, name=campaign))
        self._enter(kept, state, at)

    async def save_seconds(self, campaign: str, seconds: Sequence[Second]) -> None:
        timeline = self._timelines.setdefault(campaign, array("d"))
        for second in seconds:
            if not timeline or second.t_s > timeline[-_WIDTH]:
                timeline.extend(getattr(second, field) for field in _FIELDS)

    async def save_report(self, report: Report) -> None:
        key = report.campaign.key
        if key in self.reports:
            return
        kept = self._kept.get(key) or self._keep(NewCampaign(key=key, name=key))
        self.reports[key] = report
        self._change(kept, name=report.campaign.name, status=report.campaign.status)

    async def create_campaign(self, new: NewCampaign) -> CampaignRecord:
        if new.key in self._kept:
            raise key_taken(new.key)
        return self._keep(new).record

    async def save_outcome(
        self, campaign: str, *, failure_reason: str | None = None, aborter: str | None = None
    ) -> None:
        if (kept := self._kept.get(campaign)) is not None:
            self._change(
                kept,
                failure_reason=kept.record.failure_reason or failure_reason,
                aborter=kept.record.aborter or aborter,
            )

    async def reschedule(self, new: NewCampaign) -> CampaignRecord:
        kept = self._kept.get(new.key)
        if kept is None or kept.record.state != Phase.SCHEDULED or kept.record.owner is not None:
            raise not_reschedulable(new.key, None if kept is None else kept.record.status)
        asked = {name: getattr(new, name) for name in NewCampaign.__struct_fields__}
        return self._change(kept, **asked, status=first_status(new))

    async def campaign(self, key: str) -> CampaignRecord | None:
        kept = self._kept.get(key)
        return None if kept is None else kept.record

    async def campaigns(self, query: CampaignQuery) -> Page[CampaignRecord]:
        return page_of((kept.record for kept in self._kept.values()), query)

    async def seconds(self, campaign: str) -> tuple[Second, ...]:
        timeline = self._timelines.get(campaign, array("d"))
        rows = (timeline[first : first + _WIDTH] for first in range(0, len(timeline), _WIDTH))
        return tuple(_second(row) for row in rows)

    async def report(self, campaign: str) -> Report | None:
        return self.reports.get(campaign)

    async def claim(self, campaign: str, head: str, lease_seconds: float) -> Claim | None:
        kept = self._kept.get(campaign)
        if kept is None or not self._is_free(kept):
            return None
        record = self._change(kept, owner=head, epoch=kept.record.epoch + 1)
        kept.lease_until = self._clock.now() + lease_seconds
        self._forget_ownerless()
        return Claim(
            campaign=campaign,
            head=head,
            epoch=record.epoch,
            version=record.version,
            lease_seconds=lease_seconds,
        )

    async def renew(self, claim: Claim) -> None:
        kept = self._kept.get(claim.campaign)
        if kept is None or not _is_owner(kept, claim):
            raise _fenced(claim, kept)
        kept.lease_until = self._clock.now() + claim.lease_seconds

    async def release(self, claim: Claim) -> None:
        kept = self._kept.get(claim.campaign)
        if kept is not None and _is_owner(kept, claim):
            self._change(kept, owner=None)
            kept.lease_until = 0.0

    async def claimable(self) -> tuple[str, ...]:
        now = self._now()
        due = [
            key
            for key, kept in self._kept.items()
            if self._is_free(kept) and (kept.record.scheduled_at is None or kept.record.scheduled_at <= now)
        ]
        return tuple(sorted(due, key=lambda key: self._kept[key].record.state == Phase.SCHEDULED))

    async def commit(self, claim: Claim, commit: Commit) -> Claim:
        kept = self._kept.get(claim.campaign)
        if kept is None:
            raise _fenced(claim, kept)
        if not _is_owner(kept, claim) or kept.record.version != claim.version:
            if kept.last_commit is not None and kept.last_commit[0] == commit.id and _is_owner(kept, claim):
                return kept.last_commit[1]
            raise _fenced(claim, kept)
        self._enter(kept, commit.state, commit.at)
        record = self._change(
            kept,
            failure_reason=commit.failure_reason or kept.record.failure_reason,
            aborter=commit.aborter or kept.record.aborter,
        )
        kept.checkpoint = kept.checkpoint if commit.checkpoint is None else commit.checkpoint
        for source, sequence in commit.watermarks.items():
            kept.watermarks[source] = max(sequence, kept.watermarks.get(source, sequence))
        for topic, body in commit.outgoing:
            self._last_id += 1
            kept.outbox[self._last_id] = Outgoing(self._last_id, topic, body)
        await self.save_seconds(claim.campaign, commit.seconds)
        await self.save_meters(claim.campaign, commit.meters)
        if commit.report is not None:
            await self.save_report(commit.report)
            record = kept.record
        if is_terminal(commit.state):
            kept.checkpoint, kept.watermarks = None, {}
        committed = replace(claim, version=record.version)
        kept.last_commit = (commit.id, committed)
        return committed

    async def checkpoint(self, campaign: str) -> bytes | None:
        kept = self._kept.get(campaign)
        return None if kept is None else kept.checkpoint

    async def watermarks(self, campaign: str) -> dict[tuple[str, int], int]:
        kept = self._kept.get(campaign)
        return {} if kept is None else dict(kept.watermarks)

    async def outgoing(self, campaign: str, limit: int) -> tuple[Outgoing, ...]:
        kept = self._kept.get(campaign)
        return () if kept is None else tuple(islice(kept.outbox.values(), limit))

    async def sent(self, ids: Sequence[int]) -> None:
        for kept in self._kept.values():
            for id in ids:
                kept.outbox.pop(id, None)

    async def zones(self) -> tuple[Zone, ...]:
        return tuple(self._zones[key] for key in sorted(self._zones))

    async def add_zone(self, zone: Zone) -> None:
        zones.check_key(zone.key)
        if zone.key in self._zones:
            raise zones.already_there(zone.key)
        self._zones[zone.key] = zone

    async def enable_zone(self, key: str, *, enabled: bool) -> Zone:
        if key not in self._zones:
            raise zones.not_there(key, self._zones)
        self._zones[key] = msgspec.structs.replace(self._zones[key], enabled=enabled)
        return self._zones[key]

    async def save_meters(self, campaign: str, meters: Sequence[Meter]) -> None:
        kept = self._kept.get(campaign) or self._keep(NewCampaign(key=campaign, name=campaign))
        for meter in meters if self._keeps_meters else ():
            series = (*identity(meter), meter.zone, meter.at)
            kept.meters.setdefault(series, finite(meter))

    async def meters(self, query: MeterQuery) -> tuple[Meter, ...]:
        found = sorted(self._matching(query), key=lambda meter: meter.at)
        return tuple(found[: query.limit])

    async def meter_samples(self, campaigns: Sequence[str], limit: int) -> tuple[Meter, ...]:
        kept = {
            (campaign, *identity(meter)): meter
            for campaign in campaigns
            if campaign in self._kept
            for meter in self._kept[campaign].meters.values()
            if not meter.is_part
        }
        return tuple(islice(kept.values(), limit))

    async def aclose(self) -> None:
        return None

    def _matching(self, query: MeterQuery) -> Iterator[Meter]:
        like = {identity(each) for each in query.like}
        for campaign in query.campaigns:
            kept = self._kept.get(campaign)
            for meter in () if kept is None else kept.meters.values():
                if (
                    (not query.names or meter.name in query.names)
                    and (not query.scenarios or meter.scenario in query.scenarios)
                    and (not like or identity(meter) in like)
                    and (meter.zone in query.zones if query.zones else not meter.is_part)
                    and (query.since is None or meter.at >= query.since)
                    and (query.until is None or meter.at < query.until)
                ):
                    yield meter

    def _keep(self, new: NewCampaign) -> _Kept:
        now = self._now()
        asked = {name: getattr(new, name) for name in NewCampaign.__struct_fields__}
        record = CampaignRecord(
            **asked, creation=now, version=now, state=str(Phase.SCHEDULED), status=first_status(new)
        )
        kept = self._kept[new.key] = _Kept(record)
        return kept

    def _enter(self, kept: _Kept, state: str, at: float) -> None:
        record = kept.record
        states = self.states.setdefault(record.key, [])
        if all(known != state for known, _ in states):
            states.append((state, at))
        status = status_of(state)
        is_decided = record.key in self.reports or status is None
        self._change(
            kept,
            state=str(state),
            status=record.status if is_decided else status,
            start=record.start or (moment(at) if state == Phase.RUNNING else None),
            end=record.end or (moment(at) if is_terminal(state) else None),
        )

    def _change(self, kept: _Kept, **changes: object) -> CampaignRecord:
        version = max(self._now(), kept.record.version + _TICK)
        kept.record = msgspec.structs.replace(kept.record, version=version, **changes)
        return kept.record

    def _is_free(self, kept: _Kept) -> bool:
        return not is_terminal(kept.record.state) and kept.lease_until <= self._clock.now()

    def _forget_ownerless(self) -> None:
        """Messages of campaigns that are over: who was to send them has died after the last commit."""
        for kept in self._kept.values():
            if is_terminal(kept.record.state) and kept.lease_until <= self._clock.now():
                kept.outbox.clear()

    def _now(self) -> datetime:
        return moment(self._clock.epoch(self._clock.now()))


def _fenced(claim: Claim, kept: _Kept | None) -> Fenced:
    return fenced(claim, *((None, None) if kept is None else (kept.record.epoch, kept.record.owner)))


def _is_owner(kept: _Kept, claim: Claim) -> bool:
    return (kept.record.owner, kept.record.epoch) == (claim.head, claim.epoch)


_TICK: Final = timedelta(microseconds=1)
_FIELDS: Final = Second.__struct_fields__
_WIDTH: Final = len(_FIELDS)


def _second(row: array[float]) -> Second:
    t_s, offered, achieved, errors, minions, p50, p95, p99 = row
    return Second(
        t_s=t_s,
        offered_per_s=offered,
        achieved_per_s=achieved,
        errors_per_s=errors,
        minions=int(minions),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )
