"""The store behind the seam, in a database: each call is one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from qalipsis.head.campaign_list import CampaignQuery, CampaignRecord, NewCampaign, Page
from qalipsis.head.database import (
    campaigns,
    claims,
    meter_table,
    outbox,
    reports,
    timeline,
    zone_table,
)
from qalipsis.head.database.database import Database
from qalipsis.head.meter_series import Meter, MeterQuery
from qalipsis.head.ownership import Claim, Commit, Outgoing
from qalipsis.head.zones import Zone
from qalipsis.reports.model import Report, Second


class DatabaseStore:
    """Keeps campaigns in a database, which it closes with itself."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._transaction = database.transaction

    async def save_state(self, campaign: str, state: str, at: float) -> None:
        async with self._transaction() as connection:
            await campaigns.enter(connection, await campaigns.id_of(connection, campaign), state, at)

    async def save_seconds(self, campaign: str, seconds: Sequence[Second]) -> None:
        async with self._transaction() as connection:
            await timeline.save(connection, await campaigns.id_of(connection, campaign), seconds)

    async def save_report(self, report: Report) -> None:
        async with self._transaction() as connection:
            await reports.save(connection, await campaigns.id_of(connection, report.campaign.key), report)

    async def create_campaign(self, new: NewCampaign) -> CampaignRecord:
        async with self._transaction() as connection:
            return await campaigns.create(connection, new)

    async def save_outcome(
        self, campaign: str, *, failure_reason: str | None = None, aborter: str | None = None
    ) -> None:
        async with self._transaction() as connection:
            await campaigns.keep_outcome(connection, campaign, failure_reason, aborter)

    async def reschedule(self, new: NewCampaign) -> CampaignRecord:
        async with self._transaction() as connection:
            return await campaigns.reschedule(connection, new)

    async def campaign(self, key: str) -> CampaignRecord | None:
        async with self._transaction() as connection:
            return await campaigns.find(connection, key)

    async def campaigns(self, query: CampaignQuery) -> Page[CampaignRecord]:
        async with self._transaction() as connection:
            return await campaigns.page(connection, query)

    async def seconds(self, campaign: str) -> tuple[Second, ...]:
        async with self._transaction() as connection:
            return await timeline.read(connection, campaign)

    async def report(self, campaign: str) -> Report | None:
        async with self._transaction() as connection:
            return await reports.read(connection, campaign)

    async def claim(self, campaign: str, head: str, lease_seconds: float) -> Claim | None:
        async with self._transaction() as connection:
            return await claims.claim(connection, campaign, head, lease_seconds)

    async def renew(self, claim: Claim) -> None:
        async with self._database.statement() as connection:
            await claims.renew(connection, claim)

    async def release(self, claim: Claim) -> None:
        async with self._transaction() as connection:
            await claims.release(connection, claim)

    async def claimable(self) -> tuple[str, ...]:
        async with self._transaction() as connection:
            return await claims.claimable(connection)

    async def commit(self, claim: Claim, commit: Commit) -> Claim:
        async with self._transaction() as connection:
            return await claims.commit(connection, claim, commit)

    async def checkpoint(self, campaign: str) -> bytes | None:
        async with self._transaction() as connection:
            return await claims.checkpoint(connection, campaign)

    async def watermarks(self, campaign: str) -> dict[tuple[str, int], int]:
        async with self._transaction() as connection:
            return await claims.watermarks(connection, campaign)

    async def outgoing(self, campaign: str, limit: int) -> tuple[Outgoing, ...]:
        async with self._transaction() as connection:
            return await outbox.waiting(connection, campaign, limit)

    async def sent(self, ids: Sequence[int]) -> None:
        async with self._transaction() as connection:
            await outbox.forget(connection, ids)

    async def zones(self) -> tuple[Zone, ...]:
        async with self._transaction() as connection:
            return await zone_table.read(connection)

    async def add_zone(self, zone: Zone) -> None:
        async with self._transaction() as connection:
            await zone_table.add(connection, zone)

    async def enable_zone(self, key: str, *, enabled: bool) -> Zone:
        async with self._transaction() as connection:
            return await zone_table.enable(connection, key, enabled)

    async def save_meters(self, campaign: str, meters: Sequence[Meter]) -> None:
        async with self._transaction() as connection:
            await meter_table.save(connection, await campaigns.id_of(connection, campaign), meters)

    async def meters(self, query: MeterQuery) -> tuple[Meter, ...]:
        async with self._transaction() as connection:
            return await meter_table.read(connection, query)

    async def meter_samples(self, campaigns: Sequence[str], limit: int) -> tuple[Meter, ...]:
        async with self._transaction() as connection:
            return await meter_table.samples(connection, campaigns, limit)

    async def aclose(self) -> None:
        await self._database.aclose()
